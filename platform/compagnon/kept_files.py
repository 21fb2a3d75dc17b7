"""Files that members send: named by their SHA-256 in the data folder, so that one is kept once and never changes."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import tempfile
from pathlib import Path

from compagnon.errors import NotFound
from compagnon.i18n import N_

DIGEST = re.compile(r"[0-9a-f]{64}")


class KeptFiles:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def keep(self, data: bytes) -> str:
        """Write the file (0600), on disk before this returns; its digest."""
        return await asyncio.to_thread(self._write, data)

    async def read(self, digest: str) -> bytes:
        """Raises NotFound when it is not there."""
        if not DIGEST.fullmatch(digest):
            raise NotFound(N_("There is no such file."))
        try:
            return await asyncio.to_thread(self._path(digest).read_bytes)
        except FileNotFoundError:
            raise NotFound(N_("There is no such file.")) from None

    def _path(self, digest: str) -> Path:
        return self._folder / digest[:2] / digest

    def _write(self, data: bytes) -> str:
        digest = hashlib.sha256(data).hexdigest()
        path = self._path(digest)
        if path.exists():
            return digest
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, temporary = tempfile.mkstemp(dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
        return digest


def picture_type(data: bytes) -> str | None:
    """The media type by the file's own first bytes, whatever the browser said; None for anything else.

    PNG (RFC 2083 §3.1), JPEG (JFIF/Exif SOI), WebP (RIFF container).
    """
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return None
