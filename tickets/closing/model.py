"""What it takes to close a ticket: pure rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

RESOLUTION_LIMIT = 5000
JUSTIFICATION_LIMIT = 2000
JUSTIFICATION_MINIMUM = 10
REMARK_LIMIT = 2000
REMARK_MINIMUM = 10
FRESH = timedelta(minutes=10)  # a verification older than this says nothing about the machine now


class Verdict(StrEnum):
    """What the work said about the procedure. ``NONE``: no procedure was needed."""

    CORRECT = "correct"
    WRONG = "wrong"
    MISSING = "missing"
    NONE = "none"

    @property
    def proposes_change(self) -> bool:
        return self in {Verdict.WRONG, Verdict.MISSING}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What the agent said of a run's result. ``state`` is a word of ``procedures.runs.model.ResultState``."""

    id: int
    ticket_id: int
    run_id: int
    state: str
    checks: Sequence[Mapping[str, Any]]
    member_id: int
    member_name: str
    created_at: datetime

    def fresh(self, now: datetime) -> bool:
        return now - self.created_at <= FRESH

    @property
    def holds(self) -> bool:
        """Whether nothing speaks against closing: the result holds, or the procedure promises nothing to check."""
        return self.state in {"passed", "nothing"}


def to_verify(run_ids: Sequence[int], known: Sequence[Verification], now: datetime) -> list[int]:
    """The runs whose result must be looked at (again) before closing."""
    fresh = {item.run_id for item in known if item.fresh(now)}
    return [run_id for run_id in run_ids if run_id not in fresh]


def needs_justification(known: Sequence[Verification]) -> bool:
    """Closing against what the agent says, or without its word, must be explained."""
    return not all(item.holds for item in known)


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """How a ticket was closed. ``draft_id`` is the proposed change that came of it, once it is made."""

    id: int
    ticket_id: int
    member_id: int
    member_name: str
    resolution: str
    justification: str
    verdict: Verdict
    remark: str
    run_id: int | None
    draft_id: int | None
    created_at: datetime

    def __post_init__(self) -> None:
        object.__setattr__(self, "verdict", Verdict(self.verdict))


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseRequest:
    """What the closing form says, read and bounded. ``revision`` is the ticket's as the member saw it."""

    revision: int
    resolution: str
    verdict: Verdict
    run_id: int | None = None
    remark: str = ""
    justification: str = ""
    minutes: int | None = None
