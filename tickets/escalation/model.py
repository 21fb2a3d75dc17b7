"""Whom to ask for help, in which order, and why: pure rules.

ITIL calls this a functional escalation. Nobody is a black box's choice: every point of a score has a shown reason.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from compagnon.i18n import N_

QUESTION_LIMIT = 2000
ANSWER_LIMIT = 500
CIRCLE_SIZES = (2, 3)  # how many are asked first, and next
LAST_CIRCLE = 4
LEVEL_POINTS = {1: 10, 2: 20, 3: 30}
LEVEL_REASONS = {1: N_("Knows {skill}"), 2: N_("Masters {skill}"), 3: N_("Teaches {skill}")}
AVAILABLE_POINTS, AWAY_POINTS = 25, -25
NEAR_POINTS = 10
KNOWS_CLIENT_POINTS = 8
LOAD_POINTS, LOAD_LIMIT = -3, 6  # for each open ticket, up to so many


class EscalationState(StrEnum):
    OPEN = "open"
    ACCEPTED = "accepted"
    CANCELLED = "cancelled"


class OfferState(StrEnum):
    """``LAPSED``: somebody else accepted, or the call was taken back."""

    ASKED = "asked"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    LAPSED = "lapsed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """Somebody with the skill. ``load``: open tickets they own; ``helped``: tickets of this client they had."""

    member_id: int
    name: str
    level: int
    available: bool
    departements: tuple[str, ...]
    load: int = 0
    helped: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """``points`` for ``message`` (a msgid with ``{fields}``)."""

    points: int
    message: str
    params: Mapping[str, str | int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {"points": self.points, "message": self.message, "params": dict(self.params)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    candidate: Candidate
    score: int
    reasons: tuple[Reason, ...]


def rank(candidate: Candidate, *, skill: str, departement: str) -> Ranked:
    """The score of one candidate: the sum of its reasons, nothing else."""
    reasons = tuple(_reasons(candidate, skill, departement))
    return Ranked(candidate=candidate, score=sum(reason.points for reason in reasons), reasons=reasons)


def _reasons(candidate: Candidate, skill: str, departement: str) -> list[Reason]:
    found = [
        Reason(points=LEVEL_POINTS[candidate.level], message=LEVEL_REASONS[candidate.level], params={"skill": skill}),
        Reason(points=AVAILABLE_POINTS, message=N_("Available now"))
        if candidate.available
        else Reason(points=AWAY_POINTS, message=N_("Not available now")),
    ]
    if departement and departement in candidate.departements:
        found.append(
            Reason(points=NEAR_POINTS, message=N_("Works in {departement}"), params={"departement": departement})
        )
    if candidate.helped:
        found.append(
            Reason(
                points=KNOWS_CLIENT_POINTS,
                message=N_("Knows this client (tickets: {count})"),
                params={"count": candidate.helped},
            )
        )
    if candidate.load:
        points = LOAD_POINTS * min(candidate.load, LOAD_LIMIT)
        found.append(Reason(points=points, message=N_("Open tickets: {count}"), params={"count": candidate.load}))
    return found


def rank_all(candidates: Sequence[Candidate], *, skill: str, departement: str) -> list[Ranked]:
    """Best first; equal scores by name, so that the order never depends on the database."""
    ranked = [rank(candidate, skill=skill, departement=departement) for candidate in candidates]
    return sorted(ranked, key=lambda item: (-item.score, item.candidate.name, item.candidate.member_id))


def next_circle(ranked: Sequence[Ranked], *, asked: Collection[int], circle: int) -> tuple[int, tuple[Ranked, ...]]:
    """The number of the next circle after ``circle`` (0: nobody was asked yet) and whom it asks; nobody twice.

    1: the best two who are available; 2: the next three; 3: all others who are available; 4: everyone with the skill.
    A circle without anyone new is passed over. Empty when everyone was asked. ``ranked`` is made anew each time: who
    has become available meanwhile is asked like the others.
    """
    new = [item for item in ranked if item.candidate.member_id not in asked]
    here = [item for item in new if item.candidate.available]
    pools = {1: here[: CIRCLE_SIZES[0]], 2: here[: CIRCLE_SIZES[1]], 3: here, LAST_CIRCLE: new}
    for number in range(circle + 1, LAST_CIRCLE + 1):
        if pools[number]:
            return number, tuple(pools[number])
    return LAST_CIRCLE, ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Escalation:
    """One call for an expert. ``widen_at`` is when more people are asked; None when everyone was or it ended."""

    id: int
    ticket_id: int
    ticket_title: str
    client_name: str
    run_id: int | None
    step_id: str | None
    session_id: str | None
    skill: str
    departement: str
    question: str
    asked_by: int
    asked_by_name: str
    state: EscalationState
    circle: int
    widen_at: datetime | None
    accepted_by: int | None
    accepted_by_name: str | None
    created_at: datetime
    ended_at: datetime | None

    def __post_init__(self) -> None:
        object.__setattr__(self, "state", EscalationState(self.state))

    @property
    def url(self) -> str:
        return f"/tickets/{self.ticket_id}#call-{self.id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One person asked. ``reasons`` as stored (see ``Reason.to_json``)."""

    escalation_id: int
    member_id: int
    member_name: str
    circle: int
    score: int
    reasons: Sequence[Mapping[str, Any]]
    state: OfferState
    answer: str
    asked_at: datetime
    answered_at: datetime | None

    def __post_init__(self) -> None:
        object.__setattr__(self, "state", OfferState(self.state))


def landing(escalation: Escalation, live_session: str | None) -> str:
    """Where an expert who accepted goes: the live terminal, else the run, else the ticket."""
    if live_session:
        return f"/sessions/{live_session}"
    return f"/runs/{escalation.run_id}" if escalation.run_id else f"/tickets/{escalation.ticket_id}"
