"""Runs with the agent's help: ask it to look, to do, to verify; accept its reports, once, whenever they come."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from compagnon.audit import Actor
from compagnon.auth.model import Member
from compagnon.db import Connection
from compagnon.errors import Conflict, NotFound
from compagnon.i18n import N_
from compagnon_agent.protocol.manifest import RESULT_STEP
from procedures.format.model import Evidence as Wanted
from procedures.ports import (
    Phase,
    ReportState,
    StepReport,
    StepRequest,
)
from procedures.runs import reports, store, waiting_store
from procedures.runs.absent import Absent
from procedures.runs.acts import OVER, Ended, note
from procedures.runs.asking import (
    ANSWERED,
    UNKNOWN,
    canonical,
    check_askable,
    check_current,
    kept_result,
    step_request,
    there,
)
from procedures.runs.board import RunView, found, view
from procedures.runs.model import Attempt, Outcome, ResultState, ResultVerification, Run, Visit, time_spent

log = logging.getLogger(__name__)
PATIENCE = 300.0  # seconds after a start in which agents are expected to connect again


class Runs(Absent):
    """Everything about runs. Work with agents goes on in the background and survives a restart (``recover``)."""

    # asking

    async def ask(self, run_id: int, member: Member, *, revision: int, phase: Phase) -> Attempt:
        """Have the agent check, execute or verify the current step; returns at once, the report comes by itself.

        The attempt is committed before anything is sent. Raises Conflict (somebody acted, the agent is at it, closed
        ticket), Invalid (no machine or ticket, nothing for an agent in this step), Forbidden.
        """
        async with self._db.transaction() as conn:
            run = await self._lock(conn, run_id, member, revision)
            await self._check_open_ticket(conn, run)
            seen = await view(conn, run)
            if seen.current is None:
                raise Conflict(OVER)
            check_askable(seen, seen.current, phase)
            attempt_id = await self._insert(conn, run, seen.current, phase, member.id)
            await store.touch(conn, run, time_spent(run.touched_at, datetime.now(UTC)))
            await note(
                conn, run, Actor.member(member.id), "run.asked", step=run.current_step, phase=phase, attempt=attempt_id
            )
            request = step_request(run, seen.plan, attempt_id, seen.current.step_id, phase, member)
            attempt = there(await store.attempt(conn, attempt_id))
        self._launch(request)
        return attempt

    async def ask_again(self, run_id: int, member: Member, attempt_id: str) -> None:
        """Ask for the result of an attempt that got no answer; the agent does not do it twice.

        Only at the current step: an agent that never heard of the request does it now.
        """
        async with self._db.transaction() as conn:
            run = found(await store.lock(conn, run_id))
            await self._check_may_act(conn, run, member)
            await self._check_open_ticket(conn, run)
            attempt = await self._attempt_of(conn, run, attempt_id)
            check_current(await view(conn, run), attempt)
            if not await store.reopen(conn, attempt.id):
                raise Conflict(ANSWERED)
            await note(conn, run, Actor.member(member.id), "run.asked_again", attempt=attempt.id)
            request = await self._request_again(conn, attempt)
        self._launch(request)

    async def stop_waiting(self, run_id: int, member: Member, attempt_id: str) -> None:
        """Go on without the agent's answer, and tell it to stop. What it still reports is kept, and ends no step."""
        async with self._db.transaction() as conn:
            run = found(await store.lock(conn, run_id))
            await self._check_may_act(conn, run, member)
            attempt = await self._attempt_of(conn, run, attempt_id)
            if not await store.abandon_attempt(conn, attempt.id):
                raise Conflict(ANSWERED)
            await note(conn, run, Actor.member(member.id), "run.stopped_waiting", attempt=attempt.id)
        await self._cancel([(attempt.id, attempt.machine_id)])

    async def _attempt_of(self, conn: Connection, run: Run, attempt_id: str) -> Attempt:
        attempt = await store.attempt(conn, canonical(attempt_id))
        if attempt is None or attempt.run_id != run.id:
            raise NotFound(UNKNOWN)
        return attempt

    # reports

    async def record_report(self, attempt_id: str, report: StepReport, *, machine_id: int | None = None) -> bool:
        """Keep the agent's report about an attempt and draw the consequences, once: False when it was known already.

        It may come at any time, also long after nobody waits. ``machine_id``: whose report it is. Raises NotFound for
        an unknown attempt, and for one of another machine.
        """
        follow: StepRequest | None = None
        ended: Ended | None = None
        async with self._db.transaction() as conn:
            attempt = there(await store.attempt(conn, canonical(attempt_id)))
            if machine_id not in {None, attempt.machine_id}:
                raise NotFound(UNKNOWN)
            run = found(await store.lock(conn, attempt.run_id))
            if report.state is ReportState.UNREACHABLE and await waiting_store.wait_again(conn, attempt.id):
                await note(conn, run, Actor.agent(attempt.machine_id), "run.waits_again", attempt=attempt.id)
                return True
            if not await store.report(conn, attempt.id, reports.columns(report)):
                return False
            details = {
                "attempt": attempt.id,
                "phase": attempt.phase,
                "state": report.state,
                "exit_code": report.exit_code,
            }
            actor = Actor.agent(attempt.machine_id)
            if attempt.of_result:
                details["result"] = await self._keep_result(conn, run, attempt.id)
            elif report.state is not ReportState.UNREACHABLE and run.active:
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
        visit, now = seen.current, there(await store.attempt(conn, attempt.id))
        if visit is None or visit.id != attempt.run_step_id:
            return None, None
        if now.phase == Phase.CHECK:
            return None, await self._after_look(conn, seen, now)
        if now.state == ReportState.DONE and now.passed and seen.missing_evidence is Wanted.NONE:
            machine = attempt.machine_id
            return await self._complete(conn, seen, visit, Outcome.DONE, actor=actor, verified_by=machine), None
        if now.phase == Phase.EXECUTE and now.state == ReportState.DONE and not now.checks:
            return None, await self._verify_next(conn, seen, visit, attempt.member_id)
        return None, None

    async def _verify_next(self, conn: Connection, seen: RunView, visit: Visit, member_id: int) -> StepRequest | None:
        if seen.waiting or not seen.plan.checks(visit.step_id):
            return None
        attempt_id = await self._insert(conn, seen.run, visit, Phase.VERIFY, member_id)
        member = await self._members.get(member_id, conn=conn)
        return step_request(seen.run, seen.plan, attempt_id, visit.step_id, Phase.VERIFY, member)

    async def recover(self) -> int:
        """After a start: ask again for every attempt without an answer; how many. Agents answer from their journal.

        What is over meanwhile (the run, or its ticket) is not asked for again: an agent that never heard of it would
        do it now.
        """
        requests = []
        async with self._db.transaction() as conn:
            for attempt in await store.open_attempts(conn):
                run = found(await store.get(conn, attempt.run_id))
                if await self._due(conn, run, attempt):
                    requests.append(await self._request_again(conn, attempt))
                elif await store.abandon_attempt(conn, attempt.id):
                    await note(conn, run, Actor.system(), "run.stopped_waiting", attempt=attempt.id)
        for request in requests:
            self._launch(request, patience=PATIENCE)
        return len(requests)

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
        """Have the agent check now whether the procedure's result holds, keep its answer with the run, and wait for it.

        The attempt is committed before anything is sent. Raises NotFound, Forbidden, Conflict (closed ticket, or the
        agent is at it already).
        """
        async with self._db.transaction() as conn:
            run = found(await store.lock(conn, run_id))
            await self._check_may_act(conn, run, member)
            if run.ticket_id is not None:
                await self._gate.require_open(run.ticket_id, conn=conn)
            request = await self._ask_result(conn, await view(conn, run), member)
        if request is not None:
            await asyncio.shield(self._launch(request))
        return await self._known_result(run_id)

    async def _ask_result(self, conn: Connection, seen: RunView, member: Member) -> StepRequest | None:
        """None, and a result that says so, when there is nothing or nobody to ask."""
        run, actor = seen.run, Actor.member(member.id)
        if any(attempt.waiting and attempt.of_result for attempt in seen.attempts):
            raise Conflict(N_("The agent is looking at the result already: wait for its answer."))
        if not seen.plan.manifest.result or run.machine_id is None or run.ticket_id is None:
            state = ResultState.UNAVAILABLE if seen.plan.manifest.result else ResultState.NOTHING
            await store.set_result(conn, run.id, kept_result(state, ()))
            await note(conn, run, actor, "run.result_verified", state=state)
            return None
        attempt_id = await self._insert(conn, run, None, Phase.VERIFY, member.id)
        await note(conn, run, actor, "run.asked", step=RESULT_STEP, phase=Phase.VERIFY, attempt=attempt_id)
        return step_request(run, seen.plan, attempt_id, RESULT_STEP, Phase.VERIFY, member)

    async def _keep_result(self, conn: Connection, run: Run, attempt_id: str) -> ResultState:
        """What the report says of the result; kept with the run unless it was asked for again since."""
        attempts = [attempt for attempt in await store.attempts(conn, run.id) if attempt.of_result]
        attempt = next(attempt for attempt in attempts if attempt.id == attempt_id)
        state = reports.result_state(attempt.checks)
        if attempt.id == attempts[-1].id:
            await store.set_result(conn, run.id, kept_result(state, attempt.checks))
        return state

    async def _known_result(self, run_id: int) -> ResultVerification:
        """UNAVAILABLE when the answer could not be kept."""
        run = await self.get(run_id)
        kept = run.result or kept_result(ResultState.UNAVAILABLE, ())
        at = datetime.fromisoformat(kept["at"])
        return ResultVerification(run_id=run_id, state=ResultState(kept["state"]), checks=kept["checks"], at=at)
