"""A log that is followed: what is written from now on, in batches, no more than can be read."""

from __future__ import annotations

import re
import selectors
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from ..checks.common import Trouble, run
from ..protocol.wire import JSON, dumps
from . import files, journal, windows
from .model import Line, Query, Wanted, as_json
from .reading import Refused, channel
from .sources import EVENTS, JOURNAL, NoSource, path_of

EVERY = 0.4
"""Seconds between two batches."""

A_SECOND = 150
"""Lines a second; what is more is counted and left out."""

ROOM = 48 * 1024
"""Bytes of JSON of one batch."""

BEAT = 2.0
"""Seconds after which a quiet log still says that somebody listens."""

EVENTS_EVERY = 3.0


@dataclass(slots=True)
class Batch:
    """Lines that wait to be told. The oldest are kept: the newest are known by how many they are."""

    lines: list[Line] = field(default_factory=list)
    skipped: int = 0
    newer: str = ""
    room: int = ROOM

    def add(self, line: Line) -> None:
        self.newer = line.cursor
        self.room -= len(dumps(as_json(line)).encode()) + 1
        if len(self.lines) >= A_SECOND * EVERY or self.room < 0:
            self.skipped += 1
        else:
            self.lines.append(line)

    def as_json(self) -> dict[str, JSON]:
        return {"lines": [as_json(line) for line in self.lines], "skipped": self.skipped, "newer": self.newer}


def follow(query: Query) -> Iterator[dict[str, JSON]]:
    """Batches for ever; an empty one now and then is a sign of life. Raises :class:`Refused`."""
    try:
        yield from _batches(_lines(query), Wanted(query))
    except re.error as fault:
        raise Refused("expression", f"not a regular expression: {fault}") from None
    except NoSource:
        raise Refused("no_source", "there is no such log on this machine") from None
    except (OSError, Trouble) as fault:
        raise Refused("unreadable", f"this log cannot be read: {fault}"[:300]) from None


def _batches(lines: Iterator[Line | None], wanted: Wanted) -> Iterator[dict[str, JSON]]:
    batch, told = Batch(), 0.0
    for line in lines:
        if line is not None and wanted(line):
            batch.add(line)
        now = time.monotonic()
        due = EVERY if batch.lines or batch.skipped else BEAT
        if now - told >= due:
            yield batch.as_json()
            batch, told = Batch(), now


def _lines(query: Query) -> Iterator[Line | None]:
    """None: nothing for now."""
    if query.source == JOURNAL:
        return _journal(query)
    if query.source.startswith(EVENTS):
        return _events(query)
    path = path_of(query.source)
    if files.is_packed(path):
        raise Refused("packed", "a compressed log is not written to any more")
    return files.follow(path, query.cursor)


def _journal(query: Query) -> Iterator[Line | None]:
    with subprocess.Popen(  # noqa: S603 - a fixed program; what the server says is one word after a "="
        journal.follow_command(query),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        bufsize=0,
    ) as process:
        assert process.stdout is not None
        try:
            for raw in _raw_lines(process.stdout.fileno()):
                yield journal.parse(raw) if raw else None
        finally:
            process.kill()


def _raw_lines(descriptor: int) -> Iterator[bytes]:
    """Lines as they come; an empty one when nothing came for a moment. Not on Windows, which has no journal."""
    import os

    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        held = b""
        while True:
            if not selector.select(EVERY):
                yield b""
                continue
            data = os.read(descriptor, 64 * 1024)
            if not data:
                raise Trouble("journalctl has ended")
            *whole, held = (held + data).split(b"\n")
            yield from filter(None, whole)


def _events(query: Query) -> Iterator[Line | None]:
    """Asked again and again: a subscription would need a program of its own."""
    name, cursor = channel(query), query.cursor
    if not cursor:
        newest = windows.parse(run(windows.command(query, name, newer=False, limit=1), timeout=60).stdout)
        cursor = newest[-1].cursor if newest else "0"
    while True:
        asked = Query(source=query.source, severity=query.severity, cursor=cursor)
        for line in windows.parse(run(windows.command(asked, name, newer=True, limit=500), timeout=60).stdout):
            cursor = line.cursor
            yield line
        yield None
        time.sleep(EVENTS_EVERY if sys.platform == "win32" else 0.05)
