"""A file on its way out through a channel. Reading and hashing is done in threads: the agent goes on answering."""

from __future__ import annotations

import asyncio
import hashlib
import os
from enum import IntEnum
from typing import Protocol

from ...protocol.channel import Channel
from ...protocol.wire import JSON

PIECE = 512 * 1024
"""Bytes read and hashed at a time: about a millisecond of one core."""


class Outcome(IntEnum):
    """The code with which a channel ends."""

    WHOLE = 0
    FAILED = 1
    CHANGED = 2


class Source(Protocol):
    """``send`` gives the outcome; what is ``told`` holds once it has ended. ``send`` closes what it reads."""

    async def send(self, channel: Channel) -> Outcome: ...

    def told(self) -> dict[str, JSON]: ...


def version_of(found: os.stat_result) -> str:
    """Another one means another content, as far as the file system tells."""
    return f"{found.st_ino:x}-{found.st_size:x}-{found.st_mtime_ns:x}"


class OneFile:
    """``start``..``start + length`` of an open file (0: to its end).

    The digest is of the whole, once that was sent to its end.
    """

    def __init__(self, handle: int, *, start: int, length: int) -> None:
        self._file = os.fdopen(handle, "rb", buffering=0)
        self._before = os.fstat(handle)
        self._at = min(start, self.size)
        self._end = min(self._at + length, self.size) if length else self.size
        self._digest = hashlib.sha256()

    @property
    def size(self) -> int:
        return self._before.st_size

    @property
    def about(self) -> dict[str, JSON]:
        modified = max(0, int(self._before.st_mtime))
        length = self._end - self._at
        return {"size": self.size, "length": length, "modified": modified, "version": version_of(self._before)}

    def close(self) -> None:
        """Instead of ``send``."""
        self._file.close()

    async def send(self, channel: Channel) -> Outcome:
        """The next piece is read while the one before is sent."""
        ahead = asyncio.create_task(asyncio.to_thread(self._first))
        try:
            while data := await asyncio.shield(ahead):
                ahead = asyncio.create_task(asyncio.to_thread(self._read))
                await channel.write(data)
            return self._outcome()
        finally:
            await asyncio.wait([ahead])  # nobody reads any more when it is closed
            self._file.close()

    def _first(self) -> bytes:
        """What the other side has already belongs to the digest too."""
        if self._end < self.size:
            self._file.seek(self._at)
        while (at := self._file.tell()) < self._at:
            data = self._file.read(min(PIECE, self._at - at))
            if not data:
                break
            self._digest.update(data)
        return self._read()

    def _read(self) -> bytes:
        data = self._file.read(min(PIECE, self._end - self._at)) or b""
        self._at += len(data)
        self._digest.update(data)
        return data

    def _outcome(self) -> Outcome:
        same = version_of(os.fstat(self._file.fileno())) == version_of(self._before)
        return Outcome.WHOLE if same and self._at == self._end else Outcome.CHANGED

    def told(self) -> dict[str, JSON]:
        return {"sha256": self._digest.hexdigest() if self._end == self.size else "", "bytes": self._at, "skipped": 0}
