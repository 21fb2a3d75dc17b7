"""The files of recordings on the disk: plain while they grow, gzip once they are finished (RFC 1952).

Whatever happens in the middle of :func:`compress`, one whole copy is left under a name that :func:`found` knows.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from typing import Protocol

PACKED = ".gz"
PART = ".part"
LEVEL = 6
PIECE = 256 * 1024  # bytes
DAMAGED = (EOFError, zlib.error)  # what gzip raises beside OSError for a file that was cut or changed


class Readable(Protocol):
    """What :func:`opened` gives: bytes by pieces or by lines."""

    def read(self, size: int = ..., /) -> bytes: ...
    def __iter__(self) -> Iterator[bytes]: ...


def is_packed(path: Path) -> bool:
    return path.suffix == PACKED


def packed_name(path: Path) -> Path:
    return path.with_name(path.name + PACKED)


def found(path: Path) -> Path:
    """``path``, or its compressed copy when it was compressed since its name was looked up."""
    packed = packed_name(path)
    return packed if not is_packed(path) and not path.exists() and packed.exists() else path


@contextmanager
def opened(path: Path) -> Iterator[Readable]:
    """The recording's bytes, whichever way they are kept. Reading raises OSError; what was cut or changed does too."""
    with _open(path) as file:
        try:
            yield file
        except DAMAGED as error:
            raise OSError(5, f"the compressed file is damaged ({error})") from None


def _open(path: Path) -> gzip.GzipFile | BufferedReader:
    if is_packed(path):
        return gzip.open(path, "rb")
    try:
        return path.open("rb")
    except FileNotFoundError:  # compressed since its name was looked up
        return gzip.open(packed_name(path), "rb")


def compress(path: Path) -> Path:
    """Write the compressed copy beside ``path``, durable and compared with it; ``path`` stays. Raises OSError."""
    packed = packed_name(path)
    part = packed.with_name(packed.name + PART)
    try:
        _write_packed(path, part)
        if not _same(path, part):
            raise OSError(5, "the compressed copy is not the same")
        part.replace(packed)
    finally:
        part.unlink(missing_ok=True)
    sync_folder(packed.parent)
    return packed


def _write_packed(path: Path, part: Path) -> None:
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as target:
        with path.open("rb") as source, gzip.GzipFile("", "wb", LEVEL, target, mtime=0) as writer:
            shutil.copyfileobj(source, writer, PIECE)
        target.flush()
        os.fsync(target.fileno())


def _same(path: Path, part: Path) -> bool:
    with gzip.open(part, "rb") as written, path.open("rb") as source:
        return _digest(written) == _digest(source)


def drop_plain(packed: Path) -> None:
    """Remove the plain file that a kill left beside its compressed copy."""
    packed.with_name(packed.name.removesuffix(PACKED)).unlink(missing_ok=True)


def plain_ones(root: Path) -> list[str]:
    """The session ids of the recordings under ``root`` that are not compressed, or still lie beside their copy."""
    return [path.stem for path in root.glob("*/*.cast")]


def fingerprint(path: Path) -> str:
    """SHA-256 of the recording's bytes as they were recorded, compressed or not. Raises OSError."""
    with opened(path) as file:
        return _digest(file)


def copies(path: Path) -> list[Path]:
    """Every file of this recording: plain, compressed, half compressed, and what a capability keeps beside it."""
    session_id = path.name.partition(".")[0]
    return sorted(path.parent.glob(f"{session_id}.*")) if session_id else []


def erase(path: Path) -> int:
    """Remove every copy, for good; how many there were. Idempotent. Raises OSError."""
    removed = 0
    for copy in copies(path):
        with suppress(FileNotFoundError):
            copy.unlink()
            removed += 1
    if path.parent.is_dir():
        sync_folder(path.parent)
    return removed


def sync_folder(folder: Path) -> None:
    """Make what was renamed or removed in it survive a power cut (POSIX fsync of a directory; nothing on Windows)."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _digest(file: Readable) -> str:
    digest = hashlib.sha256()
    while piece := file.read(PIECE):
        digest.update(piece)
    return digest.hexdigest()
