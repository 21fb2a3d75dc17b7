"""The way to the agents: who is connected, questions with answers, and what the agents say by themselves.

Implements ``procedures.ports.MachineGateway``.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TypeVar

from compagnon import events
from compagnon.errors import AppError, Unavailable
from compagnon.i18n import N_
from compagnon.kernel import Kernel
from compagnon_agent.protocol import messages
from compagnon_agent.protocol.checks import Check, CheckResult
from compagnon_agent.protocol.manifest import digest
from compagnon_agent.protocol.wire import WireError
from procedures.ports import MachineRef, ReportState, StepReport, StepRequest, TicketGate
from remote.control import steps
from remote.control.lines import Lines
from remote.control.steps import Question

log = logging.getLogger(__name__)
GRANT_SECONDS = 4 * 3600
WAKE_SECONDS = 6.0  # an agent sends three times within half a second
WITHDRAWN = N_("Nobody waits for this any more.")


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingConsent:
    """A question that is on a machine's screen now; ``short_code`` is compared by voice. A rule has no ticket.

    ``recorded``: nothing can ask there (a device without an agent): a member writes down who agreed.
    """

    request_id: str
    machine_id: int
    ticket_id: int | None
    member_name: str
    kind: str
    subject: str
    short_code: str
    asked_at: datetime
    recorded: bool = False


ForPerson = messages.ConsentRequest | messages.PolicyProposal
M = TypeVar("M", bound=messages.Message)


def _pending(machine_id: int, request: ForPerson, *, kind: str, subject: str, ticket_id: int | None) -> PendingConsent:
    return PendingConsent(
        request_id=request.request_id,
        machine_id=machine_id,
        ticket_id=ticket_id,
        member_name=request.member_name,
        kind=kind,
        subject=subject,
        short_code=request.short_code,
        asked_at=datetime.now(UTC),
    )


class AgentLink(Lines):
    """See the module. ``gate`` gives the ticket's title for the consent dialog; it is attached while wiring."""

    def __init__(self, kernel: Kernel) -> None:
        super().__init__(kernel)
        self.gate: TicketGate | None = None
        self._consents: dict[str, PendingConsent] = {}
        self._asking: dict[tuple[int, int, str], Question] = {}

    # consent

    def consents(self, machine_id: int) -> list[PendingConsent]:
        """Questions that are on the machine's screen now."""
        return [found for found in self._consents.values() if found.machine_id == machine_id]

    async def ask_consent(self, machine_id: int, request: messages.ConsentRequest) -> messages.ConsentAnswer:
        """Ask the person at the machine and wait. Raises Unavailable: offline or nobody answered."""
        subject = request.manifest.title if request.manifest else request.reason
        shown = _pending(machine_id, request, kind=request.kind, subject=subject, ticket_id=request.ticket_id)
        connection = self._connections.get(machine_id)
        if connection is not None and connection.machine.is_device:
            shown = replace(shown, recorded=True)
        return steps.by_our_clock(await self._ask_person(shown, request, messages.ConsentAnswer))

    async def ask_policy(self, machine_id: int, request: messages.PolicyProposal) -> messages.PolicyAnswer:
        """Show a proposed rule to the person at the machine and wait. Raises Unavailable."""
        subject = request.proposal.client
        shown = _pending(machine_id, request, kind="policy", subject=subject, ticket_id=None)
        return await self._ask_person(shown, request, messages.PolicyAnswer)

    async def wake(self, neighbour_id: int, request: messages.Wake) -> messages.WakeAnswer:
        """Have the agent of a neighbour wake another machine. Raises Unavailable."""
        return await self._ask(neighbour_id, request.request_id, request, messages.WakeAnswer, WAKE_SECONDS)

    async def _ask_person(self, shown: PendingConsent, request: ForPerson, kind: type[M]) -> M:
        self._consents[request.request_id] = shown
        answered = False
        try:
            await self._publish_consent(shown)
            answer = await self._ask(shown.machine_id, request.request_id, request, kind, float(request.wait + 10))
            answered = True
            return answer
        finally:
            del self._consents[request.request_id]
            if not answered:  # given up, or who asked has gone: nobody should say yes to it now
                self._later(self._cancel(shown.machine_id, request.request_id))
            await self._publish_consent(shown)

    async def _publish_consent(self, shown: PendingConsent) -> None:
        async with self._db.transaction() as conn:
            await events.publish(conn, f"machine:{shown.machine_id}", "consent")
            if shown.ticket_id is not None:
                await events.publish(conn, f"ticket:{shown.ticket_id}", "consent")

    async def ticket_title(self, ticket_id: int) -> str:
        if self.gate is None:
            return ""
        try:
            return (await self.gate.require_open(ticket_id)).title[:200]
        except AppError:
            return ""

    async def _consent_to(self, request: StepRequest) -> messages.ConsentAnswer:
        """One question for a manifest, its parameters and ticket, however many steps wait for its answer."""
        values = json.dumps(dict(request.parameters), sort_keys=True)
        key = (request.machine_id, request.ticket_id, digest(request.manifest) + values)
        if key not in self._asking:
            request_id = str(uuid.uuid4())
            answer = asyncio.ensure_future(self._ask_for_manifest(request, request_id))
            self._asking[key] = Question(request_id=request_id, answer=answer)
            answer.add_done_callback(lambda _: self._asking.pop(key, None))
        question = self._asking[key]
        question.attempts.add(request.attempt_id)
        given = await asyncio.shield(question.answer)
        if request.attempt_id not in question.attempts:  # cancelled while it waited
            raise Unavailable(WITHDRAWN)
        return given

    def _stop_asking(self, machine_id: int, attempt_id: str) -> None:
        """The attempt does not wait for consent any more; a question for which none waits is withdrawn."""
        for question in [found for found in self._asking.values() if attempt_id in found.attempts]:
            question.attempts.discard(attempt_id)
            waiting = self._waiting.get((machine_id, question.request_id))
            if not question.attempts and waiting is not None and not waiting.done():
                waiting.set_exception(Unavailable(WITHDRAWN))

    async def _ask_for_manifest(self, request: StepRequest, request_id: str) -> messages.ConsentAnswer:
        question = messages.ConsentRequest(
            request_id=request_id,
            kind=messages.ConsentKind.PROCEDURE,
            ticket_id=request.ticket_id,
            ticket_title=await self.ticket_title(request.ticket_id),
            member_id=request.member_id,
            member_name=request.member_name[:120],
            reason=request.manifest.title,
            short_code=f"{secrets.randbelow(10_000):04d}",
            seconds=GRANT_SECONDS,
            wait=self._settings.consent_seconds,
            cooperative=self._settings.cooperative[:120],
            locale=self._settings.default_locale,
            manifest=request.manifest,
            parameters=dict(request.parameters),
        )
        return await self.ask_consent(request.machine_id, question)

    # MachineGateway

    async def reference(self, machine_id: int) -> MachineRef:
        machine = await self.machines.get(machine_id)
        return MachineRef(
            id=machine.id,
            name=machine.name,
            client_id=machine.client_id,
            environment=machine.environment,
            online=self.online(machine_id) or machine.online,
        )

    async def run_checks(
        self,
        machine_id: int,
        checks: Sequence[Check],
        *,
        parameters: Mapping[str, str],
        ticket_id: int | None,
        member_id: int | None,
        timeout: float,
    ) -> Sequence[CheckResult]:
        if not checks:
            return ()
        request = messages.CheckRequest(
            request_id=str(uuid.uuid4()),
            checks=tuple(checks),
            parameters=dict(parameters),
            timeout=max(1, min(int(timeout), 600)),
            ticket_id=ticket_id,
            member_id=member_id,
        )
        answer = await self._ask(machine_id, request.request_id, request, messages.CheckResults, timeout + 10)
        if len(answer.results) != len(checks):
            raise Unavailable(N_("The machine answered something else than what was asked."))
        return tuple(steps.about(check, result) for check, result in zip(checks, answer.results, strict=True))

    async def execute_step(self, request: StepRequest) -> StepReport:
        started = datetime.now(UTC)
        try:
            result = await self._attempt(request)
            if result.needs_consent:
                answer = await self._consent_to(request)
                if not answer.granted:
                    return steps.own_report(ReportState.REFUSED, answer.reason, started)
                result = await self._attempt(request)
        except Unavailable as error:
            return steps.own_report(ReportState.UNREACHABLE, str(error), started)
        except WireError as error:
            return steps.own_report(ReportState.REFUSED, str(error), started)
        return steps.reported(result)

    async def cancel_step(self, machine_id: int, attempt_id: str) -> None:
        """Nobody waits for this attempt any more: its agent kills it, or asks no more for consent to it.

        Its report is still kept if it comes. Does not raise for a machine that is out of reach.
        """
        self._stop_asking(machine_id, attempt_id)
        await self._cancel(machine_id, attempt_id)

    async def _attempt(self, request: StepRequest) -> messages.StepResult:
        key = f"step:{request.attempt_id}"
        return await self._ask(
            request.machine_id, key, steps.execute(request), messages.StepResult, steps.patience(request)
        )
