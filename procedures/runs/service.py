"""Runs with the agent's help: ask it to look, to do, to verify; accept its reports, once, whenever they come."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from compagnon.audit import Actor
from compagnon.auth.model import Member
from compagnon.db import Connection
from compagnon.errors import AppError, Conflict, Invalid, NotFound, Unavailable
from compagnon.i18n import N_
from compagnon.kernel import Kernel
from compagnon_agent.protocol.checks import CheckResult, is_read_only
from compagnon_agent.protocol.manifest import RESULT_STEP
from procedures.format.model import Evidence as Wanted
from procedures.library.service import Library
from procedures.ports import (
    MachineGateway,
    Phase,
    ReportState,
    RunObserver,
    StepReport,
    StepRequest,
    TicketGate,
)
from procedures.runs import reports, store
from procedures.runs.acts import OVER, Acts, Ended, note
from procedures.runs.board import RunView, found, plan_for, view
from procedures.runs.model import Attempt, Outcome, ResultState, ResultVerification, Run, Visit, time_spent
from procedures.runs.plan import Plan

log = logging.getLogger(__name__)
VERIFY_TIMEOUT = 60.0  # seconds for all result checks of a procedure
PATIENCE = 300.0  # seconds after a start in which agents are expected to connect again
ASK_EVERY = 1.0  # seconds


class Runs(Acts):
    """Everything about runs. Work with agents goes on in the background and survives a restart (``recover``)."""

    def __init__(
        self,
        kernel: Kernel,
        library: Library,
        gateway: MachineGateway,
        gate: TicketGate,
        observers: Sequence[RunObserver] = (),
    ) -> None:
        super().__init__(kernel, library, gateway, gate, observers)
        self._tasks: set[asyncio.Task[None]] = set()

    # asking

    async def ask(self, run_id: int, member: Member, *, revision: int, phase: Phase) -> Attempt:
        """Have the agent check, execute or verify the current step; returns at once, the report comes by itself.

        The attempt is committed before anything is sent. Raises Conflict (somebody acted, the agent is at it, closed
        ticket), Invalid (no machine or ticket, nothing for an agent in this step), Forbidden.
        """
        await self._check_open_ticket(run_id)
        async with self._db.transaction() as conn:
            run = await self._lock(conn, run_id, member, revision)
            seen = await view(conn, run)
            if seen.current is None:
                raise Conflict(OVER)
            _check_askable(seen, seen.current, phase)
            attempt_id = await self._insert(conn, run, seen.current, phase, member.id)
            await store.touch(conn, run, time_spent(run.touched_at, datetime.now(UTC)))
            await note(
                conn, run, Actor.member(member.id), "run.asked", step=run.current_step, phase=phase, attempt=attempt_id
            )
            request = _request(run, seen.plan, attempt_id, seen.current.step_id, phase, member)
            attempt = _there(await store.attempt(conn, attempt_id))
        self._launch(request)
        return attempt

    async def _check_open_ticket(self, run_id: int) -> None:
        run = await self.get(run_id)
        if run.ticket_id is None or run.machine_id is None:
            raise Invalid(N_("The agent acts only for a ticket, on a machine: this run is followed by hand."))
        await self._gate.require_open(run.ticket_id)

    async def _insert(self, conn: Connection, run: Run, visit: Visit, phase: Phase, member_id: int) -> str:
        attempt_id = str(uuid.uuid4())
        await store.ask(conn, attempt_id, run=run, visit_id=visit.id, phase=phase, member_id=member_id)
        return attempt_id

    async def ask_again(self, run_id: int, member: Member, attempt_id: str) -> None:
        """Ask for the result of an attempt that got no answer; the agent does not do it twice."""
        await self._check_open_ticket(run_id)
        async with self._db.transaction() as conn:
            run = found(await store.lock(conn, run_id))
            await self._check_may_act(conn, run, member)
            attempt = await self._attempt_of(conn, run, attempt_id)
            if not await store.reopen(conn, attempt.id):
                raise Conflict(N_("This request has its answer already."))
            await note(conn, run, Actor.member(member.id), "run.asked_again", attempt=attempt.id)
            request = await self._request_again(conn, attempt)
        self._launch(request)

    async def stop_waiting(self, run_id: int, member: Member, attempt_id: str) -> None:
        """Go on without the agent's answer. If it comes later it is still kept, but changes no outcome."""
        async with self._db.transaction() as conn:
            run = found(await store.lock(conn, run_id))
            await self._check_may_act(conn, run, member)
            attempt = await self._attempt_of(conn, run, attempt_id)
            await store.report(conn, attempt.id, reports.columns(_silence("")))
            await note(conn, run, Actor.member(member.id), "run.stopped_waiting", attempt=attempt.id)

    async def _attempt_of(self, conn: Connection, run: Run, attempt_id: str) -> Attempt:
        attempt = await store.attempt(conn, _uuid(attempt_id))
        if attempt is None or attempt.run_id != run.id:
            raise NotFound(N_("There is no such request to the agent."))
        return attempt

    # reports

    async def record_report(self, attempt_id: str, report: StepReport) -> bool:
        """Keep the agent's report about an attempt and draw the consequences, once: False when it was known already.

        Raises NotFound for an unknown attempt.
        """
        follow: StepRequest | None = None
        ended: Ended | None = None
        async with self._db.transaction() as conn:
            attempt = _there(await store.attempt(conn, _uuid(attempt_id)))
            run = found(await store.lock(conn, attempt.run_id))
            if not await store.report(conn, attempt.id, reports.columns(report)):
                return False
            details = {
                "attempt": attempt.id,
                "phase": attempt.phase,
                "state": report.state,
                "exit_code": report.exit_code,
            }
            actor = Actor.agent(attempt.machine_id)
            if report.state is not ReportState.UNREACHABLE and run.active:
                ended, follow = await self._draw_consequences(conn, run, attempt, actor)
            await note(conn, run, actor, "run.reported", step=attempt.step_id, **details)
        if ended:
            await self._tell(ended)
        if follow:
            self._launch(follow)
        return True

    async def _draw_consequences(
        self, conn: Connection, run: Run, attempt: Attempt, actor: Actor
    ) -> tuple[Ended | None, StepRequest | None]:
        """A verified step is done; an executed one that has checks is verified next. All else is for a person."""
        seen = await view(conn, run)
        visit, now = seen.current, _there(await store.attempt(conn, attempt.id))
        if visit is None or visit.id != attempt.run_step_id or now.phase == Phase.CHECK:
            return None, None
        if now.state == ReportState.DONE and now.passed and seen.missing_evidence is Wanted.NONE:
            machine = attempt.machine_id
            return await self._complete(conn, seen, visit, Outcome.DONE, actor=actor, verified_by=machine), None
        if now.phase == Phase.EXECUTE and now.state == ReportState.DONE and not now.checks:
            return None, await self._verify_next(conn, seen, visit, attempt.member_id)
        return None, None

    async def _verify_next(self, conn: Connection, seen: RunView, visit: Visit, member_id: int) -> StepRequest | None:
        if not seen.plan.checks(visit.step_id):
            return None
        attempt_id = await self._insert(conn, seen.run, visit, Phase.VERIFY, member_id)
        member = await self._members.get(member_id, conn=conn)
        return _request(seen.run, seen.plan, attempt_id, visit.step_id, Phase.VERIFY, member)

    async def recover(self) -> int:
        """After a start: ask again for every attempt without an answer; how many. Agents answer from their journal."""
        async with self._db.transaction() as conn:
            requests = [await self._request_again(conn, attempt) for attempt in await store.open_attempts(conn)]
        for request in requests:
            self._launch(request, patience=PATIENCE)
        return len(requests)

    async def _request_again(self, conn: Connection, attempt: Attempt) -> StepRequest:
        run = found(await store.get(conn, attempt.run_id))
        member = await self._members.get(attempt.member_id, conn=conn)
        plan = await plan_for(conn, run)
        return _request(run, plan, attempt.id, attempt.step_id, Phase(attempt.phase), member)

    # in the background

    def _launch(self, request: StepRequest, *, patience: float = 0) -> None:
        task = asyncio.create_task(self._perform(request, patience), name=f"attempt {request.attempt_id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _perform(self, request: StepRequest, patience: float) -> None:
        """Ask, for ``patience`` seconds again and again while the machine is out of reach, and keep the answer."""
        until = asyncio.get_running_loop().time() + patience
        report = await self._ask_gateway(request)
        while report.state is ReportState.UNREACHABLE and asyncio.get_running_loop().time() < until:
            await asyncio.sleep(ASK_EVERY)
            report = await self._ask_gateway(request)
        await self._record_surely(request.attempt_id, report)

    async def _ask_gateway(self, request: StepRequest) -> StepReport:
        try:
            return await self._gateway.execute_step(request)
        except AppError as error:
            return _silence(str(error))
        except Exception:
            log.exception("the request %s failed", request.attempt_id)
            return _silence("")

    async def _record_surely(self, attempt_id: str, report: StepReport) -> None:
        """The report must not be lost to a database that restarts: record_report may be called again."""
        for delay in (0.2, 1, 3, 10, 30):
            try:
                await self.record_report(attempt_id, report)
                return
            except Conflict:
                pass  # somebody ended the step at the same moment; the next try only keeps the report
            except Exception:
                log.exception("the report of %s could not be kept yet", attempt_id)
            await asyncio.sleep(delay)
        log.error("the report of %s was given up; it is asked for again at the next start", attempt_id)

    async def settled(self) -> None:
        """Wait until no request is under way in this process (tests, orderly stops)."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """Recover at the start; at the stop, leave what is under way to the next start."""
        count = await self.recover()
        if count:
            log.info("asked again for the results of %d requests to agents", count)
        try:
            yield
        finally:
            tasks = tuple(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    # the result

    async def verify_result(self, run_id: int, member: Member) -> ResultVerification:
        """Have the agent check now whether the procedure's result holds, and keep the answer with the run."""
        seen = await self.show(run_id)
        verification = await self._verification(seen, member)
        async with self._db.transaction() as conn:
            run = found(await store.lock(conn, run_id))
            kept = {"state": verification.state, "checks": list(verification.checks), "at": verification.at.isoformat()}
            await store.set_result(conn, run_id, kept)
            await note(conn, run, Actor.member(member.id), "run.result_verified", state=verification.state)
        return verification

    async def _verification(self, seen: RunView, member: Member) -> ResultVerification:
        run, now = seen.run, datetime.now(UTC)
        if not seen.plan.manifest.result:
            return ResultVerification(run_id=run.id, state=ResultState.NOTHING, at=now)
        try:
            results = await self._result_checks(seen, member)
        except Unavailable:
            results = ()
        checks = reports.stored(results)
        outcomes = {str(check["outcome"]) for check in checks}
        state = ResultState.UNAVAILABLE
        if "fail" in outcomes:
            state = ResultState.FAILED
        elif outcomes == {"pass"}:
            state = ResultState.PASSED
        return ResultVerification(run_id=run.id, state=state, checks=checks, at=now)

    async def _result_checks(self, seen: RunView, member: Member) -> tuple[CheckResult, ...]:
        """Read-only checks need no consent; executable ones go the way of a step, which the client consented to."""
        run, checks = seen.run, seen.plan.manifest.result
        if run.machine_id is None:
            return ()
        if run.ticket_id is not None and not all(is_read_only(check) for check in checks):
            request = _request(run, seen.plan, str(uuid.uuid4()), RESULT_STEP, Phase.VERIFY, member)
            return (await self._gateway.execute_step(request)).checks
        results = await self._gateway.run_checks(
            run.machine_id,
            checks,
            parameters=run.parameters,
            ticket_id=run.ticket_id,
            member_id=member.id,
            timeout=VERIFY_TIMEOUT,
        )
        return tuple(results)


def _check_askable(seen: RunView, visit: Visit, phase: Phase) -> None:
    if seen.waiting:
        raise Conflict(N_("The agent is still at work on this step: wait for its answer, or stop waiting."))
    has_work = seen.plan.executes(visit.step_id) if phase is Phase.EXECUTE else seen.plan.checks(visit.step_id)
    if not has_work:
        raise Invalid(N_("There is nothing for the agent to do in this step."))


def _request(run: Run, plan: Plan, attempt_id: str, step_id: str, phase: Phase, member: Member) -> StepRequest:
    if run.machine_id is None or run.ticket_id is None:
        raise Invalid(N_("The agent acts only for a ticket, on a machine: this run is followed by hand."))
    return StepRequest(
        attempt_id=attempt_id,
        machine_id=run.machine_id,
        ticket_id=run.ticket_id,
        run_id=run.id,
        member_id=member.id,
        member_name=member.name,
        manifest=plan.manifest,
        step_id=step_id,
        parameters=dict(run.parameters),
        phase=phase,
    )


def _silence(reason: str) -> StepReport:
    now = datetime.now(UTC)
    state = ReportState.UNREACHABLE
    return StepReport(state=state, output=reason, exit_code=None, checks=(), started=now, ended=now)


def _there(attempt: Attempt | None) -> Attempt:
    if attempt is None:
        raise NotFound(N_("There is no such request to the agent."))
    return attempt


def _uuid(attempt_id: str) -> str:
    try:
        return str(uuid.UUID(attempt_id))
    except ValueError:
        raise NotFound(N_("There is no such request to the agent.")) from None
