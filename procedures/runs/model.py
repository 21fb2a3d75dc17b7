"""What a run is, and the pure rules of its order.

A run's history is the list of its visits: which step, with which outcome. Everything about order follows from the plan
and that history (:func:`position`), so two servers, a resumed page and a test always agree on where a run is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

IDLE_LIMIT = timedelta(minutes=15)
"""Time between two acts that still counts as time spent: a run left open over lunch is not two hours of work."""
JUSTIFICATION = (3, 2000)  # characters
NOTE_LIMIT = 10_000  # characters


class Outcome(StrEnum):
    DONE = "done"
    ALREADY_TRUE = "already_true"
    FAILED = "failed"
    SKIPPED = "skipped"


class RunState(StrEnum):
    ACTIVE = "active"
    COMPLETED = "completed"
    ABANDONED = "abandoned"


class EvidenceKind(StrEnum):
    NOTE = "note"
    OUTPUT = "output"
    PICTURE = "picture"


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """Where a failed step leads: back to ``goto`` at most ``max`` times, then to another procedure or an expert."""

    goto: str | None = None
    max: int = 1
    procedure: str | None = None
    escalate: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanStep:
    id: str
    required: bool = True
    on_fail: Branch | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """``step`` is the one to act on, None when all steps have been gone through.

    ``blocked``: the step failed and may not go back any more. The run waits for a decision: try again, skip with a
    justification, follow ``branch.procedure``, call an expert, or give up.
    """

    step: str | None
    blocked: bool = False
    branch: Branch | None = None


def position(plan: Sequence[PlanStep], history: Sequence[tuple[str, Outcome]]) -> Position:
    """Where a run is. ``history`` holds the ended visits in order; each names the step that was then current.

    Raises ValueError for a history that the plan does not allow: a skipped step, or an act after the end.
    """
    index = {step.id: number for number, step in enumerate(plan)}
    jumps: dict[str, int] = {}
    here = Position(step=plan[0].id if plan else None)
    for step_id, outcome in history:
        if step_id != here.step:
            raise ValueError(f"step {step_id} was acted on while {here.step} was current")
        here = _after(plan, index, jumps, step_id, outcome)
    return here


def _after(
    plan: Sequence[PlanStep], index: Mapping[str, int], jumps: dict[str, int], step_id: str, outcome: Outcome
) -> Position:
    number = index[step_id]
    if outcome is not Outcome.FAILED:
        return Position(step=plan[number + 1].id if number + 1 < len(plan) else None)
    branch = plan[number].on_fail
    if branch and branch.goto in index and jumps.get(step_id, 0) < branch.max:
        jumps[step_id] = jumps.get(step_id, 0) + 1
        return Position(step=branch.goto)
    return Position(step=step_id, blocked=True, branch=branch)


def is_deviation(step: PlanStep, outcome: Outcome, *, contradicted: bool = False) -> bool:
    """Whether an outcome departs from the procedure.

    That is: a required step that was skipped, or one called done although its check says otherwise (``contradicted``).
    """
    return (outcome is Outcome.SKIPPED and step.required) or (outcome is Outcome.DONE and contradicted)


def time_spent(last_act: datetime, now: datetime) -> int:
    """Whole seconds to account for between two acts: at most :data:`IDLE_LIMIT`, never negative."""
    return int(max(timedelta(0), min(now - last_act, IDLE_LIMIT)).total_seconds())


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run's row, with what it is pinned to. ``member_id`` holds it now; ``revision`` counts its changes."""

    id: int
    version_id: int
    code: str
    locale: str
    number: int
    digest: str
    title: str
    machine_id: int | None
    ticket_id: int | None
    parent_id: int | None
    parent_step: str | None
    started_by: int
    member_id: int
    member_name: str
    parameters: Mapping[str, str]
    state: RunState
    current_step: str | None
    revision: int
    started_at: datetime
    touched_at: datetime
    ended_at: datetime | None
    end_reason: str
    result: Mapping[str, Any] | None

    @property
    def active(self) -> bool:
        return self.state == RunState.ACTIVE

    @property
    def url(self) -> str:
        return f"/runs/{self.id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One passage through a step. ``outcome`` is None while it is the current one."""

    id: int
    run_id: int
    ordinal: int
    step_id: str
    outcome: Outcome | None
    deviation: bool
    justification: str
    attested_by: int | None
    attested_name: str | None
    verified_by: int | None
    seconds: int
    started_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One request to the agent. ``checks`` are results as stored (see ``procedures.runs.reports``).

    ``run_step_id`` is None when the procedure's result was asked for. ``state``: "open", a word of ``ReportState``, or
    "abandoned": nobody waits for it any more; a report that comes all the same is kept, and changes nothing else.
    "queued": it waits for its machine until ``expires_at``; ``why`` is the word for why such a wait was given up.
    """

    id: str
    run_id: int
    run_step_id: int | None
    step_id: str
    phase: str
    member_id: int
    machine_id: int
    state: str
    output: str
    exit_code: int | None
    checks: Sequence[Mapping[str, Any]]
    requested_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    expires_at: datetime | None = None
    why: str = ""

    @property
    def waiting(self) -> bool:
        return self.state == "open"

    @property
    def queued(self) -> bool:
        return self.state == "queued"

    @property
    def of_result(self) -> bool:
        return self.run_step_id is None

    @property
    def passed(self) -> bool:
        """Whether there were checks and all of them hold."""
        return bool(self.checks) and all(check["outcome"] == "pass" for check in self.checks)

    @property
    def contradicts(self) -> bool:
        """Whether a check was evaluated and does not hold."""
        return any(check["outcome"] == "fail" for check in self.checks)


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingRequest:
    """A request that waits for its machine to come back, for lists."""

    attempt_id: str
    run_id: int
    title: str
    step_id: str
    phase: str
    machine_id: int
    ticket_id: int | None
    member_name: str
    requested_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    id: int
    run_id: int
    run_step_id: int | None
    step_id: str | None
    member_id: int
    member_name: str
    kind: EvidenceKind
    body: str
    sha256: str | None
    media_type: str | None
    bytes: int | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    from_name: str
    to_name: str
    created_at: datetime


class ResultState(StrEnum):
    """``NOTHING``: the procedure has no result check. ``UNAVAILABLE``: no machine, or it did not answer."""

    PASSED = "passed"
    FAILED = "failed"
    UNAVAILABLE = "unavailable"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultVerification:
    """Whether the procedure's result holds on the machine now. ``checks`` are results as stored."""

    run_id: int
    state: ResultState
    checks: Sequence[Mapping[str, Any]] = field(default_factory=tuple)
    at: datetime

    @property
    def ok(self) -> bool:
        return self.state is ResultState.PASSED


PICTURE_LIMIT = 5 * 1024 * 1024  # bytes
