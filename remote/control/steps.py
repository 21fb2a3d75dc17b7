"""A step's request and report, between the procedures' words and the wire's."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from compagnon_agent.protocol import messages
from compagnon_agent.protocol.checks import Check, CheckResult
from procedures.ports import Phase, ReportState, StepReport, StepRequest

STEP_MARGIN = 60.0  # seconds beyond the commands' own time limits
CHECK_PHASE_SECONDS = 180.0
LONGEST = timedelta(days=1)  # of an attempt, as the agent says


@dataclass(slots=True, kw_only=True)
class Question:
    """A question about a manifest, and the attempts that wait for its answer."""

    request_id: str
    answer: asyncio.Future[messages.ConsentAnswer]
    attempts: set[str] = field(default_factory=set)


def execute(request: StepRequest) -> messages.Execute:
    return messages.Execute(
        attempt_id=request.attempt_id,
        run_id=request.run_id,
        ticket_id=request.ticket_id,
        member_id=request.member_id,
        member_name=request.member_name[:120],
        manifest=request.manifest,
        step_id=request.step_id,
        parameters=dict(request.parameters),
        phase=messages.Phase(request.phase.value),
    )


def patience(request: StepRequest) -> float:
    """Seconds to wait for the step's report."""
    step = request.manifest.step(request.step_id)
    if step is None or request.phase is not Phase.EXECUTE:
        return CHECK_PHASE_SECONDS
    return STEP_MARGIN + sum(command.timeout for command in step.commands)


def about(check: Check, result: CheckResult) -> CheckResult:
    """The result as one of the check that was asked: an agent cannot answer another question."""
    return CheckResult(
        check=check,
        outcome=result.outcome,
        observed=result.observed,
        reason=result.reason,
        duration_ms=result.duration_ms,
    )


def own_report(state: ReportState, output: str, started: datetime) -> StepReport:
    """What the server says itself where no agent reported."""
    return StepReport(state=state, output=output, exit_code=None, checks=(), started=started, ended=datetime.now(UTC))


def reported(result: messages.StepResult) -> StepReport:
    started, ended = _moments(result)
    return StepReport(
        state=ReportState(result.state.value),
        output=result.output or result.reason,
        exit_code=result.exit_code,
        checks=result.checks,
        started=started,
        ended=ended,
    )


def by_our_clock(answer: messages.ConsentAnswer) -> messages.ConsentAnswer:
    """The answer with its end by this server's clock: the machine's may be wrong by years."""
    if answer.seconds is None:
        return answer
    return replace(answer, until=datetime.now(UTC) + timedelta(seconds=answer.seconds))


def _moments(result: messages.StepResult) -> tuple[datetime, datetime]:
    """When it began and ended, by this server's clock: the machine's may be wrong by years."""
    if result.age is None:
        return result.started, result.ended
    ended = datetime.now(UTC) - timedelta(seconds=result.age)
    took = min(max(timedelta(0), result.ended - result.started), LONGEST)
    return ended - took, ended
