"""What the list of tickets can be asked, and how its pages follow each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from urllib.parse import urlencode

from tickets.desk.model import ID_LIMIT, OPEN_STATES, State

PAGE = 50
COUNT_LIMIT = 1000  # beyond that the page says "more than 1,000": an exact number would cost more than it tells
FILTERS_LIMIT = 30  # kept filters of one member
TEXT_LIMIT = 200


class Owner(StrEnum):
    ANYONE = ""
    MINE = "mine"
    NOBODY = "none"
    HELPING = "helping"


class Sort(StrEnum):
    UPDATED = "updated"
    CREATED = "created"
    PRIORITY = "priority"


OPEN, ALL = "open", "all"
STATE_CHOICES = (OPEN, ALL, *(state.value for state in State))


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """The last row of the page before: its value in the sort's column, and its number."""

    value: datetime | int
    id: int

    def __str__(self) -> str:
        value = self.value.isoformat() if isinstance(self.value, datetime) else str(self.value)
        return f"{value}~{self.id}"

    @classmethod
    def read(cls, raw: str, sort: Sort) -> Cursor | None:
        """None for anything that is not one of ours: the list then starts again."""
        left, mark, right = raw[:80].rpartition("~")
        if not mark or not right.isascii() or not right.isdigit() or not 1 <= int(right) <= ID_LIMIT:
            return None
        try:
            value = int(left) if sort is Sort.PRIORITY else datetime.fromisoformat(left.replace(" ", "+"))
        except ValueError:
            return None
        if isinstance(value, datetime) and value.tzinfo is None:
            return None
        return None if isinstance(value, int) and not 0 <= value <= 9 else cls(value=value, id=int(right))


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketFilter:
    """One question to the list. ``member_id`` is who asks (for "mine"); empty fields do not filter."""

    member_id: int
    state: str = OPEN
    owner: Owner = Owner.ANYONE
    priority: int | None = None
    client_id: int | None = None
    machine_id: int | None = None
    skill: str = ""
    departement: str = ""
    text: str = ""
    sort: Sort = Sort.UPDATED
    after: Cursor | None = None

    @property
    def states(self) -> tuple[State, ...]:
        """The states to show; empty for all of them."""
        if self.state == OPEN:
            return OPEN_STATES
        return () if self.state == ALL else (State(self.state),)

    def query(self, **changes: object) -> str:
        """As a query string, without what is the default anyway, so that equal filters have equal addresses."""
        values: Mapping[str, object] = {
            "state": "" if self.state == OPEN else self.state,
            "owner": self.owner.value,
            "priority": self.priority or "",
            "client": self.client_id or "",
            "machine": self.machine_id or "",
            "skill": self.skill,
            "departement": self.departement,
            "q": self.text,
            "sort": "" if self.sort is Sort.UPDATED else self.sort.value,
            **changes,
        }
        return urlencode({name: str(value) for name, value in values.items() if value not in ("", None)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A ticket in a list."""

    id: int
    title: str
    state: State
    priority: int
    client_id: int
    client_name: str
    owner_id: int | None
    owner_name: str | None
    skill: str | None
    departement: str
    created_at: datetime
    updated_at: datetime

    def __post_init__(self) -> None:
        object.__setattr__(self, "state", State(self.state))

    @property
    def url(self) -> str:
        return f"/tickets/{self.id}"

    def cursor(self, sort: Sort) -> Cursor:
        value = {Sort.UPDATED: self.updated_at, Sort.CREATED: self.created_at, Sort.PRIORITY: self.priority}[sort]
        return Cursor(value=value, id=self.id)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """One page. ``count`` is at most COUNT_LIMIT + 1, which means "more"; ``next`` is the cursor of the page after."""

    rows: tuple[Row, ...]
    count: int
    next: Cursor | None

    @property
    def counted(self) -> bool:
        return self.count <= COUNT_LIMIT


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedFilter:
    id: int
    name: str
    query: str
