"""The machine's own record of what was asked and what it decided: JSON lines, each with the hash of the last.

The chain shows any line that was changed or taken out of the middle; the number of its last line and that line's hash,
told to the server, show later whether it was cut or written anew. The files stay on the machine: ``audit.jsonl``, and
when that is full ``audit.1.jsonl`` (the one before) to ``audit.4.jsonl``. Each file goes on with the chain of the
one before it; of the first that is kept nothing can be told about what was before.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from .protocol.wire import JSON, dumps

log = logging.getLogger(__name__)
AUDIT_FILE = "audit.jsonl"
FIRST = "0" * 64
FULL = 5 * 1024 * 1024
"""Bytes of one file. At this size the next line begins a new one."""

KEPT = 4
"""Full files that are kept besides the current one."""

OLDER = tuple(f"audit.{number}.jsonl" for number in range(1, KEPT + 1))
"""From the newest to the oldest."""

CONTINUED = "audit.continued"
"""The event in the first line of a file that goes on with another's chain."""

UNSAID = 200
"""Events that wait in memory while the disk is full; of more, only that there were more is kept."""

LOST = "audit.lost"
"""Here events are missing that could not be written and were too many to wait."""

TAIL = 64 * 1024
"""Bytes read at start, from the end; more only where these hold no whole line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A line as the files hold it now: ``hash`` of what it says, empty when there is none of that number.

    ``gone``: older than what is kept.
    """

    hash: str
    gone: bool = False


