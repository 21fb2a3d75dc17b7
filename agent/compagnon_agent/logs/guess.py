"""When a line of a text file was written, how grave it is and who wrote it, as far as it says so."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from .model import UNKNOWN

_ISO = re.compile(r"(\d{4}-\d\d-\d\d)[T ]{1,2}(\d\d:\d\d:\d\d)(?:[.,](\d{1,6}))?\d*\s?(Z|[+-]\d\d:?\d\d)?")
_BSD = re.compile(r"^(?:<\d+>)?([A-Z][a-z]{2})\s+(\d{1,2}) (\d\d:\d\d:\d\d)")
_WEB = re.compile(r"\[(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d:\d\d:\d\d) ([+-]\d{4})\]")
_MONTHS = {
    name: number
    for number, name in enumerate(
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"], 1
    )
}
_WHO = re.compile(r"^\S+(?:\s+\d{1,2} \S+)? \S+ ([A-Za-z][\w./@-]{0,60})(?:\[\d+\])?: ")
_SEVERITIES = (
    (0, re.compile(r"\b(emerg(ency)?|kernel panic)\b", re.IGNORECASE)),
    (1, re.compile(r"(\[|\b)alert(\]|:)", re.IGNORECASE)),
    (2, re.compile(r"\b(crit(ical)?|fatal)\b", re.IGNORECASE)),
    (3, re.compile(r"\b(err(or)?s?|fail(ed|ure)|traceback|exception)\b|segfault", re.IGNORECASE)),
    (4, re.compile(r"\bwarn(ing)?s?\b", re.IGNORECASE)),
    (7, re.compile(r"\b(debug|trace)\b", re.IGNORECASE)),
)
_HEAD = 80
"""Characters in which a time is looked for."""


def moment(line: str, now: datetime) -> int:
    """Milliseconds of Unix time; 0 when the line has none. A time without a zone is the machine's own."""
    head = line[:_HEAD]
    try:
        found = _iso(head) or _bsd(head, now) or _web(head)
        return round(1000 * found.timestamp()) if found else 0
    except (ValueError, OverflowError, OSError):
        return 0


def _iso(head: str) -> datetime | None:
    found = _ISO.search(head)
    if not found:
        return None
    day, clock, part, zone = found.groups()
    fraction = f".{part.ljust(6, '0')}" if part else ""
    return datetime.fromisoformat(f"{day}T{clock}{fraction}{(zone or '').replace('Z', '+00:00')}").astimezone(UTC)


def _bsd(head: str, now: datetime) -> datetime | None:
    """RFC 3164 has no year: this one, or the last when that would be tomorrow or later."""
    found = _BSD.match(head)
    if not found or found.group(1) not in _MONTHS:
        return None
    hour, minute, second = map(int, found.group(3).split(":"))
    local = now.astimezone()
    month, day = _MONTHS[found.group(1)], int(found.group(2))
    for year in (local.year, local.year - 1):
        moment_ = datetime(year, month, day, hour, minute, second).astimezone()
        if moment_ <= local + timedelta(days=1):
            return moment_
    return None


def _web(head: str) -> datetime | None:
    found = _WEB.search(head)
    if not found:
        return None
    day, month, year, clock, zone = found.groups()
    return datetime.fromisoformat(f"{year}-{_MONTHS[month]:02}-{day}T{clock}{zone}") if month in _MONTHS else None


def severity(line: str) -> int:
    """The gravest word in it."""
    return next((number for number, pattern in _SEVERITIES if pattern.search(line[:500])), UNKNOWN)


def who(line: str) -> str:
    """The program, as syslog writes it: ``… host sshd[12]: …``."""
    found = _WHO.match(line[:200])
    return found.group(1) if found else ""
