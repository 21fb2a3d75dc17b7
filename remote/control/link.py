"""The way to the agents: who is connected, questions with answers, and what the agents say by themselves.

Implements ``procedures.ports.MachineGateway``. One dictionary of connections, one of waiting questions: a connection
has no task, timer or queue of its own beyond the handler that reads it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import secrets
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from compagnon import events
from compagnon.errors import AppError, Unavailable
from compagnon.i18n import N_
from compagnon.kernel import Kernel
from compagnon_agent.protocol import messages
from compagnon_agent.protocol.checks import Check, CheckResult
from compagnon_agent.protocol.manifest import digest
from compagnon_agent.protocol.wire import WireError
from procedures.ports import MachineRef, ReportState, StepReport, StepRequest, TicketGate
from remote import wire
from remote.control import steps
from remote.control.connection import AgentConnection, Closed
from remote.control.identity import Identity
from remote.control.steps import Question
from remote.machines.model import Machine, MachineState
from remote.machines.service import Machines

log = logging.getLogger(__name__)
M = TypeVar("M", bound=messages.Message)
Handler = Callable[[Machine, Any], Awaitable[None]]
Reports = Callable[[int, str, StepReport], Awaitable[bool]]
REPORT_SECONDS = 20.0  # for keeping a report; not acknowledged after it, so that the agent brings it again
GRANT_SECONDS = 4 * 3600
OFFLINE = N_("This machine is offline.")
SILENT = N_("The machine did not answer in time.")
WITHDRAWN = N_("Nobody waits for this any more.")


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingConsent:
    """A question that is on a machine's screen now; ``short_code`` is compared by voice."""

    request_id: str
    machine_id: int
    ticket_id: int
    member_name: str
    kind: str
    subject: str
    short_code: str
    asked_at: datetime


