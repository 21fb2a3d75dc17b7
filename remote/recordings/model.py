"""What is kept of a recorded session."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class RecordingState(StrEnum):
    RECORDING = "recording"
    COMPLETE = "complete"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """``chunks`` and ``head`` anchor the file's hash chain in the database; ``bytes`` counts terminal output."""

    session_id: str
    file: str
    started_at: datetime
    ended_at: datetime | None
    chunks: int
    bytes: int
    head: str
    state: RecordingState

    def __post_init__(self) -> None:  # rows come from PostgreSQL as text
        object.__setattr__(self, "state", RecordingState(self.state))


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """A place one can jump to: ``seconds`` from the start, ``label`` as recorded (``step:imp-001@3/s2``)."""

    seconds: float
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """What stood on the terminal: its ``text``, the second of each of its lines, its lexemes (``tsvector``)."""

    text: str
    moments: tuple[int, ...]
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Excerpt:
    """A found recording: ``text`` around the words, and the ``second`` of the replay, where it is known."""

    session_id: str
    machine_name: str
    client_name: str
    ticket_id: int
    reason: str
    text: str
    second: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainReport:
    """The outcome of reading a recording's chain again. ``problem`` is empty when it holds."""

    chunks: int
    bytes: int
    head: str
    problem: str = ""

    @property
    def sound(self) -> bool:
        return not self.problem


class ChainError(ValueError):
    """A recording whose chain does not hold; the message says at which chunk."""
