"""Logs as a machine tells them: hostile until read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from compagnon.i18n import N_
from compagnon_agent.protocol.wire import boolean, integer, record, sequence, text

NOTE_LIMIT = 15_000  # characters of what is copied to a ticket
SINCE = {"": 0, "15m": 900, "1h": 3600, "24h": 86_400, "7d": 7 * 86_400, "30d": 30 * 86_400}
JOURNAL = "journal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """``size`` in bytes; ``rotated``: an older part of another."""

    id: Annotated[str, text(300, minimum=1)]
    name: Annotated[str, text(300, minimum=1)]
    size: Annotated[int, integer(0, 2**60)] = 0
    modified: Annotated[int, integer(0, 2**40)] = 0
    rotated: Annotated[bool, boolean] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    sources: Annotated[tuple[Source, ...], sequence(record(Source), 500)]

    @property
    def current(self) -> list[Source]:
        return [source for source in self.sources if not source.rotated]

    @property
    def older(self) -> list[Source]:
        return [source for source in self.sources if source.rotated]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """``at`` in milliseconds, 0: not told. ``severity`` as syslog has it (RFC 5424 §6.2.1)."""

    at: Annotated[int, integer(0, 2**43)]
    severity: Annotated[int, integer(0, 7)]
    unit: Annotated[str, text(100)]
    text: Annotated[str, text(4000)]

    @property
    def moment(self) -> datetime | None:
        return datetime.fromtimestamp(self.at / 1000, UTC) if self.at else None

    @property
    def level(self) -> str:
        return "bad" if self.severity <= 3 else "warn" if self.severity == 4 else "soft" if self.severity == 7 else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Oldest line first. ``older``: for the page before; ``newer``: to follow on from; ``stopped``: time was up."""

    lines: Annotated[tuple[Line, ...], sequence(record(Line), 1000)]
    older: Annotated[str, text(400)] = ""
    newer: Annotated[str, text(400)] = ""
    stopped: Annotated[bool, boolean] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What came to a log that is followed. ``skipped`` lines were too many; ``ended``: why it is not followed more."""

    follow: Annotated[str, text(32, minimum=1)]
    lines: Annotated[tuple[Line, ...], sequence(record(Line), 500)]
    skipped: Annotated[int, integer(0, 2**53)] = 0
    newer: Annotated[str, text(400)] = ""
    ended: Annotated[str, text(40)] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What is asked; see the agent's. ``since`` is a word of ``SINCE``."""

    source: str
    unit: str = ""
    severity: int = 7
    since: str = ""
    text: str = ""
    regex: bool = False
    cursor: str = ""

    def described(self) -> str:
        """For the recording: what was looked at."""
        parts = [self.source, self.since]
        parts += [f"severity<={self.severity}"] if self.severity < 7 else []
        parts += [f"unit={self.unit}"] if self.unit else []
        parts += [f"{'regex' if self.regex else 'text'}={self.text}"] if self.text else []
        return " ".join(part for part in parts if part)


REFUSALS = {
    "no_source": N_("There is no such log on the machine any more."),
    "rotated": N_("The file was rotated meanwhile: read it again."),
    "expression": N_("This is not a regular expression."),
    "too_slow": N_("This takes too long: a simpler expression, or a shorter time."),
    "packed": N_("A compressed log is not written to any more: there is nothing to follow."),
    "too_many": N_("Four logs are followed in this session already: end one of them."),
    "unreadable": N_("The agent's account on the machine may not read this log."),
    "not_followed": N_("This log is not followed any more."),
}
