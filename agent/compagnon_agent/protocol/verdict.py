"""From what was observed to a check's result: compared, bounded, and telling no more than it must. Pure.

Shared by the agent, which looks by itself, and by the server, where it looks over SSH at what carries no agent.
"""

from __future__ import annotations

import time

from .checks import OBSERVED_LIMIT, Check, CheckResult, Kind, Outcome, expected_attributes
from .expectations import met, patterns_met
from .resources import RESOURCES
from .wire import JSON, clean_text, dumps

Observed = dict[str, JSON]


def finish(check: Check, outcome: Outcome, observed: Observed, reason: str, started: float) -> CheckResult:
    """The result, within the protocol's limits. ``started`` from ``time.monotonic()``."""
    return CheckResult(
        check=check,
        outcome=outcome,
        observed=bounded(observed),
        reason=clean_text(reason)[:500],
        duration_ms=min(3_600_000, round((time.monotonic() - started) * 1000)),
    )


def compare(check: Check, observed: Observed) -> tuple[Outcome, Observed, str]:
    """Observed against expected, attribute by attribute."""
    attributes = RESOURCES[check.resource].attributes
    shown: Observed = {}
    differences: list[str] = []
    for name, expected in expected_attributes(check).items():
        actual = observed.get(name)
        is_text = attributes[name].kind is Kind.LINES
        shown[name] = _excerpt(check, actual) if is_text else actual
        if not _met(expected, actual, is_text=is_text):
            differences.append(_difference(name, expected, actual, is_text=is_text))
    if not expected_attributes(check):  # `os: {debian: {}}`: being it is all that is asked
        shown = {name: observed[name] for name in ("id", "version") if name in observed}
    return (Outcome.FAILED if differences else Outcome.PASSED), shown, "; ".join(differences)


def _met(expected: JSON, actual: JSON, *, is_text: bool) -> bool:
    if is_text and isinstance(actual, list):
        return patterns_met(expected, [str(line) for line in actual])
    if is_text:
        return False
    return met(expected, actual)


def _difference(name: str, expected: JSON, actual: JSON, *, is_text: bool) -> str:
    wanted = expected if isinstance(expected, str) else dumps(expected)
    if is_text:
        return f"{name}: {wanted} not found"
    return f"{name}: expected {wanted[:150]}, is {(actual if isinstance(actual, str) else dumps(actual))[:150]}"


def _excerpt(check: Check, actual: JSON) -> JSON:
    """Of a file or page only its length travels: it may hold secrets. A command's output was consented to."""
    if not isinstance(actual, list):
        return actual
    if check.resource == "command":
        return "\n".join(map(str, actual))[-1000:]
    return f"{len(actual)} lines"


def bounded(observed: Observed) -> Observed:
    """Cut down to the protocol's limit, and to what it can carry."""
    cut: Observed = {name: _cut(value) for name, value in observed.items()}
    return cut if len(dumps(cut).encode()) <= OBSERVED_LIMIT else dict.fromkeys(cut)


def _cut(value: JSON) -> JSON:
    if isinstance(value, str):
        return clean_text(value)[:1000]
    if isinstance(value, list):
        return [_cut(item) for item in value[:20]]
    return value
