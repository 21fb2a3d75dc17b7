"""What one ticket is to another. Words are ITIL 4's."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from tickets.desk.model import State

LINKS_LIMIT = 100  # of one ticket


class LinkKind(StrEnum):
    """``DUPLICATE_OF``: the same matter, worked on there. ``CAUSED_BY``: would not be without the other."""

    RELATED = "related"
    DUPLICATE_OF = "duplicate_of"
    CAUSED_BY = "caused_by"


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A link as one of its two tickets shows it. ``forward``: the kind says what this ticket is to the other one."""

    id: int
    kind: LinkKind
    forward: bool
    other_id: int
    title: str
    state: State
    client_name: str
    added_by: int
    added_by_name: str
    added_at: datetime

    def __post_init__(self) -> None:  # rows come from PostgreSQL as text
        object.__setattr__(self, "kind", LinkKind(self.kind))
        object.__setattr__(self, "state", State(self.state))

    @property
    def role(self) -> str:
        """What stands before the other ticket: the kind, or ``of_`` and the kind, seen from the other side."""
        return self.kind.value if self.forward or self.kind is LinkKind.RELATED else f"of_{self.kind.value}"


def number_of(text: str) -> int | None:
    """The ticket's number in ``12`` or ``#12``; None for anything else."""
    raw = text.strip().removeprefix("#").strip()
    return int(raw) if raw.isascii() and raw.isdigit() and len(raw) <= 18 and int(raw) > 0 else None
