"""The event log of Windows, through ``Get-WinEvent`` as JSON. Tried on text only, never run here."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

from .model import Line, Query, shown

CHANNELS = ("System", "Application", "Security", "Setup", "Windows PowerShell", "Microsoft-Windows-PrintService/Admin")
"""Those that are offered; the name of a channel is never the server's own text."""

# Event levels (winmeta.xml): 1 critical, 2 error, 3 warning, 4 information, 5 verbose; 0: always logged.
_SEVERITIES = {1: 2, 2: 3, 3: 4, 4: 6, 0: 6, 5: 7}
_LEVELS = {0: (1,), 1: (1,), 2: (1,), 3: (1, 2), 4: (1, 2, 3), 5: (1, 2, 3), 6: (0, 1, 2, 3, 4), 7: ()}
_DATE = re.compile(r"/Date\((\d{1,15})[^)]*\)/")


def command(query: Query, channel: str, *, newer: bool, limit: int) -> list[str]:
    """``newer``: what came after the cursor (a record's number), oldest first; else back from it."""
    order = "-Oldest" if newer else ""
    script = (
        "[Console]::OutputEncoding=[Text.Encoding]::UTF8;"
        f"Get-WinEvent -LogName '{channel}' -FilterXPath '{_xpath(query, newer=newer)}' -MaxEvents {limit} {order} "
        "-ErrorAction SilentlyContinue|Select-Object RecordId,Level,ProviderName,Id,Message,"
        "@{n='At';e={$_.TimeCreated.ToUniversalTime().ToString('o')}}|ConvertTo-Json -Compress"
    )
    return ["powershell.exe", "-NoProfile", "-NonInteractive", "-Command", script]


def _xpath(query: Query, *, newer: bool) -> str:
    """Numbers and fixed words only."""
    parts = []
    if query.cursor.isdecimal():
        parts.append(f"EventRecordID{'>' if newer else '<'}{int(query.cursor)}")
    if levels := _LEVELS[query.severity]:
        parts.append("(" + " or ".join(f"Level={level}" for level in levels) + ")")
    for moment, sign in ((query.since, ">="), (query.until, "<=")):
        if moment:
            at = datetime.fromtimestamp(min(moment, 2**33), UTC)
            parts.append(f'TimeCreated[@SystemTime{sign}"{at:%Y-%m-%dT%H:%M:%S.000Z}"]')
    return f"*[System[{' and '.join(parts)}]]" if parts else "*"


def parse(output: str) -> list[Line]:
    """One object when there is a single event, else a list (ConvertTo-Json); nothing at all for none."""
    try:
        found = json.loads(output.lstrip("\ufeff") or "[]")
    except ValueError:
        return []
    items = found if isinstance(found, list) else [found]
    return [_line(item) for item in items if isinstance(item, dict) and isinstance(item.get("RecordId"), int)]


def _line(item: dict[str, object]) -> Line:
    level, number = item.get("Level"), item.get("Id")
    text = str(item.get("Message") or "").strip() or f"event {number}"
    return Line(
        at=_moment(item.get("At")),
        severity=_SEVERITIES.get(level if isinstance(level, int) else 0, 6),
        unit=shown(str(item.get("ProviderName") or ""))[:100],
        text=shown(f"{text} ({number})"),
        cursor=str(item["RecordId"]),
    )


def _moment(value: object) -> int:
    """ISO 8601, or how Windows PowerShell 5 writes a date by itself."""
    if not isinstance(value, str):
        return 0
    if found := _DATE.search(value):
        return int(found.group(1))
    try:
        text = re.sub(r"(\.\d{6})\d+", r"\1", value)
        return round(1000 * datetime.fromisoformat(text).timestamp())
    except (ValueError, OverflowError):
        return 0
