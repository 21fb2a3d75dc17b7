r"""The recording's file: asciicast v3 with a hash chain in its comments.

A chunk is at most one event line and one comment line, written with a single ``write``::

    [0.25, "o", "ls\r\n"]
    # compagnon {"n":12,"o":4096,"h":"9f2c…"}

``n`` counts chunks, ``o`` is how many bytes of terminal output are recorded up to here (the offset acknowledged to
the agent), ``h`` = SHA-256(previous ``h`` + the event line + the comment without ``h``). Output that is not UTF-8 is
kept exactly in ``raw`` (base64) beside its readable event. ``i`` notes that a viewer's input was accepted: who, up to
where in that viewer's stream, up to where in the session's stream; never what was typed (it may be a password).

Players skip comment lines (https://docs.asciinema.org/manual/asciicast/v3/). A file cut anywhere by a kill -9 is read
up to its last whole chunk.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from remote.recordings.model import ChainError, ChainReport, Marker

COMMENT = b"# compagnon "
MAX_LINE = 1 << 20
MARKERS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """One entry of the chain, as read back. ``output`` are the exact bytes of terminal output it holds."""

    number: int
    interval: float
    code: str
    data: str
    offset: int
    output: bytes
    input: tuple[str, int, int] | None
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """The header line: when the recording began (Unix time, seconds), the size then, the chain's first digest."""

    timestamp: float
    columns: int
    rows: int
    digest: str
    title: str = ""


def start_of(header_line: bytes) -> Start:
    """Raises ChainError when this is not the first line of a recording."""
    facts = _parsed(header_line, 0)
    try:
        term = facts["term"]
        return Start(
            timestamp=float(facts["timestamp"]),
            columns=int(term["cols"]),
            rows=int(term["rows"]),
            digest=first_digest(header_line),
            title=str(facts.get("title", ""))[:300],
        )
    except (KeyError, TypeError, ValueError):
        raise ChainError("this is not an asciicast v3 file") from None


def size_of(data: str) -> tuple[int, int]:
    """The columns and rows of a resize event (``100x30``)."""
    columns, _, rows = data.partition("x")
    return int(columns), int(rows)


def header(*, columns: int, rows: int, timestamp: int, title: str) -> bytes:
    term = {"cols": columns, "rows": rows, "type": "xterm-256color"}
    return _line({"version": 3, "term": term, "timestamp": timestamp, "title": title})


def event(interval: float, code: str, data: str) -> bytes:
    return _line([round(interval, 6), code, data])


def first_digest(header_line: bytes) -> str:
    return hashlib.sha256(header_line).hexdigest()


def seal(previous: str, event_line: bytes, facts: dict[str, Any]) -> tuple[bytes, str]:
    """The whole chunk's bytes and its digest. ``facts`` holds n, o and optionally raw, i."""
    bare = msgspec.json.encode(facts)
    digest = hashlib.sha256(previous.encode() + event_line + bare).hexdigest()
    return event_line + COMMENT + bare[:-1] + b',"h":"' + digest.encode() + b'"}\n', digest


def read(lines: Iterator[bytes]) -> Iterator[tuple[Chunk, int]]:
    """Each whole chunk with the file position after it. Stops silently at a cut end.

    Raises ChainError where a whole chunk does not fit the chain.
    """
    first = next(lines, b"")
    if not first.endswith(b"\n") or _parsed(first, 0).get("version") != 3:
        raise ChainError("this is not an asciicast v3 file")
    digest, position, number, pending = first_digest(first), len(first), 0, b""
    for line in lines:
        position += len(line)
        if not line.endswith(b"\n"):
            return
        if not line.startswith(COMMENT):
            if pending:
                raise ChainError(f"chunk {number + 1}: an event that belongs to no chunk")
            pending = line
            continue
        number += 1
        chunk = _chunk(number, digest, pending, line)
        digest, pending = chunk.digest, b""
        yield chunk, position


def _chunk(number: int, previous: str, event_line: bytes, comment: bytes) -> Chunk:
    facts = _parsed(comment[len(COMMENT) :], number)
    digest = facts.pop("h", None)
    sealed, expected = seal(previous, event_line, facts)
    if facts.get("n") != number or digest != expected or sealed != event_line + comment:
        raise ChainError(f"chunk {number}: the chain is broken")
    interval, code, data = json.loads(event_line) if event_line else (0.0, "", "")
    output = b""
    if code == "o":
        output = base64.b64decode(facts["raw"]) if "raw" in facts else data.encode()
    note = facts.get("i")
    return Chunk(
        number=number,
        interval=interval,
        code=code,
        data=data,
        offset=facts["o"],
        output=output,
        input=(note[0], note[1], note[2]) if note else None,
        digest=expected,
    )


def verify(
    lines: Iterator[bytes], *, chunks: int, head: str, each: Callable[[Chunk], None] | None = None
) -> ChainReport:
    """Read the chain again and compare it with what the database kept (``chunks`` and ``head`` at some point).

    ``each`` is shown every sound chunk: who wants something else of the file too need not read it twice.
    """
    count = offset = 0
    digest = anchored = ""
    try:
        for chunk, _ in read(lines):
            count, offset, digest = chunk.number, chunk.offset, chunk.digest
            if count == chunks:
                anchored = digest
            if each:
                each(chunk)
    except ChainError as error:
        return ChainReport(chunks=count, bytes=offset, head=digest, problem=str(error))
    problem = ""
    if count < chunks:
        problem = f"{chunks - count} chunks are missing at the end"
    elif chunks and anchored != head:
        problem = f"chunk {chunks}: not the one that was recorded"
    return ChainReport(chunks=count, bytes=offset, head=digest, problem=problem)


class Markers:
    """The places to jump to, in order, at most MARKERS. A broken chain ends the list."""

    def __init__(self) -> None:
        self.found: list[Marker] = []
        self.elapsed = 0.0

    def see(self, chunk: Chunk) -> None:
        self.elapsed += chunk.interval
        if chunk.code == "m" and len(self.found) < MARKERS:
            self.found.append(Marker(seconds=self.elapsed, label=chunk.data))


def markers(lines: Iterator[bytes]) -> list[Marker]:
    seen = Markers()
    verify(lines, chunks=0, head="", each=seen.see)
    return seen.found


def _line(value: Any) -> bytes:  # noqa: ANN401 - any JSON
    return msgspec.json.encode(value) + b"\n"


def _parsed(line: bytes, number: int) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise ChainError(f"chunk {number}: not readable")
    return value
