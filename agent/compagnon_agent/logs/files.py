"""Text files of /var/log: read from their end back, or followed over rotation; compressed ones from their beginning."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from . import guess
from .model import Line, shown
from .sources import open_file

BLOCK = 64 * 1024
LONGEST = 256 * 1024
"""Bytes of a line; what is longer is taken for several."""

UNPACKED = 512 * 1024 * 1024
"""Bytes read of a compressed file: one that unpacks without end does not stop anything."""

PAUSE = 0.4
"""Seconds between two looks at a file that is followed."""

_OPENERS: Mapping[str, Any] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}


class Rotated(Exception):
    """The file is not the one that the cursor is about: it was rotated meanwhile."""


def is_packed(path: Path) -> bool:
    return path.suffix in _OPENERS


def backwards(path: Path, cursor: str) -> Iterator[Line]:
    """From the newest line (or the one before the cursor) on. Raises ``OSError``, :class:`Rotated`."""
    if is_packed(path):
        yield from _packed(path, cursor)
        return
    descriptor = open_file(path)
    with os.fdopen(descriptor, "rb") as file:
        facts = os.fstat(descriptor)
        end = _place(cursor, facts.st_ino, facts.st_size)
        for offset, raw in lines_back(file, end):
            yield line_of(raw, f"{facts.st_ino}:{offset}")


def _place(cursor: str, inode: int, size: int) -> int:
    if not cursor:
        return size
    number, _, offset = cursor.partition(":")
    if not (offset.isdecimal() and len(offset) < 20) or number != str(inode) or int(offset) > size:
        raise Rotated
    return int(offset)


def lines_back(file: io.BufferedIOBase, end: int) -> Iterator[tuple[int, bytes]]:
    """(where it begins, the line without its end), last first. A last line that is not finished counts."""
    rest = b""
    place = end
    while place > 0:
        size = min(BLOCK, place)
        place -= size
        file.seek(place)
        pieces = (file.read(size) + rest).split(b"\n")
        rest = pieces[0]
        offset = place + sum(len(piece) + 1 for piece in pieces)
        for piece in reversed(pieces[1:]):
            offset -= len(piece) + 1
            if piece or offset < end:  # the empty piece behind the last line is no line
                yield offset, piece
        if place and len(rest) > LONGEST:
            yield place, rest
            rest = b""
    if end:
        yield 0, rest


def _packed(path: Path, cursor: str) -> Iterator[Line]:
    """Read from its beginning; the newest lines before the cursor (a line's number), then given back to front."""
    until = int(cursor) if cursor.isdecimal() and len(cursor) < 12 else None
    kept: deque[tuple[int, bytes]] = deque(maxlen=50_000)
    with os.fdopen(open_file(path), "rb") as packed:
        unpacked = _OPENERS[path.suffix](packed, "rb")
        read = 0
        for number, raw in enumerate(iter(lambda: unpacked.readline(LONGEST), b"")):
            read += len(raw)
            if read > UNPACKED or (until is not None and number >= until):
                break
            kept.append((number, raw))
    for number, raw in reversed(kept):
        yield line_of(raw.rstrip(b"\n"), str(number))


def line_of(raw: bytes, cursor: str) -> Line:
    text = raw.decode("utf-8", "replace").rstrip("\r")
    return Line(
        at=guess.moment(text, datetime.now(UTC)),
        severity=guess.severity(text),
        unit=guess.who(text),
        text=shown(text),
        cursor=cursor,
    )


def follow(path: Path, cursor: str, wait: Callable[[float], None] = time.sleep) -> Iterator[Line | None]:
    """What is written to the file of this name, for ever; None when there is nothing for now.

    When it is rotated away (another file has its name) the old one is read to its end, then the new one from its
    beginning; when it is cut short it is read from its beginning.
    """
    file = _open_at(path, cursor)
    try:
        while True:
            yield from _new_lines(file)
            yield None
            wait(PAUSE)
            file = _moved_on(file, path)
    finally:
        file.close()


def _open_at(path: Path, cursor: str) -> io.BufferedReader:
    descriptor = open_file(path)
    facts = os.fstat(descriptor)
    file = os.fdopen(descriptor, "rb")
    try:
        file.seek(_place(cursor, facts.st_ino, facts.st_size))
        if cursor:
            file.readline(LONGEST)  # the cursor's own line is known
    except Rotated:
        file.seek(0)
    return file


def _new_lines(file: io.BufferedReader) -> Iterator[Line]:
    """Whole lines only: half of one waits for its other half."""
    inode = os.fstat(file.fileno()).st_ino
    while True:
        offset = file.tell()
        raw = file.readline(LONGEST)
        if not raw.endswith(b"\n") and len(raw) < LONGEST:
            file.seek(offset)
            return
        yield line_of(raw.rstrip(b"\n"), f"{inode}:{offset}")


def _moved_on(file: io.BufferedReader, path: Path) -> io.BufferedReader:
    here = os.fstat(file.fileno())
    try:
        named = path.lstat()
    except FileNotFoundError:
        return file  # between two names
    if here.st_size < file.tell():
        file.seek(0)
    if (named.st_ino, named.st_dev) == (here.st_ino, here.st_dev) or here.st_size > file.tell():
        return file  # the same, or the old one has something left
    try:
        descriptor = open_file(path)
    except OSError:
        return file
    file.close()
    return os.fdopen(descriptor, "rb")
