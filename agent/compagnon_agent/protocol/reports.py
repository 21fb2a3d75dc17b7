"""Results of steps as they are told, by the agent and by what works over SSH in its place. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from .checks import CheckResult
from .messages import OUTPUT_LIMIT, Execute, StepResult, StepState, encode
from .output import plain
from .wire import WireError


def report(
    request: Execute,
    state: StepState,
    started: datetime,
    *,
    reason: str = "",
    needs_consent: bool = False,
    output: str = "",
    exit_code: int | None = None,
    checks: tuple[CheckResult, ...] = (),
) -> StepResult:
    """How the attempt ended, now; ``reason`` is cut to what the message holds."""
    return StepResult(
        attempt_id=request.attempt_id,
        state=state,
        started=started,
        ended=datetime.now(UTC),
        reason=reason[:500],
        needs_consent=needs_consent,
        output=output,
        exit_code=exit_code,
        checks=checks,
    )


def refusal(request: Execute, reason: str, *, needs_consent: bool = False) -> StepResult:
    """Nothing was done."""
    return report(request, StepState.REFUSED, datetime.now(UTC), reason=reason, needs_consent=needs_consent)


def fitting(result: StepResult) -> StepResult:
    """The result, cut until it fits into one message: output is shortened from its start."""
    limit = OUTPUT_LIMIT
    while True:
        try:
            encode(result)
            return result
        except WireError:
            limit //= 2
            checks = result.checks if limit > OUTPUT_LIMIT // 8 else ()
            result = replace(result, output=plain(result.output.encode(), limit), checks=checks)
