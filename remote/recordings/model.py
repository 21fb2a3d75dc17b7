"""What is kept of a recorded session."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

DAYS = (1, 3650)  # for how long a client's recordings may be kept
HOLD_REASON = (3, 300)  # characters


class RecordingState(StrEnum):
    """``erasing``: nothing of it is shown or found any more, its file is about to go."""

    RECORDING = "recording"
    COMPLETE = "complete"
    FAILED = "failed"
    ERASING = "erasing"
    ERASED = "erased"


ERASED = frozenset({RecordingState.ERASING, RecordingState.ERASED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """``chunks`` and ``head`` anchor the file's hash chain in the database; ``bytes`` counts terminal output.

    ``held_by`` and ``hold_reason``: not to be erased, and why. ``erased_digest`` is the SHA-256 of what was erased.
    """

    session_id: str
    file: str
    started_at: datetime
    ended_at: datetime | None
    chunks: int
    bytes: int
    head: str
    state: RecordingState
    held_by: str | None = None
    held_at: datetime | None = None
    hold_reason: str = ""
    erased_at: datetime | None = None
    erased_after: int | None = None
    erased_digest: str = ""

    def __post_init__(self) -> None:  # rows come from PostgreSQL as text
        object.__setattr__(self, "state", RecordingState(self.state))

    @property
    def erased(self) -> bool:
        """Nothing of it is shown any more, be it that its last file is about to go."""
        return self.state in ERASED


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """A client's own number of days, and which member set it when."""

    days: int
    set_by: str
    set_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """A place one can jump to: ``seconds`` from the start, ``label`` as recorded (``step:imp-001@3/s2``)."""

    seconds: float
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """From ``since`` to ``until`` (seconds of the recording) the keyboard was with ``name``."""

    name: str
    since: float
    until: float


KEYBOARD = "keyboard: "


def keyboard(markers: Sequence[Marker], *, first: str, seconds: float) -> list[Held]:
    """Who held the keyboard when; ``first`` at the beginning. Whoever held it for no time at all is left out."""
    held, name, since = [], first, 0.0
    for marker in [found for found in markers if found.label.startswith(KEYBOARD)]:
        held.append(Held(name=name, since=since, until=marker.seconds))
        name, since = marker.label.removeprefix(KEYBOARD), marker.seconds
    held.append(Held(name=name, since=since, until=max(seconds, since)))
    return [found for found in held if found.until > found.since]


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