class AuditLog:
    """Appends; each line is on disk when :meth:`record` returns."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / AUDIT_FILE
        self._path.touch(mode=0o600)
        _close_cut_line(self._path)
        self._size = self._path.stat().st_size
        self._unsaid: list[tuple[str, Mapping[str, JSON]]] = []
        self._head, number = _end(self._path if self._size else folder / OLDER[0])
        self._numbered = number is not None
        self._number = _highest(folder) if number is None else number
        if not self._size and self._head != FIRST:  # the power went out while the files were changed over
            self._append(CONTINUED, {})

    @property
    def head(self) -> str:
        """The hash of the last line."""
        return self._head

    @property
    def number(self) -> int:
        """Of the last line, counted up over all files; 0 when an older version of the agent wrote it, without one."""
        return self._number if self._numbered else 0

    def line(self, number: int) -> Found:
        """What the files hold under that number now, whatever this process wrote there."""
        for body in _numbered(self._path.parent, f'"number":{number},'.encode()):
            if body.get("number") == number:
                body.pop("hash", None)
                return Found(hash=_hash(body))
        return Found(hash="", gone=number < _oldest(self._path.parent))

    def record(self, event: str, details: Mapping[str, JSON]) -> None:
        """Raises ``OSError`` when it cannot be written: then what it is about must not happen."""
        self._catch_up()
        self._write(event, details)

    def note(self, event: str, details: Mapping[str, JSON]) -> None:
        """What has happened already: written now, or before anything else as soon as there is room again."""
        if len(self._unsaid) >= UNSAID:
            self._unsaid[-1] = (LOST, {})
        else:
            self._unsaid.append((event, details))
        try:
            self._catch_up()
        except OSError as fault:
            log.error("%s could not be written down yet: %s", event, fault)

    def _catch_up(self) -> None:
        while self._unsaid:
            self._write(*self._unsaid[0])
            del self._unsaid[0]

    def _write(self, event: str, details: Mapping[str, JSON]) -> None:
        if self._size >= FULL:
            self._change_over()
        self._append(event, details)

    def _append(self, event: str, details: Mapping[str, JSON]) -> None:
        body: dict[str, JSON] = {
            "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "event": event,
            "details": dict(details),
            "number": self._number + 1,
            "previous": self._head,
        }
        head = _hash(body)
        line = (dumps({**body, "hash": head}) + "\n").encode()
        try:
            with self._path.open("ab") as file:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            self._cut_back()
            raise
        self._head = head
        self._number += 1
        self._numbered = True
        self._size += len(line)

    def _cut_back(self) -> None:
        """A full disk may have taken half a line: the next one must follow the last whole one."""
        with contextlib.suppress(OSError):
            os.truncate(self._path, self._size)

    def _change_over(self) -> None:
        files = [self._path, *(self._path.with_name(name) for name in OLDER)]
        for older, newer in zip(reversed(files), reversed(files[:-1]), strict=False):
            if newer.exists():
                newer.replace(older)
        self._path.touch(mode=0o600)
        self._size = 0
        self._append(CONTINUED, {})


def _hash(body: Mapping[str, JSON]) -> str:
    return hashlib.sha256(dumps(dict(body)).encode()).hexdigest()


def _close_cut_line(path: Path) -> None:
    """A last line cut short by a power cut gets its end, and stays visible to :func:`verify`."""
    with path.open("rb+") as file:
        if file.seek(0, os.SEEK_END) and file.seek(-1, os.SEEK_END) >= 0 and file.read(1) != b"\n":
            file.write(b"\n")


def _end(path: Path) -> tuple[str, int | None]:
    """The end of the chain: hash and number of the last whole line, looked for in ever longer tails."""
    if not path.exists():
        return FIRST, 0
    size, tail = path.stat().st_size, TAIL
    while True:
        for line in reversed(_tail(path, min(tail, size))):
            body = _read(line)
            if "hash" in body:
                return str(body["hash"]), _number(body)
        if tail >= size:
            return FIRST, 0
        tail *= 4


def _read(line: bytes) -> dict[str, JSON]:
    try:
        body = json.loads(line)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _number(body: Mapping[str, JSON]) -> int | None:
    number = body.get("number")
    return number if isinstance(number, int) else None


def _numbered(folder: Path, marked: bytes) -> Iterator[dict[str, JSON]]:
    """The lines that hold ``marked``, the newest file first."""
    for name in (AUDIT_FILE, *OLDER):
        with contextlib.suppress(FileNotFoundError), (folder / name).open("rb") as file:
            yield from (_read(line) for line in file if marked in line)


def _highest(folder: Path) -> int:
    """The last number that was given out, before a version of the agent that gives none wrote the end."""
    return max((_number(body) or 0 for body in _numbered(folder, b'"number":')), default=0)


def _oldest(folder: Path) -> int:
    """The lowest number that must be in the files: 1, unless as many are kept as can be and older ones are gone."""
    if not (folder / OLDER[-1]).exists():
        return 1
    return next((number for line in _lines(folder) if (number := _number(_read(line.encode())))), 1)


def _tail(path: Path, length: int) -> Sequence[bytes]:
    with path.open("rb") as file:
        file.seek(-length, os.SEEK_END)
        return file.read().splitlines()


def verify(folder: Path) -> tuple[int, int | None]:
    """How many lines there are in all files, and the number of the first that does not follow from the one before it.

    Counted from the oldest line that is kept.
    """
    previous: str | None = None
    number = 0
    for number, line in enumerate(_lines(folder), 1):
        try:
            body = json.loads(line)
            claimed = body.pop("hash")
        except (ValueError, KeyError, AttributeError):
            return number, number
        if previous is None:
            previous = _beginning(folder, body)
        if body.get("previous") != previous or _hash(body) != claimed:
            return number, number
        previous = claimed
    return number, None


def _lines(folder: Path) -> Iterator[str]:
    for name in (*reversed(OLDER), AUDIT_FILE):
        path = folder / name
        if path.exists():
            with path.open(encoding="utf-8", errors="replace") as file:
                yield from file


def _beginning(folder: Path, body: Mapping[str, JSON]) -> str:
    """What the first line must follow: nothing, unless as many files are kept as can be and older ones are gone."""
    gone = (folder / OLDER[-1]).exists() and body.get("event") == CONTINUED
    return str(body.get("previous")) if gone else FIRST
