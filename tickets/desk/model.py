"""What a ticket is, and the pure rules about it. Words are ITIL 4's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

TITLE_LIMIT = 200
SYMPTOM_LIMIT = 20_000
MESSAGE_LIMIT = 20_000
REASON_LIMIT = 500
MINUTES_LIMIT = 24 * 60
ID_LIMIT = 2**63 - 1
PRESENCE = timedelta(seconds=45)  # a page that said nothing for so long is no longer looked at
TYPING = timedelta(seconds=8)


class State(StrEnum):
    NEW = "new"
    ASSIGNED = "assigned"
    IN_PROGRESS = "in_progress"
    WAITING_CLIENT = "waiting_client"
    WAITING_THIRD_PARTY = "waiting_third_party"
    RESOLVED = "resolved"
    CLOSED = "closed"


OPEN_STATES = (State.NEW, State.ASSIGNED, State.IN_PROGRESS, State.WAITING_CLIENT, State.WAITING_THIRD_PARTY)
_WAITING = frozenset({State.WAITING_CLIENT, State.WAITING_THIRD_PARTY})
_FROM: Mapping[State, frozenset[State]] = {
    State.NEW: frozenset({State.ASSIGNED, State.IN_PROGRESS, State.RESOLVED}) | _WAITING,
    State.ASSIGNED: frozenset({State.NEW, State.IN_PROGRESS, State.RESOLVED}) | _WAITING,
    State.IN_PROGRESS: frozenset({State.NEW, State.ASSIGNED, State.RESOLVED}) | _WAITING,
    State.WAITING_CLIENT: frozenset({State.IN_PROGRESS, State.WAITING_THIRD_PARTY, State.RESOLVED}),
    State.WAITING_THIRD_PARTY: frozenset({State.IN_PROGRESS, State.WAITING_CLIENT, State.RESOLVED}),
    State.RESOLVED: frozenset({State.IN_PROGRESS}),
    State.CLOSED: frozenset(),
}


def may_become(old: State, new: State) -> bool:
    """Whether a member may move a ticket so. Closing goes its own way (``may_close``); a closed ticket stays closed."""
    return new in _FROM[old]


def with_owner(state: State, owner_id: int | None) -> State | None:
    """The state that goes with a new owner, None where there is none.

    A taken ticket is assigned, one that is given back is new again, one that waits goes on waiting.
    """
    if owner_id is not None:
        return State.ASSIGNED if state is State.NEW else state
    if state is State.NEW or may_become(state, State.NEW):
        return State.NEW
    return None if needs_owner(state) else state


def next_states(state: State) -> tuple[State, ...]:
    return tuple(new for new in State if may_become(state, new))


def may_close(state: State) -> bool:
    return state is not State.CLOSED


def needs_owner(state: State) -> bool:
    """States in which somebody must hold the ticket."""
    return state in {State.ASSIGNED, State.IN_PROGRESS, State.RESOLVED}


class Impact(StrEnum):
    """How much of the client's work is stopped."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class Urgency(StrEnum):
    """How soon it hurts."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


_RANK = {"high": 0, "medium": 1, "low": 2}


def priority(impact: Impact, urgency: Urgency) -> int:
    """1 (critical) to 5 (planning): ITIL's 3 × 3 matrix for incidents, which is the sum of both ranks."""
    return 1 + _RANK[impact.value] + _RANK[urgency.value]


class Visibility(StrEnum):
    """``PUBLIC``: written for the client's eyes too. ``INTERNAL``: among members only."""

    PUBLIC = "public"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """A ticket with the names its page shows. ``revision`` counts every change: who acts names the one they saw."""

    id: int
    client_id: int
    client_name: str
    site_id: int | None
    machine_id: int | None
    caller_name: str
    caller_phone: str
    title: str
    symptom: str
    impact: Impact
    urgency: Urgency
    priority: int
    state: State
    owner_id: int | None
    owner_name: str | None
    skill: str | None
    departement: str
    opened_by: int
    opened_by_name: str
    follows_id: int | None
    revision: int
    created_at: datetime
    updated_at: datetime
    closed_at: datetime | None

    def __post_init__(self) -> None:  # rows come from PostgreSQL as text
        object.__setattr__(self, "impact", Impact(self.impact))
        object.__setattr__(self, "urgency", Urgency(self.urgency))
        object.__setattr__(self, "state", State(self.state))

    @property
    def url(self) -> str:
        return f"/tickets/{self.id}"

    @property
    def open(self) -> bool:
        return self.state in OPEN_STATES


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTicket:
    """What phone capture hands over. ``request_key`` is a UUID in text: the same key opens one ticket."""

    client_id: int
    title: str
    symptom: str = ""
    impact: Impact = Impact.MEDIUM
    urgency: Urgency = Urgency.MEDIUM
    site_id: int | None = None
    machine_id: int | None = None
    caller_name: str = ""
    caller_phone: str = ""
    skill: str | None = None
    departement: str = ""
    owner_id: int | None = None
    follows_id: int | None = None
    request_key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    id: int
    ticket_id: int
    member_id: int
    member_name: str
    visibility: Visibility
    body: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StateInterval:
    """One stay in a state; ``left_at`` is None for the present one."""

    id: int
    state: State
    entered_at: datetime
    left_at: datetime | None
    member_id: int
    member_name: str
    reason: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "state", State(self.state))


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    id: int
    kind: str
    member_id: int | None
    member_name: str | None
    details: Mapping[str, Any]
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeEntry:
    id: int
    member_id: int
    member_name: str
    minutes: int
    note: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Collaborator:
    member_id: int
    name: str
    added_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """Somebody who has the ticket's page open."""

    member_id: int
    name: str
    typing: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineItem:
    """One line of the ticket's story. ``kind`` picks how the page shows it; ``data`` is the thing itself."""

    at: datetime
    kind: str
    data: Any
    order: int = 0


def merge(*strands: Sequence[TimelineItem]) -> list[TimelineItem]:
    """All strands as one story, oldest first; what happened at the same instant keeps the order of the strands."""
    return sorted((item for strand in strands for item in strand), key=lambda item: (item.at, item.order))


def waited(intervals: Sequence[StateInterval], now: datetime) -> timedelta:
    """How long the ticket waited for the client or a third party: time that is not ours."""
    stays = ((item.left_at or now) - item.entered_at for item in intervals if item.state in _WAITING)
    return sum(stays, timedelta())
