"""What went wrong last in a run, in the machine's own words: the library is asked about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from procedures.format.model import Step
from procedures.ports import Phase, ReportState
from procedures.runs.board import RunView
from procedures.runs.model import Attempt, EvidenceKind, Outcome, Visit


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A step that failed. ``text`` is what agent and members wrote down of it: hostile, of any length."""

    visit_id: int
    step: Step
    text: str


def failure(seen: RunView) -> Failure | None:
    """That of the current step when the agent could not do it or found it undone; else that of the step before, when
    it was called failed and nothing was done since.
    """
    visit = seen.current
    if visit is None:
        return None
    last = seen.last_attempt(visit, Phase.EXECUTE, Phase.VERIFY)
    if last is not None and not last.waiting:
        return _of(seen, visit) if went_wrong(last) else None
    before = next((one for one in reversed(seen.visits) if one.outcome is not None), None)
    return _of(seen, before) if before is not None and before.outcome == Outcome.FAILED else None


def went_wrong(attempt: Attempt) -> bool:
    return attempt.state == ReportState.FAILED or bool(attempt.exit_code) or attempt.contradicts


def _of(seen: RunView, visit: Visit) -> Failure:
    return Failure(visit_id=visit.id, step=seen.plan.step(visit.step_id), text="\n".join(_texts(seen, visit)))


def _texts(seen: RunView, visit: Visit) -> Iterator[str]:
    """Notes and the member's reason, then what the agent said, the newest last: what comes last says most."""
    yield visit.justification
    yield from (item.body for item in seen.evidence_at(visit) if item.kind != EvidenceKind.PICTURE)
    last = seen.last_attempt(visit, Phase.EXECUTE, Phase.VERIFY)
    for attempt in seen.attempts_at(visit):
        yield from _said(attempt, checks=attempt is last)


def _said(attempt: Attempt, *, checks: bool) -> Iterator[str]:
    yield attempt.output
    for check in attempt.checks if checks else ():
        if check["outcome"] == "fail":
            yield f'{check["resource"]} "{check["key"]}" failed: {check["reason"]}'
