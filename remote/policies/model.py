"""Proposed consent policies of a client, and what holds on its machines; pure rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from compagnon_agent.protocol.agreements import Attendance, Proposal, Terms
from compagnon_agent.protocol.manifest import Risk

NAME = 120  # characters of a client's name that the agent shows


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyVersion:
    """One version of what is proposed. Never changed: what somebody agreed to must stay readable."""

    client_id: int
    version: int
    attendance: Attendance
    capabilities: tuple[str, ...]
    procedures: Risk | None
    hours: int
    days: int
    words: str
    client_name: str
    digest: str
    created_by: str
    created_at: datetime

    def __post_init__(self) -> None:  # rows come from PostgreSQL as text and lists
        object.__setattr__(self, "attendance", Attendance(self.attendance))
        object.__setattr__(self, "capabilities", tuple(self.capabilities))
        object.__setattr__(self, "procedures", Risk(self.procedures) if self.procedures else None)

    @property
    def proposal(self) -> Proposal:
        """What the agent is asked to show, word for word."""
        terms = Terms(
            attendance=self.attendance,
            capabilities=self.capabilities,
            procedures=self.procedures,
            hours=self.hours,
            days=self.days,
            words=self.words,
        )
        return Proposal(client=self.client_name, version=self.version, terms=terms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """What a machine says it agreed to: hostile, bounded on arrival. ``version`` is ours where the digest is known."""

    version: int | None
    attendance: str
    since: datetime | None
    until: datetime | None
    person: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MachinePolicy:
    """A machine of the client and what holds there (None: every request is asked). ``latest``: the newest version."""

    machine_id: int
    name: str
    online: bool
    holding: Holding | None
    latest: bool


def holding(told: Mapping[str, Any] | None, known: Mapping[str, int]) -> Holding | None:
    """``told`` is the ``agreement`` of the policy report, ``known`` our versions by their digest."""
    if not told:
        return None
    return Holding(
        version=known.get(str(told.get("digest", ""))),
        attendance=str(told.get("attendance", "")),
        since=_moment(told.get("since")),
        until=_moment(told.get("until")),
        person=str(told.get("person", "")),
    )


def _moment(told: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(told))
    except ValueError:
        return None
    return found if found.tzinfo is not None else None
