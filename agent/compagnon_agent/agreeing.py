"""A proposal of the server, shown to the person at the machine: their yes is kept here, their no changes nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from . import agreements, consent
from .agreement_question import proposal_question
from .audit import AuditLog
from .policy import LocalPolicy
from .protocol import agreements as terms
from .protocol.messages import ConsentSource, Message, PolicyAnswer, PolicyProposal
from .protocol.wire import JSON, WireError
from .question import Question

Ask = Callable[[str, Callable[[], Question]], Awaitable[consent.Reply]]


class Agreeing:
    """``policy`` gives what holds now, read again; ``ask`` shows a question at the screen or in the terminal."""

    def __init__(
        self,
        *,
        folder: Path,
        audit: AuditLog,
        policy: Callable[[], LocalPolicy],
        ask: Ask,
        send: Callable[[Message], None],
    ) -> None:
        self._folder = folder
        self._audit = audit
        self._policy = policy
        self._ask = ask
        self._send = send

    async def propose(self, message: PolicyProposal) -> None:
        """Shown whole to whoever is here; only their yes makes it hold, and only on this machine."""
        reply = await self._reply(message)
        if reply.granted:
            reply = self._keep(message, reply)
        accepted = reply.granted is True
        about: dict[str, JSON] = {"version": message.proposal.version, "digest": terms.digest(message.proposal)}
        self._audit.record("policy.proposed", {**about, "member": message.member_name, "accepted": accepted})
        self._policy()  # told to the server as it is now
        self._send(
            PolicyAnswer(
                request_id=message.request_id,
                accepted=accepted,
                source=reply.source,
                reason=reply.reason,
                person=_person(reply),
            )
        )

    async def _reply(self, message: PolicyProposal) -> consent.Reply:
        try:
            terms.check(message.proposal.terms)
        except WireError as fault:
            return consent.Reply(granted=False, reason=str(fault)[:500])
        policy = self._policy()
        if not policy.agreements:
            return consent.Reply(granted=False, reason="this machine's owner takes no agreements")
        return await self._ask(message.request_id, lambda: proposal_question(message, policy.max_hours))

    def _keep(self, message: PolicyProposal, reply: consent.Reply) -> consent.Reply:
        agreement = agreements.made(
            message.proposal,
            cooperative=message.cooperative,
            member=message.member_name,
            person=_person(reply),
            now=datetime.now(UTC),
        )
        try:
            agreements.keep(self._folder, agreement)
        except OSError as fault:
            return replace(reply, granted=False, reason=f"it could not be written down: {fault.strerror}")
        return reply

    def withdraw(self) -> bool:
        """False when nothing was agreed to."""
        known = agreements.withdraw(self._folder)
        if known:
            self._audit.record("policy.withdrawn", {})
            self._policy()
        return known


def _person(reply: consent.Reply) -> str:
    return (reply.person or consent.person())[:120] if reply.source is not ConsentSource.NONE else ""
