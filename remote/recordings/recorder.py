"""Write a recording as the session happens, and take it up again after the server was killed."""

from __future__ import annotations

import base64
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from remote.recordings import cast


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What a reopened recording tells about its session. ``tail`` is the end of the output, ending at ``offset``.

    ``notes`` are the accepted inputs in order: viewer, upto in its stream, upto in the session's (see note_input).
    """

    offset: int
    tail: bytes
    notes: tuple[tuple[str, int, int], ...] = ()
    columns: int = 80
    rows: int = 24


class Recorder:
    """Appends to one recording. Each call is one ``write(2)``: what it returned for survives a kill -9.

    Every method that writes raises OSError when the disk refuses; the file is then cut back to its last whole chunk and
    the same bytes may be offered again.
    """

    __slots__ = ("_clock", "_elapsed", "_handle", "_pending", "_size", "_started", "chunks", "head", "offset", "path")

    def __init__(self, path: Path, handle: int) -> None:
        self.path = path
        self._handle = handle
        self._clock = time.time
        self._started = time.time()
        self._elapsed = 0.0
        self._pending = b""
        self._size = 0
        self.chunks = 0
        self.head = ""
        self.offset = 0

    @classmethod
    def create(cls, path: Path, *, columns: int, rows: int, title: str) -> Recorder:
        """A new file, readable by the server's user only. Raises FileExistsError."""
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        _claim(handle)
        recorder = cls(path, handle)
        line = cast.header(columns=columns, rows=rows, timestamp=int(recorder._started), title=title)
        recorder._started = float(int(recorder._started))
        recorder._put(line)
        recorder.head = cast.first_digest(line)
        return recorder

    @classmethod
    def reopen(cls, path: Path, *, keep: int) -> tuple[Recorder, Restored]:
        """Continue after the last whole chunk; what was cut behind it is dropped (it was never acknowledged).

        ``keep`` bounds the restored tail, in bytes. Raises ChainError, OSError (also while another process writes it).
        """
        tail = bytearray()
        notes: list[tuple[str, int, int]] = []
        handle = os.open(path, os.O_WRONLY | os.O_APPEND)
        _claim(handle)
        recorder = cls(path, handle)
        columns, rows = 80, 24
        with path.open("rb") as file:
            started = cast.start_of(file.readline(cast.MAX_LINE))
            recorder._started, columns, rows = started.timestamp, started.columns, started.rows
            recorder._size = file.tell()
            recorder.head = started.digest
            file.seek(0)
            for chunk, position in cast.read(iter(file)):
                recorder._take_up(chunk, position)
                tail += chunk.output
                if len(tail) > 2 * keep:
                    del tail[:-keep]
                if chunk.input:
                    notes.append(chunk.input)
                if chunk.code == "r":
                    columns, rows = cast.size_of(chunk.data)
        os.ftruncate(handle, recorder._size)
        kept = bytes(tail[-keep:]) if keep else b""
        restored = Restored(offset=recorder.offset, tail=kept, notes=tuple(notes), columns=columns, rows=rows)
        return recorder, restored

    def _take_up(self, chunk: cast.Chunk, position: int) -> None:
        self.chunks, self.head, self.offset = chunk.number, chunk.digest, chunk.offset
        self._elapsed += chunk.interval
        self._size = position

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self._size

    @property
    def received(self) -> int:
        """Output bytes taken in, recorded or still waiting for the rest of a UTF-8 character (at most 3)."""
        return self.offset + len(self._pending)

    def output(self, data: bytes) -> None:
        """Record terminal output. An unfinished UTF-8 character at the end waits for its other bytes."""
        whole, rest = split_utf8(self._pending + data)
        if whole:
            self._record_output(whole)
        self._pending = rest

    def _record_output(self, data: bytes) -> None:
        text = data.decode("utf-8", "replace")
        facts: dict[str, object] = {"n": self.chunks + 1, "o": self.offset + len(data)}
        if text.encode() != data:
            facts["raw"] = base64.b64encode(data).decode()
        self._append("o", text, facts)
        self.offset += len(data)

    def resize(self, columns: int, rows: int) -> None:
        self._append("r", f"{columns}x{rows}", self._facts())

    def picture(self, record: bytes) -> None:
        """Record a piece of a screen (``compagnon_agent.protocol.tiles``); players of terminals skip it."""
        self._append("s", base64.b64encode(record).decode(), self._facts())

    def mark(self, label: str) -> None:
        self._append("m", label[:200], self._facts())

    def gap(self, offset: int) -> None:
        """Note that the output between here and ``offset`` is lost; the numbering goes on behind it."""
        lost = offset - self.offset
        self._append("m", f"lost: {lost} bytes", {"n": self.chunks + 1, "o": offset})
        self._pending = b""
        self.offset = offset

    def exit(self, status: int) -> None:
        self._append("x", str(status), self._facts())

    def touch(self) -> None:
        """Write a chunk that says nothing: does the disk take it?"""
        self._write(b"", self._facts())

    def note_input(self, viewer: str, upto: int, session_upto: int) -> None:
        """Note that a viewer's input is accepted up to ``upto``; the input itself is never recorded.

        An empty viewer notes that the agent received ``session_upto`` bytes and that what was accepted beyond is void.
        """
        self._write(b"", self._facts() | {"i": [viewer, upto, session_upto]})

    def _facts(self) -> dict[str, object]:
        return {"n": self.chunks + 1, "o": self.offset}

    def _append(self, code: str, data: str, facts: dict[str, object]) -> None:
        elapsed = max(self._elapsed, round(self._clock() - self._started, 6))
        self._write(cast.event(elapsed - self._elapsed, code, data), facts)
        self._elapsed = elapsed

    def _write(self, event_line: bytes, facts: dict[str, object]) -> None:
        sealed, digest = cast.seal(self.head, event_line, facts)
        self._put(sealed)
        self.head = digest
        self.chunks += 1

    def _put(self, data: bytes) -> None:
        try:
            written = os.write(self._handle, data)
            if written != len(data):
                raise OSError(28, "the disk is full")
        except OSError:
            os.ftruncate(self._handle, self._size)
            raise
        self._size += len(data)

    def sync(self) -> None:
        """Make it survive a power cut too (slow: call it from a thread)."""
        os.fsync(self._handle)

    def close(self) -> None:
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


def _claim(handle: int) -> None:
    """One writer at a time: the lock goes with the process, however it ends. Closes the file when it is taken."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise


def being_written(path: Path) -> bool:
    """Whether some process, this one included, has the recording open for writing. Raises OSError."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@contextmanager
def claimed(path: Path) -> Iterator[bool]:
    """Whether it is ours alone, among all processes, until the end of the block; a file that is gone is nobody's."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        yield True
        return
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def split_utf8(data: bytes) -> tuple[bytes, bytes]:
    """Split off an unfinished UTF-8 character at the end (RFC 3629 §3: at most 3 bytes)."""
    for back in range(1, min(3, len(data)) + 1):
        byte = data[-back]
        if byte & 0xC0 == 0x80:
            continue
        needed = 2 if byte & 0xE0 == 0xC0 else 3 if byte & 0xF0 == 0xE0 else 4 if byte & 0xF8 == 0xF0 else 1
        if needed > back:
            return data[:-back], data[-back:]
        break
    return data, b""
