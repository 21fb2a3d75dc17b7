"""The journal of systemd, through ``journalctl --output=json`` (systemd.journal-fields(7))."""

from __future__ import annotations

import json
import re

from .model import Line, Query, shown

_FIELDS = "MESSAGE,PRIORITY,_SYSTEMD_UNIT,UNIT,SYSLOG_IDENTIFIER"
_NAME = re.compile(r"[A-Za-z0-9_@:.\\+-]{1,200}")
_COMMON = ["journalctl", "--no-pager", "--quiet", "--output=json", f"--output-fields={_FIELDS}"]


def read_command(query: Query) -> list[str]:
    """Newest first, back from the cursor (which comes first once more)."""
    place = [f"--cursor={query.cursor}"] if query.cursor else []
    return [*_COMMON, "--reverse", *place, *_filters(query)]


def follow_command(query: Query) -> list[str]:
    """What comes after the cursor, then what is written; without one what is written from now on."""
    place = [f"--after-cursor={query.cursor}", "--lines=1000"] if query.cursor else ["--lines=0"]
    return [*_COMMON, "--follow", *place, *_filters(query, times=False)]


def _filters(query: Query, *, times: bool = True) -> list[str]:
    """What journalctl itself leaves out fastest; the rest of the question is answered line by line.

    A unit's file name is asked for as such; anything else is looked for in the names of the lines.
    """
    given = []
    if query.severity < 7:
        given.append(f"--priority={query.severity}")
    if query.unit.endswith((".service", ".timer", ".socket", ".mount")) and _NAME.fullmatch(query.unit):
        given.append(f"--unit={query.unit}")
    if times and query.since:
        given.append(f"--since=@{query.since}")
    if times and query.until and not query.cursor:
        given.append(f"--until=@{query.until}")
    return given


def parse(raw: str | bytes) -> Line | None:
    """One entry; None for what is none. MESSAGE may be text, a list of bytes (not UTF-8) or null (too long)."""
    try:
        entry = json.loads(raw)
    except ValueError:
        return None
    if not isinstance(entry, dict) or not isinstance(entry.get("__CURSOR"), str):
        return None
    return Line(
        at=_number(entry.get("__REALTIME_TIMESTAMP")) // 1000,
        severity=min(7, _number(entry.get("PRIORITY"), 6)),
        unit=_first(entry, "UNIT", "_SYSTEMD_UNIT", "SYSLOG_IDENTIFIER"),
        text=shown(_text(entry.get("MESSAGE"))),
        cursor=entry["__CURSOR"][:400],
    )


def _number(value: object, otherwise: int = 0) -> int:
    text = value[0] if isinstance(value, list) and value else value
    return int(text) if isinstance(text, str) and text.isdecimal() and len(text) < 20 else otherwise


def _first(entry: dict[str, object], *names: str) -> str:
    """A session's scope or the manager itself says less than the program's own name."""
    program = entry.get("SYSLOG_IDENTIFIER")
    found = next((value for name in names if isinstance(value := entry.get(name), str) and value), "")
    vague = found.endswith(".scope") or found in {"init.scope", ""}
    return shown(str(program) if vague and isinstance(program, str) else found)[:100]


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        numbers = [item for item in value if isinstance(item, int) and 0 <= item < 256]
        if numbers:
            return bytes(numbers).decode("utf-8", "replace")
        return "\n".join(item for item in value if isinstance(item, str))
    return "(too long to be shown)"