class AgentLink:
    """See the module. ``gate`` gives the ticket's title for the consent dialog; it is attached while wiring."""

    def __init__(self, kernel: Kernel) -> None:
        self.machines = Machines(kernel)
        self.identity = Identity.load(kernel.settings.data_dir)
        self.gate: TicketGate | None = None
        self.reports: Reports | None = None  # keeps a machine's report; whether the agent may forget it
        self.on_connected: list[Callable[[Machine], Awaitable[None]]] = []
        self._db = kernel.db
        self._settings = kernel.settings
        self._connections: dict[int, AgentConnection] = {}
        self._waiting: dict[tuple[int, str], asyncio.Future[Any]] = {}
        self._consents: dict[str, PendingConsent] = {}
        self._asking: dict[tuple[int, int, str], Question] = {}
        self._handlers: dict[type[messages.Message], Handler] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    # connections

    def handle(self, kind: type[M], handler: Callable[[Machine, M], Awaitable[None]]) -> None:
        """Call ``handler`` for messages of this type that answer no question. It must not ask the same agent."""
        self._handlers[kind] = handler

    def online(self, machine_id: int) -> bool:
        """Whether the agent of an approved machine is connected to this process."""
        connection = self._connections.get(machine_id)
        return connection is not None and connection.machine.state is MachineState.APPROVED

    @property
    def connections(self) -> Mapping[int, AgentConnection]:
        return self._connections

    def add(self, connection: AgentConnection) -> AgentConnection | None:
        """Register a connection; gives back the one that it replaces."""
        before = self._connections.get(connection.machine.id)
        self._connections[connection.machine.id] = connection
        return before

    def remove(self, connection: AgentConnection) -> bool:
        """False when it was replaced by a newer one meanwhile."""
        machine_id = connection.machine.id
        if self._connections.get(machine_id) is not connection:
            return False
        del self._connections[machine_id]
        for key, waiting in list(self._waiting.items()):
            # A step's result is sent again after a reconnection; every other question died with its connection.
            if key[0] == machine_id and not key[1].startswith("step:") and not waiting.done():
                waiting.set_exception(Unavailable(OFFLINE))
        return True

    async def received(self, connection: AgentConnection, message: messages.Message) -> None:
        """One message of an agent. It speaks for its own machine only: answers are looked up under its id."""
        machine_id = connection.machine.id
        match message:
            case messages.Heartbeat():
                await connection.send(messages.Heartbeat(at=datetime.now(UTC)))
            case messages.StepResult():
                await self._step_result(connection, message)
            case messages.CheckResults(request_id=request_id) | messages.ConsentAnswer(request_id=request_id):
                self._answer(machine_id, request_id, message)
            case messages.Unknown(name=name):
                log.info("machine %s: message of unknown type %r left alone", machine_id, name)
            case _:
                await self._hand_on(connection, message)

    async def _step_result(self, connection: AgentConnection, result: messages.StepResult) -> None:
        """Keep it, whoever waits for it, and only then let the agent forget it: it brings it again until it is kept."""
        machine_id = connection.machine.id
        kept = not result.needs_consent and await self._keep(connection.machine, result)
        self._answer(machine_id, f"step:{result.attempt_id}", result)
        if kept:
            await connection.send(messages.StepAck(attempt_id=result.attempt_id))

    async def _keep(self, machine: Machine, result: messages.StepResult) -> bool:
        if self.reports is None or machine.state is not MachineState.APPROVED:
            return False
        try:
            async with asyncio.timeout(REPORT_SECONDS):
                return await self.reports(machine.id, result.attempt_id, steps.reported(result))
        except Exception:
            log.exception("machine %s: the report of %s could not be kept yet", machine.id, result.attempt_id)
            return False

    async def _hand_on(self, connection: AgentConnection, message: messages.Message) -> None:
        handler = self._handlers.get(type(message))
        if handler is None or connection.machine.state is not MachineState.APPROVED:
            log.info("machine %s: unexpected %s left alone", connection.machine.id, message.TYPE)
            return
        await handler(connection.machine, message)

    def _answer(self, machine_id: int, key: str, message: messages.Message) -> None:
        waiting = self._waiting.get((machine_id, key))
        if waiting is not None and not waiting.done():
            waiting.set_result(message)

    async def tell(self, machine_id: int, message: messages.Message) -> None:
        """Send without expecting an answer. Raises Unavailable when the machine is offline."""
        connection = self._connections.get(machine_id)
        if connection is None or connection.machine.state is not MachineState.APPROVED:
            raise Unavailable(OFFLINE)
        try:
            await connection.send(message)
        except Closed:
            raise Unavailable(OFFLINE) from None

    async def _ask(self, machine_id: int, key: str, message: messages.Message, kind: type[M], timeout: float) -> M:
        """Raises Unavailable: offline, cut off, or no answer in ``timeout`` seconds."""
        async with self._waiting_for(machine_id, key) as answer:
            await self.tell(machine_id, message)
            try:
                found = await asyncio.wait_for(answer, timeout)
            except TimeoutError:
                raise Unavailable(SILENT) from None
        if not isinstance(found, kind):
            raise Unavailable(SILENT)
        return found

    @contextlib.asynccontextmanager
    async def _waiting_for(self, machine_id: int, key: str) -> AsyncIterator[asyncio.Future[Any]]:
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[machine_id, key] = future
        try:
            yield future
        finally:
            if self._waiting.get((machine_id, key)) is future:
                del self._waiting[machine_id, key]
            future.cancel()

    async def changed(self, machine_id: int) -> None:
        """A member approved, revoked, renamed or moved the machine: tell its agent if it is connected here."""
        connection = self._connections.get(machine_id)
        if connection is None:
            return
        before, connection.machine = connection.machine, await self.machines.get(machine_id)
        state = connection.machine.state
        if state is before.state:
            return
        with contextlib.suppress(Closed):
            if state is MachineState.APPROVED:
                await self.welcome(connection)
            elif state is MachineState.REVOKED:
                signature = connection.proof.sign(self.identity, "revoked")
                last = messages.encode(messages.Revoked(signature=signature))
                connection.wire.dismiss(wire.NOT_AUTHENTICATED, "revoked", last=last)

    async def welcome(self, connection: AgentConnection) -> None:
        signature = connection.proof.sign(self.identity, "welcome")
        await connection.send(messages.Welcome(signature=signature, cooperative=self._settings.cooperative))
        for react in self.on_connected:
            self._later(self._react(react, connection.machine))

    async def _react(self, react: Callable[[Machine], Awaitable[None]], machine: Machine) -> None:
        try:
            await react(machine)
        except Exception:
            log.exception("machine %s is back, and something that waited for it failed", machine.id)

    async def keep_present(self) -> None:
        """Called every 20 seconds: note who was heard of, drop the silent, notice what other processes decided."""
        silent = time.monotonic() - messages.SILENCE
        heard = [machine_id for machine_id, found in self._connections.items() if found.heard > silent]
        for connection in [found for found in self._connections.values() if found.heard <= silent]:
            connection.wire.dismiss(wire.SILENT, "silent")
        served = await self.machines.seen(heard)
        for machine_id in heard:
            found = self._connections.get(machine_id)
            if found and (machine_id not in served or found.machine.state is MachineState.PENDING):
                self._later(self._notice(machine_id))

    async def _notice(self, machine_id: int) -> None:
        try:
            await self.changed(machine_id)
        except Exception:
            log.exception("what was decided about machine %s could not be told its agent yet", machine_id)

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        """Beside the caller: whoever looks after all agents waits for none of them."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # consent

    def consents(self, machine_id: int) -> list[PendingConsent]:
        """Questions that are on the machine's screen now."""
        return [found for found in self._consents.values() if found.machine_id == machine_id]

    async def ask_consent(self, machine_id: int, request: messages.ConsentRequest) -> messages.ConsentAnswer:
        """Ask the person at the machine and wait. Raises Unavailable: offline or nobody answered."""
        subject = request.manifest.title if request.manifest else request.reason
        shown = PendingConsent(
            request_id=request.request_id,
            machine_id=machine_id,
            ticket_id=request.ticket_id,
            member_name=request.member_name,
            kind=request.kind,
            subject=subject,
            short_code=request.short_code,
            asked_at=datetime.now(UTC),
        )
        self._consents[request.request_id] = shown
        answered = False
        try:
            await self._publish_consent(shown)
            wait = float(request.wait + 10)
            answer = await self._ask(machine_id, request.request_id, request, messages.ConsentAnswer, wait)
            answered = True
            return answer
        finally:
            del self._consents[request.request_id]
            if not answered:  # given up, or who asked has gone: nobody should say yes to it now
                self._later(self._cancel(machine_id, request.request_id))
            await self._publish_consent(shown)

    async def _cancel(self, machine_id: int, id_: str) -> None:
        with contextlib.suppress(Unavailable):
            await self.tell(machine_id, messages.Cancel(id=id_))

    async def _publish_consent(self, shown: PendingConsent) -> None:
        async with self._db.transaction() as conn:
            await events.publish(conn, f"machine:{shown.machine_id}", "consent")
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
