"""What is in a folder, in pieces: one of 100,000 files is looked through once and told page by page."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

from ...protocol.wire import JSON
from .folder import AnyFolder, open_folder
from .names import Parts, key_of, path_of, shown, split
from .reach import Reach, is_link

MOST = 200_000
"""Entries looked at in one folder; more are counted only."""

PAGE_BYTES = 120 * 1024
"""Of keys and names in one answer: far below what a reply may hold."""

FRESH = 60.0
"""Seconds for which further pages come from the same look."""


class Kind(StrEnum):
    FOLDER = "folder"
    FILE = "file"
    LINK = "link"
    SPECIAL = "special"


class Order(StrEnum):
    NAME = "name"
    SIZE = "size"
    MODIFIED = "modified"


@dataclass(frozen=True, slots=True)
class Entry:
    """``modified`` in seconds of Unix time; ``size`` in bytes, of files."""

    name: str
    kind: Kind
    size: int
    modified: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One look into a folder. ``more``: entries beyond :data:`MOST`."""

    parts: Parts
    entries: list[Entry]
    more: int
    at: float

    @property
    def fresh(self) -> bool:
        return time.monotonic() - self.at < FRESH


def look_into(parts: Parts, reach: Reach) -> Seen:
    """Raises :class:`CallError`, ``OSError``."""
    at = time.monotonic()
    with open_folder(parts, reach) as folder:
        entries, more = _read(folder)
    return Seen(parts=parts, entries=entries, more=more, at=at)


def _read(folder: AnyFolder) -> tuple[list[Entry], int]:
    entries: list[Entry] = []
    more = 0
    for found in folder.entries():
        if len(entries) >= MOST:
            more += 1
            continue
        with suppress(OSError):  # gone since, or not ours to look at
            entries.append(_entry(found.name, found.stat(follow_symlinks=False)))
    return entries, more


def _entry(name: str, found: os.stat_result) -> Entry:
    kind = kind_of(found)
    return Entry(name, kind, found.st_size if kind is Kind.FILE else 0, max(0, int(found.st_mtime)))


def kind_of(found: os.stat_result) -> Kind:
    if is_link(found):
        return Kind.LINK
    if stat.S_ISDIR(found.st_mode):
        return Kind.FOLDER
    return Kind.FILE if stat.S_ISREG(found.st_mode) else Kind.SPECIAL


def chosen(entries: Iterable[Entry], *, order: Order, down: bool, wanted: str, hidden: bool) -> list[Entry]:
    """Folders first; ``wanted`` in the name, whatever its case."""
    needle = wanted.casefold()
    kept = [
        entry
        for entry in entries
        if (hidden or not entry.name.startswith(".")) and needle in shown(entry.name).casefold()
    ]
    kept.sort(key=_BY[Order.NAME])
    kept.sort(key=_BY[order], reverse=down)
    kept.sort(key=lambda entry: entry.kind is not Kind.FOLDER)
    return kept


_BY: Mapping[Order, Callable[[Entry], tuple[str, str] | int]] = {
    Order.NAME: lambda entry: (entry.name.casefold(), entry.name),
    Order.SIZE: lambda entry: entry.size,
    Order.MODIFIED: lambda entry: entry.modified,
}


def page(seen: Seen, entries: list[Entry], start: int, limit: int, reach: Reach) -> list[JSON]:
    """Entries from ``start`` on, as many as fit."""
    told: list[JSON] = []
    room = PAGE_BYTES
    for entry in entries[start : start + limit]:
        item = _told(seen.parts, entry, reach)
        room -= sum(len(value.encode()) for value in item.values() if isinstance(value, str)) + 120
        if room < 0:
            break
        told.append(item)
    return told


def _told(parts: Parts, entry: Entry, reach: Reach) -> dict[str, JSON]:
    told: dict[str, JSON] = {
        "name": shown(entry.name),
        "key": key_of((entry.name,))[1:],
        "kind": entry.kind,
        "size": entry.size,
        "modified": entry.modified,
    }
    if entry.kind is Kind.LINK:
        told |= _target(parts, entry, reach)
    return told


def _target(parts: Parts, entry: Entry, reach: Reach) -> dict[str, JSON]:
    """Where a link leads, and how to get there if that is reached at all."""
    try:
        with open_folder(parts, reach) as folder:
            there = folder.target(entry.name)
        target = split(there)
        reach.require(target)
        with open_folder(target[:-1], reach) as above:
            kind = kind_of(above.look(target[-1]))
    except Exception:
        return {"target": "", "leads": ""}
    return {"target": key_of(target), "leads": kind, "to": shown(path_of(target))[:500]}


def tops(reach: Reach) -> list[JSON]:
    """The folders that are opened, as the top of everything; one within another is not told twice."""
    told: list[JSON] = []
    for root in sorted(reach.roots):
        with suppress(Exception), open_folder(root, reach) as folder:
            entry = _entry(path_of(root), folder.status())
            told.append({**_told((), entry, reach), "key": key_of(root), "kind": Kind.FOLDER})
    return told
