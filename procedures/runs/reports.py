"""An agent's reports as they are kept and shown. All in them is hostile: typed, bounded, escaped by templates."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from compagnon_agent.protocol.checks import CheckResult, expected_attributes
from procedures.ports import OUTPUT_LIMIT, StepReport
from procedures.runs.model import ResultState

REASON_LIMIT = 500  # characters
VALUE_LIMIT = 300  # characters of one observed value
CHECKS_LIMIT = 100
EXIT_LIMIT = 2**63  # what the column holds; real ones end at 2**32, on Windows
# Escape sequences (ECMA-48) and control characters that a page must not show; tabs and line ends stay.
CONTROLS = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b.|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]"
)


def output(text: str) -> str:
    """The last :data:`OUTPUT_LIMIT` bytes, without control sequences."""
    readable = CONTROLS.sub("", text.replace("\r\n", "\n"))
    return readable.encode("utf-8", "replace")[-OUTPUT_LIMIT:].decode("utf-8", "ignore")


def stored(results: Iterable[CheckResult]) -> list[dict[str, Any]]:
    """Check results as JSON: title, resource, key, outcome, reason, and each attribute expected and observed."""
    return [_stored(result) for result in list(results)[:CHECKS_LIMIT]]


def _stored(result: CheckResult) -> dict[str, Any]:
    return {
        "title": _line(result.check.title),
        "resource": _line(result.check.resource),
        "key": _line(result.check.key),
        "outcome": str(result.outcome),
        "reason": _line(result.reason)[:REASON_LIMIT],
        "attributes": _attributes(result),
        "duration_ms": result.duration_ms,
    }


def _attributes(result: CheckResult) -> list[dict[str, str]]:
    observed: Mapping[str, Any] = result.observed
    return [
        {"name": name[:60], "expected": _line(expected), "observed": _line(observed.get(name))}
        for name, expected in list(expected_attributes(result.check).items())[:24]
    ]


def _line(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return CONTROLS.sub("", " ".join(text.split()))[:VALUE_LIMIT]


def result_state(checks: Sequence[Mapping[str, Any]]) -> ResultState:
    """What stored check results amount to; one that fails outweighs all that could not be evaluated."""
    outcomes = {str(check["outcome"]) for check in checks}
    if "fail" in outcomes:
        return ResultState.FAILED
    return ResultState.PASSED if outcomes == {"pass"} else ResultState.UNAVAILABLE


def columns(report: StepReport) -> dict[str, Any]:
    """A report as the columns of an attempt."""
    return {
        "state": str(report.state),
        "output": output(report.output),
        "exit_code": report.exit_code if -EXIT_LIMIT < (report.exit_code or 0) < EXIT_LIMIT else None,
        "checks": stored(report.checks),
        "started_at": report.started,
        "ended_at": report.ended,
    }
