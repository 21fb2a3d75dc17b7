"""What is asked of an agent, and when it may be: no database, no waiting."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from compagnon.auth.model import Member
from compagnon.errors import Conflict, Invalid, NotFound
from compagnon.i18n import N_
from compagnon_agent.protocol.checks import is_read_only
from compagnon_agent.protocol.manifest import RESULT_STEP
from procedures.ports import Phase, ReportState, StepReport, StepRequest
from procedures.runs.board import RunView
from procedures.runs.model import Attempt, ResultState, Run, Visit
from procedures.runs.plan import Plan

BY_HAND = N_("The agent acts only for a ticket, on a machine: this run is followed by hand.")
ANSWERED = N_("This request has its answer already.")
UNKNOWN = N_("There is no such request to the agent.")
AWAY = N_("A request waits for this machine to come back: cancel it first.")
AT_WORK = N_("The agent is still at work on this step: wait for its answer, or stop waiting.")


def kept_result(state: ResultState, checks: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {"state": state, "checks": list(checks), "at": datetime.now(UTC).isoformat()}


def only_looks(request: StepRequest) -> bool:
    return request.step_id == RESULT_STEP and all(is_read_only(check) for check in request.manifest.result)


def check_idle(seen: RunView) -> None:
    """Raises Conflict while an agent is at work on the step, or a request waits for its machine."""
    if seen.waiting:
        raise Conflict(AT_WORK)
    if seen.queued:
        raise Conflict(AWAY)


def check_current(seen: RunView, attempt: Attempt) -> None:
    if seen.current is None or seen.current.id != attempt.run_step_id:
        raise Conflict(N_("This step is over: nothing is asked of the agent for it any more."))
    check_idle(seen)


def check_askable(seen: RunView, visit: Visit, phase: Phase) -> None:
    check_idle(seen)
    has_work = seen.plan.executes(visit.step_id) if phase is Phase.EXECUTE else seen.plan.checks(visit.step_id)
    if not has_work:
        raise Invalid(N_("There is nothing for the agent to do in this step."))


def step_request(run: Run, plan: Plan, attempt_id: str, step_id: str, phase: Phase, member: Member) -> StepRequest:
    if run.machine_id is None or run.ticket_id is None:
        raise Invalid(BY_HAND)
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


def silence(reason: str) -> StepReport:
    now = datetime.now(UTC)
    state = ReportState.UNREACHABLE
    return StepReport(state=state, output=reason, exit_code=None, checks=(), started=now, ended=now)


def there(attempt: Attempt | None) -> Attempt:
    if attempt is None:
        raise NotFound(UNKNOWN)
    return attempt


def canonical(attempt_id: str) -> str:
    try:
        return str(uuid.UUID(attempt_id))
    except ValueError:
        raise NotFound(UNKNOWN) from None
