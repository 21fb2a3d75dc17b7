"""Open, join, hand over and end remote sessions."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Collection, Sequence
from datetime import UTC, datetime, timedelta

from compagnon.audit import Actor
from compagnon.auth.model import Member
from compagnon.errors import Conflict, Forbidden, Invalid, NotFound, Unavailable
from compagnon.i18n import N_
from compagnon.kernel import Kernel
from compagnon_agent.protocol import messages
from procedures.ports import TicketGate
from remote.control.link import AgentLink
from remote.machines import bounds
from remote.machines.model import Machine, MachineState
from remote.sessions import people_store, store
from remote.sessions.model import (
    EndReason,
    ParticipantRole,
    Session,
    SessionState,
    new_session_id,
    new_short_code,
)
from remote.sessions.people import OVER, People, tell
from remote.sessions.request import kind_of, readable
from remote.sessions.rooms import Rooms
from remote.sessions.words import FROM_AGENT, TO_AGENT, ended_by, open_message, question

log = logging.getLogger(__name__)
TIDY_EVERY = 30.0  # seconds
ANSWER_MARGIN = 60.0  # seconds beyond the time a question stays on the machine's screen


class Sessions(People):
    """Use cases of sessions. Whoever may act on the ticket may open and join; others are invited by who is there."""

    def __init__(self, kernel: Kernel, *, link: AgentLink, rooms: Rooms, gate: TicketGate) -> None:
        super().__init__(kernel, rooms=rooms, gate=gate)
        self._settings = kernel.settings
        self._link = link
        self._asking: dict[str, asyncio.Task[None]] = {}
        rooms.sessions = self
        link.handle(messages.SessionRefused, self._refused)
        link.inbox.before(messages.SessionEnded, self._ended_by_agent)
        link.when_back(self._take_up, whom=self._in_session)

    # reading

    async def for_ticket(self, ticket_id: int) -> list[Session]:
        """Oldest first, at most 200."""
        async with self._db.connection() as conn:
            return await store.for_ticket(conn, ticket_id)

    async def for_machine(self, machine_id: int, limit: int = 20) -> list[Session]:
        """Newest first."""
        async with self._db.connection() as conn:
            return await store.for_machine(conn, machine_id, limit)

    async def visit(self, session: Session) -> list[Session]:
        """The live sessions on the same machine for the same ticket, oldest first."""
        async with self._db.connection() as conn:
            return await store.visit(conn, session.machine_id, session.ticket_id)

    # opening

    async def open(
        self,
        machine_id: int,
        ticket_id: int,
        reason: str,
        member: Member,
        *,
        capability: str = "terminal",
        target: str = "",
    ) -> Session:
        """Ask for a session and return at once: the client's answer moves it on (topic ``session:<id>``).

        Raises Conflict (ticket closed), Forbidden, Invalid (reason; ticket of another client), Unavailable (offline).
        """
        reason, wanted = readable(reason), kind_of(capability, target)
        machine = await self._link.machines.get(machine_id)
        await self._check_may_open(machine, ticket_id, member)
        if wanted not in machine.capabilities:
            raise Invalid(N_("The agent of this machine cannot do this."), field="capability")
        session_id = new_session_id()
        values: dict[str, object] = {
            "id": session_id,
            "machine_id": machine_id,
            "ticket_id": ticket_id,
            "reason": reason,
            "capability": wanted,
            "target": target,
            "short_code": new_short_code(),
            "member_id": member.id,
        }
        async with self._db.transaction() as conn:
            await store.add(conn, values)
            await store.join(conn, session_id, member.id, ParticipantRole.DRIVER)
            session = await store.get(conn, session_id)
            assert session is not None
            details = {"machine": machine_id, "ticket": ticket_id, "reason": reason, "capability": wanted}
            details |= {"target": target} if target else {}
            await tell(conn, session, "requested", Actor.member(member.id), details)
        self._begin(session)
        return session

    async def _check_may_open(self, machine: Machine, ticket_id: int, member: Member) -> None:
        ticket = await self._gate.require_open(ticket_id)
        if not await self._gate.may_act(ticket_id, member.id):
            raise Forbidden(N_("Only the ticket's owner and collaborators may open a session."))
        if ticket.client_id != machine.client_id:
            raise Invalid(N_("This machine is not the ticket's client's."), field="machine_id")
        if machine.state is not MachineState.APPROVED:
            raise Conflict(N_("This machine is not approved."))
        if not await self._link.reachable(machine.id):
            raise Unavailable(N_("This machine is offline."))

    def _begin(self, session: Session) -> None:
        """Ask for consent beside the request that wants it; never twice at once for a session."""
        if session.id in self._asking:
            return
        task = asyncio.create_task(self._negotiate(session), name=f"session {session.id}")
        self._asking[session.id] = task
        task.add_done_callback(lambda _: self._asking.pop(session.id, None))

    async def _negotiate(self, session: Session) -> None:
        try:
            await self._ask_and_open(session)
        except Unavailable as error:
            log.info("session %s: %s", session.id, error)
            there = await self._link.reachable(session.machine_id)
            await self.end(session.id, EndReason.NO_ANSWER if there else EndReason.OFFLINE)
        except Conflict:
            log.info("session %s ended while it was asked for", session.id)
        except Exception:
            log.exception("session %s could not be opened", session.id)
            await self.end(session.id, EndReason.OFFLINE)

    async def _ask_and_open(self, session: Session) -> None:
        if session.state is SessionState.REQUESTED:
            await self._move_to_consenting(session)
        title = await self._link.ticket_title(session.ticket_id)
        answer = await self._link.ask_consent(session.machine_id, question(session, title, self._settings))
        if not answer.granted:
            reason = EndReason.NO_ANSWER if answer.source is messages.ConsentSource.NONE else EndReason.REFUSED
            await self.end(session.id, reason, detail=answer.reason)
            return
        async with self._db.transaction() as conn:
            by = f"{answer.source.value}: {answer.person}".strip(": ")[:80]
            if not await store.granted(conn, session.id, until=answer.until, by=by):
                raise Conflict(OVER)
            details = {"source": answer.source.value, "person": answer.person, "until": answer.until}
            await tell(conn, session, "open", Actor.agent(session.machine_id), details)
        with contextlib.suppress(Unavailable):  # gone this very moment: `_take_up` tells it when it is back
            await self._link.tell(session.machine_id, open_message(session))

    async def _move_to_consenting(self, session: Session) -> None:
        async with self._db.transaction() as conn:
            if not await store.move(conn, session.id, SessionState.REQUESTED, SessionState.CONSENTING):
                raise Conflict(OVER)
            await tell(conn, session, "consenting", Actor.system(), {})

    async def _in_session(self, machine_ids: Sequence[int]) -> Collection[int]:
        async with self._db.connection() as conn:
            return await store.in_session(conn, machine_ids)

    async def _take_up(self, machine: Machine) -> None:
        """The agent is back (or the server is): go on where each session of its machine was."""
        async with self._db.connection() as conn:
            sessions = await store.live_of_machine(conn, machine.id)
        for session in sessions:
            if session.state is SessionState.OPEN:
                with contextlib.suppress(Unavailable):
                    await self._link.tell(machine.id, open_message(session))
            else:
                self._begin(session)

    async def _refused(self, machine: Machine, message: messages.SessionRefused) -> None:
        session = await self._of_machine(message.session_id, machine)
        if session is not None and session.live and self._rooms.get(session.id) is None:
            await self.end(session.id, EndReason.REFUSED, detail=message.reason)

    async def _ended_by_agent(self, machine: Machine, message: messages.SessionEnded) -> None:
        session = await self._of_machine(message.session_id, machine)
        if session is not None:
            await self.end(session.id, FROM_AGENT.get(message.reason, EndReason.CLIENT))

    async def _of_machine(self, session_id: str, machine: Machine) -> Session | None:
        """A machine speaks for its own sessions only."""
        try:
            session = await self.get(session_id)
        except NotFound:
            return None
        if session.machine_id != machine.id:
            log.warning("machine %s speaks for session %s of another machine", machine.id, session_id)
            return None
        return session

    # ending

    async def stop(self, member: Member, session_id: str) -> None:
        """End a session as a member. Raises Forbidden, Conflict when it is over."""
        session = await self.get(session_id)
        await self.require_entry(session, member)
        if not await self.end(session_id, EndReason.MEMBER, actor=Actor.member(member.id)):
            raise Conflict(OVER)

    async def end_for_ticket(self, ticket_id: int) -> None:
        """The ticket is closed: its sessions end."""
        for session in await self.for_ticket(ticket_id):
            if session.live:
                await self.end(session.id, EndReason.TICKET)

    async def end_for_machine(self, machine_id: int) -> None:
        """The machine is revoked: its sessions end."""
        async with self._db.connection() as conn:
            sessions = await store.live_of_machine(conn, machine_id)
        for session in sessions:
            await self.end(session.id, EndReason.REVOKED)

    async def end(self, session_id: str, reason: EndReason, *, actor: Actor | None = None, detail: str = "") -> bool:
        """End it wherever it stands; False when it was over already."""
        for _ in SessionState:  # it may move on while this looks: at most as often as there are states
            session = await self.get(session_id)
            if not session.live:
                return False
            if await self._end(session, reason, actor or ended_by(session, reason), detail):
                await self._after_end(session, reason)
                return True
        return False

    async def _end(self, session: Session, reason: EndReason, actor: Actor, detail: str) -> bool:
        async with self._db.transaction() as conn:
            detail = bounds.text(detail, 500)
            if not await store.end(conn, session.id, session.state, reason, detail):
                return False
            await people_store.revoke_all(conn, session.id)
            details = {"reason": reason.value, "detail": detail, "state": session.state.value}
            await tell(conn, session, "ended", actor, details)
        return True

    async def _after_end(self, session: Session, reason: EndReason) -> None:
        task = self._asking.get(session.id)
        if task is not None and task is not asyncio.current_task():
            task.cancel()
        self._rooms.close(session.id, reason)
        with contextlib.suppress(Unavailable):
            ended = messages.SessionEnded(session_id=session.id, reason=TO_AGENT[reason])
            await self._link.tell(session.machine_id, ended)
        await self._rooms.finish(session.id)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Started and stopped with the server."""
        tidying = asyncio.create_task(self._tidy(), name="sessions")
        try:
            yield
        finally:
            tasks = [tidying, *self._asking.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _tidy(self) -> None:
        """What a kill left behind: recordings that were not finished, and, from then on, questions nobody asks."""
        finished = False
        while True:
            try:
                if not finished:
                    await self._rooms.recordings.finish_left_over()
                    finished = True
                await self.end_unanswered()
            except Exception:
                log.exception("what an earlier stop left behind could not be tidied up yet")
            await asyncio.sleep(TIDY_EVERY)

    async def end_unanswered(self) -> None:
        """End the sessions whose question is older than a question may be and is not being asked by this process."""
        async with self._db.connection() as conn:
            waiting = [found for found in await store.live(conn) if found.state is not SessionState.OPEN]
        oldest = datetime.now(UTC) - timedelta(seconds=self._settings.consent_seconds + ANSWER_MARGIN)
        for session in waiting:
            if session.requested_at < oldest and session.id not in self._asking:
                await self.end(session.id, EndReason.NO_ANSWER)
