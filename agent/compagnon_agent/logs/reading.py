"""A page of a log: the newest lines that are wanted, as many as fit and as can be looked through in time."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass

from ..checks.common import Trouble, run
from ..protocol.wire import JSON, dumps
from . import files, journal, windows
from .model import Line, Query, Wanted, as_json
from .sources import EVENTS, JOURNAL, NoSource, listed, path_of

SECONDS = 8.0
"""After which a search gives what it has, and from where it goes on."""

ROOM = 150 * 1024
"""Bytes of JSON for all lines: a reply holds 192 KiB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """``lines`` oldest first. ``older``: cursor for the page before, empty when there is none. ``newer``: to follow on
    from. ``stopped``: the time was up before the page was full.
    """

    lines: tuple[Line, ...]
    older: str
    newer: str
    stopped: bool


class Refused(Exception):
    """``code`` for programs, the text for people."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


def read(query: Query) -> Page:
    """Blocking, up to :data:`SECONDS` (an expression may take longer: whoever calls this can be killed). Refused."""
    try:
        return _page(query, _back(query), Wanted(query))
    except re.error as fault:
        raise Refused("expression", f"not a regular expression: {fault}") from None
    except NoSource:
        raise Refused("no_source", "there is no such log on this machine") from None
    except files.Rotated:
        raise Refused("rotated", "the file was rotated meanwhile: read it again") from None
    except (OSError, EOFError, Trouble) as fault:
        raise Refused("unreadable", f"this log cannot be read: {fault}"[:300]) from None


def _page(query: Query, back: Iterator[Line], wanted: Wanted) -> Page:
    until = time.monotonic() + SECONDS
    found: list[Line] = []
    room, newest, last, ended = ROOM, "", "", True
    for line in back:
        if time.monotonic() > until:
            return Page(lines=tuple(reversed(found)), older=line.cursor, newer=newest, stopped=True)
        newest = newest or line.cursor
        if wanted.too_old(line):
            break
        if not wanted(line):
            continue
        room -= len(dumps(as_json(line)).encode()) + 1
        if len(found) == query.limit or room < 0:
            ended = False
            break
        found.append(line)
        last = line.cursor
    return Page(lines=tuple(reversed(found)), older="" if ended else last, newer=newest, stopped=False)


def _back(query: Query) -> Iterator[Line]:
    if query.source == JOURNAL:
        return _journal(query)
    if query.source.startswith(EVENTS):
        return _events(query)
    return files.backwards(path_of(query.source), query.cursor)


def _journal(query: Query) -> Iterator[Line]:
    """Journalctl is ended when enough was read of it."""
    with subprocess.Popen(  # noqa: S603 - a fixed program; what the server says is one word after a "="
        journal.read_command(query), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        try:
            for raw in process.stdout:
                line = journal.parse(raw)
                if line is not None and line.cursor != query.cursor:
                    yield line
        finally:
            process.kill()


def channel(query: Query) -> str:
    """Raises :class:`NoSource` for a channel that is not offered."""
    if query.source not in {source.id for source in listed()}:
        raise NoSource
    return query.source.removeprefix(EVENTS)


def _events(query: Query) -> Iterator[Line]:
    limit = query.limit + 1 if not query.text and not query.unit else 5000
    command = windows.command(query, channel(query), newer=False, limit=limit)
    yield from windows.parse(run(command, timeout=60).stdout)


def page_json(page: Page) -> dict[str, JSON]:
    return {
        "lines": [as_json(line) for line in page.lines],
        "older": page.older,
        "newer": page.newer,
        "stopped": page.stopped,
    }
