"""A folder as a zip archive, made while it is sent: nothing of it is kept on this machine."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import re
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ...protocol.channel import Channel
from ...protocol.wire import JSON
from ..capability import CallError
from .folder import AnyFolder, open_folder
from .listing import Kind, kind_of
from .names import DEPTH, Parts, shown
from .reach import Reach
from .sending import PIECE, Outcome

_PACKED = re.compile(
    r"\.(7z|avi|bz2|docx|flac|gif|gz|jpe?g|m4a|mkv|mov|mp[34]|odt|ods|pptx|png|rar|webp|xlsx|xz|zip|zst)$",
    re.IGNORECASE,
)
_SIGNS = re.compile(r'[<>:"\\|?*]')
_FIRST, _LAST = 1980, 2107  # the years that an archive can tell (APPNOTE.TXT §4.4.6)


def safe_name(names: Parts) -> str:
    """The path in the archive: whoever unpacks it, on whatever system, gets files below one folder."""
    return "/".join(_SIGNS.sub("_", shown(name)).rstrip(". ") or "_" for name in names)


class _Pipe(io.RawIOBase):
    """What the archive is written to, in a thread; it goes on to the channel at the channel's pace."""

    def __init__(self, channel: Channel, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._channel = channel
        self._loop = loop
        self._waiting = bytearray()
        self.digest = hashlib.sha256()
        self.sent = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:  # noqa: ANN401 - any bytes
        self._waiting += data
        if len(self._waiting) >= PIECE:
            self.push()
        return len(data)

    def push(self) -> None:
        """Raises ``ChannelLost``."""
        data = bytes(self._waiting)
        self._waiting.clear()
        self.digest.update(data)
        self.sent += len(data)
        asyncio.run_coroutine_threadsafe(self._channel.write(data), self._loop).result()


class Archive:
    """What may not be read, links and special files are left out and counted."""

    def __init__(self, parts: Parts, reach: Reach) -> None:
        self._parts = parts
        self._reach = reach
        self._names: set[str] = set()
        self._pipe: _Pipe | None = None
        self._skipped = 0

    async def send(self, channel: Channel) -> Outcome:
        """In a thread of its own: it waits for the channel, and must not keep others from theirs."""
        loop = asyncio.get_running_loop()
        self._pipe = _Pipe(channel, loop)
        own = ThreadPoolExecutor(1, "archive")
        try:
            return await loop.run_in_executor(own, self._pack, self._pipe)
        finally:
            own.shutdown(wait=False)

    def _pack(self, pipe: _Pipe) -> Outcome:
        top = self._parts[-1] if self._parts else "files"
        with zipfile.ZipFile(pipe, "w", allowZip64=True) as archive, open_folder(self._parts, self._reach) as folder:
            self._add_folder(archive, folder, (top,))
        pipe.push()
        return Outcome.WHOLE

    def _add_folder(self, archive: zipfile.ZipFile, folder: AnyFolder, names: Parts) -> None:
        archive.writestr(self._info(safe_name(names) + "/", folder.status()), b"")
        for name in sorted(_names(folder)):
            try:
                self._add(archive, folder, name, (*names, name))
            except (CallError, OSError):
                self._skipped += 1

    def _add(self, archive: zipfile.ZipFile, folder: AnyFolder, name: str, names: Parts) -> None:
        kind = kind_of(folder.look(name))
        if kind is Kind.FOLDER and len(names) < DEPTH:
            with folder.enter(name) as inner:
                self._add_folder(archive, inner, names)
        elif kind is Kind.FILE:
            self._add_file(archive, folder.open_file(name), names)
        else:
            self._skipped += 1

    def _add_file(self, archive: zipfile.ZipFile, handle: int, names: Parts) -> None:
        with os.fdopen(handle, "rb", buffering=0) as file:
            info = self._info(safe_name(names), os.fstat(handle))
            info.compress_type = zipfile.ZIP_STORED if _PACKED.search(info.filename) else zipfile.ZIP_DEFLATED
            with archive.open(info, "w", force_zip64=True) as entry:
                while data := file.read(PIECE):
                    entry.write(data)

    def _info(self, name: str, found: os.stat_result) -> zipfile.ZipInfo:
        when = time.localtime(max(0, found.st_mtime))
        year = min(max(when.tm_year, _FIRST), _LAST)
        date = (year, when.tm_mon, when.tm_mday, when.tm_hour, when.tm_min, min(when.tm_sec, 59))
        return zipfile.ZipInfo(self._unique(name), date)

    def _unique(self, name: str) -> str:
        """Names that differ on this machine only in what cannot be shown."""
        found, number = name, 1
        while found in self._names:
            number += 1
            found = f"{name.rstrip('/')} ({number}){'/' if name.endswith('/') else ''}"
        self._names.add(found)
        return found

    def told(self) -> dict[str, JSON]:
        sent = self._pipe.sent if self._pipe else 0
        digest = self._pipe.digest.hexdigest() if self._pipe else ""
        return {"sha256": digest, "bytes": sent, "skipped": self._skipped}


def _names(folder: AnyFolder) -> Iterator[str]:
    for entry in folder.entries():
        yield entry.name
