"""A recording in the words of other players: asciicast v2, and v3 as it is kept.

https://docs.asciinema.org/manual/asciicast/v2/ and …/v3/: one JSON line for the header, one for each event; in v2 the
times are counted from the start, in v3 from the event before, and lines that begin with ``#`` are comments.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from enum import StrEnum

from remote.recordings import cast

V2_CODES = frozenset("oirm")  # "x" (the shell's exit status) is new in v3


class Format(StrEnum):
    """``V3`` is the file as it is kept, with its chain; ``V2`` is for older players."""

    V2 = "v2"
    V3 = "v3"


def v2(lines: Iterator[bytes]) -> Iterator[bytes]:
    """Up to the last whole chunk. Raises ChainError where the chain breaks."""
    header = next(lines, b"")
    start = cast.start_of(header)
    facts = {"version": 2, "width": start.columns, "height": start.rows, "timestamp": int(start.timestamp)}
    yield _line(facts | {"title": start.title, "env": {"TERM": "xterm-256color"}})
    elapsed = 0.0
    for chunk, _ in cast.read(_again(header, lines)):
        elapsed += chunk.interval
        if chunk.code and chunk.code in V2_CODES:
            yield _line([round(elapsed, 6), chunk.code, chunk.data])


def _again(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _line(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
