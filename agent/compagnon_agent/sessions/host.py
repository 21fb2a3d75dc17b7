"""The open sessions of this machine: opened under a grant, shown in a banner, stopped by whoever is there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

from ..audit import AuditLog
from ..authorise import Decision, Request, SessionRequest
from ..banner import Banner
from ..desk.core import Desk
from ..identity import Identity
from ..protocol.messages import ConsentWithdrawn, EndReason, Message, OpenSession, SessionEnded, SessionRefused
from ..protocol.wire import JSON
from ..settings import Settings
from ..store import Store
from .around import Around
from .calls import CallSession
from .link import SessionLink
from .registry import TERMINAL, capability
from .terminal import TerminalSession
from .watching import Watching

MAX_SESSIONS = 16


class SessionHost:
    """``decide`` asks :func:`..authorise.authorise` (and writes the answer down if it is told to)."""

    def __init__(
        self,
        *,
        settings: Settings,
        identity: Identity,
        store: Store,
        audit: AuditLog,
        decide: Callable[[Request, bool], Decision],
        desk: Desk,
        send: Callable[[Message], None],
    ) -> None:
        self.sessions: dict[str, SessionLink] = {}
        self.watching = Watching(audit=audit, send=send)
        self._emptied = asyncio.Event()
        self._settings = settings
        self._identity = identity
        self._store = store
        self._audit = audit
        self._decide = decide
        self._desk = desk
        self._send = send

    async def open(self, request: OpenSession) -> None:
        """Runs as long as the session does."""
        if request.session_id in self.sessions:
            return  # asked twice: it is being dialled already
        decision = self._decide(_wanted(request, request.capability), True)
        if not decision.allowed or decision.until is None:
            self._refuse(request, decision.reason, needs_consent=decision.needs_consent)
        elif len(self.sessions) >= MAX_SESSIONS:
            self._refuse(request, "too many sessions are open already")
        elif (session := self._make(request, decision.until)) is None:
            self._refuse(request, f"this agent has no {request.capability}")
        else:
            await self._run(session)

    def _make(self, request: OpenSession, until: datetime) -> SessionLink | None:
        grace = self._settings.session_grace
        until = datetime.now(UTC) + (until - self._store.clock.now())  # the machine's clock may have been put right
        if request.capability == TERMINAL:
            shell = self._settings.shell
            return TerminalSession(request, self._identity, until=until, grace=grace, shell=shell)
        found = capability(request.capability)
        if found is None:
            return None
        around = Around(
            desk=self._desk,
            write_down=self._audit.record,
            state=self._settings.folder,
            withdraw=lambda capability: self._store.withdraw_capability(request.session_id, capability),
        )
        return CallSession(
            request,
            self._identity,
            until=until,
            grace=grace,
            make=found,
            permit=self._permit(request),
            around=around,
        )

    def _permit(self, request: OpenSession) -> Callable[[str, str, bool], str]:
        def permit(capability: str, method: str, write_down: bool) -> str:
            decision = self._decide(_wanted(request, capability, method), write_down)
            return "" if decision.allowed else decision.reason

        return permit

    def _refuse(self, request: OpenSession, reason: str, *, needs_consent: bool = False) -> None:
        self._send(SessionRefused(session_id=request.session_id, reason=reason[:500], needs_consent=needs_consent))

    async def _run(self, session: SessionLink) -> None:
        request = session.request
        self.sessions[session.id] = session
        reason = EndReason.LOST
        about: dict[str, JSON] = {"member": request.member_name, "capability": request.capability}
        try:
            self._audit.record("session.open", {"session": session.id, **about})
            async with self._banner(request):
                reason = await session.run()
        except OSError as fault:
            self._refuse(request, f"no {request.capability}: {fault}")
        finally:
            del self.sessions[session.id]
            self.watching.forget(session.id)
            if not self.sessions:
                self._emptied.set()
            self._store.withdraw_session(session.id)
            self._audit.note("session.end", {"session": session.id, "reason": reason})
            self._send(SessionEnded(session_id=session.id, reason=reason, exit_code=session.exit_code))

    def _banner(self, request: OpenSession) -> Banner:
        watch = self.watching.of(request.session_id) if request.watch else None
        return Banner(
            request.member_name,
            request.ticket_id,
            lambda: self.stop(request.session_id),
            self._desk,
            watch=watch,
        )

    def stop(self, session_id: str | None = None) -> int:
        """Stop, pressed at the machine: the session (or all) ends and its consent is taken back."""
        stopped = [item for item in self.sessions.values() if session_id in (None, item.id)]
        for session in stopped:
            self._store.withdraw_session(session.id)  # at once: nothing is granted beside it any more
            session.end(EndReason.CLIENT)
            self._send(ConsentWithdrawn(session_id=session.id, reason="stopped at the machine"))
        return len(stopped)

    def end(self, message: SessionEnded) -> None:
        """The server says it is over."""
        session = self.sessions.get(message.session_id)
        if session:
            session.end(message.reason)

    async def emptied(self) -> None:
        """Wait for sessions that were told to end."""
        self._emptied.clear()
        if self.sessions:
            await self._emptied.wait()


def _wanted(request: OpenSession, capability: str, method: str = "") -> SessionRequest:
    return SessionRequest(
        ticket_id=request.ticket_id,
        session_id=request.session_id,
        capability=capability,
        target=request.target,
        method=method,
    )
