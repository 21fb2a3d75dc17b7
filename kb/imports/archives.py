"""Reading a .zip or .tar.gz in memory: nothing is unpacked to disk, so no name can lead out of a folder.

What it may grow to is bounded while it is read, not by what its headers say.
"""

from __future__ import annotations

import gzip
import io
import stat
import tarfile
import zipfile
import zlib

from compagnon.errors import Invalid
from compagnon.i18n import N_
from kb.imports.model import FILE_LIMIT, FILES_LIMIT, SkipReason
from kb.imports.reading import TOO_MANY, Reading

UNPACKED_LIMIT = 400_000_000  # bytes that a .tar.gz may grow to while it is read through
UNREADABLE = N_("This archive cannot be read. Please send a .zip or a .tar.gz.")
BOMB = N_("This archive grows to more than {limit} MB: it was not read further.")
FAULTS = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    tarfile.TarError,
    zlib.error,
    EOFError,
    OSError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    OverflowError,
)


def read_archive(data: bytes) -> Reading:
    """All files of an archive; a folder that holds them all is left out of their paths. Raises Invalid."""
    try:
        if data.startswith(b"PK"):
            return _zip(data)
        if data.startswith(b"\x1f\x8b"):
            return _tar(data)
    except FAULTS as error:
        raise Invalid(UNREADABLE, field="file") from error
    raise Invalid(UNREADABLE, field="file")


def _zip(data: bytes) -> Reading:
    if data.count(b"PK\x01\x02") > 2 * FILES_LIMIT:  # before zipfile makes an object of each entry
        raise Invalid(TOO_MANY, limit=FILES_LIMIT)
    reading = Reading()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = [one for one in archive.infolist() if not one.is_dir() and not _hidden(one.filename)]
        top = _top([one.filename for one in entries])
        for one in sorted(entries, key=lambda one: one.filename):
            _zip_entry(reading, archive, one, one.filename.removeprefix(top))
    return reading


def _zip_entry(reading: Reading, archive: zipfile.ZipFile, one: zipfile.ZipInfo, path: str) -> None:
    if stat.S_ISLNK(one.external_attr >> 16):
        return reading.skip(path, SkipReason.LINK)
    if not reading.wants(path):
        return None
    if one.flag_bits & 1:  # encrypted
        return reading.skip(path, SkipReason.UNREADABLE)
    with archive.open(one) as file:
        return reading.take(path, file.read(FILE_LIMIT + 1))


def _tar(data: bytes) -> Reading:
    names = []
    with tarfile.open(fileobj=_Bounded(data), mode="r|") as archive:
        for count, member in enumerate(archive):
            if count > 2 * FILES_LIMIT:
                raise Invalid(TOO_MANY, limit=FILES_LIMIT)
            if not member.isdir() and not _hidden(member.name):
                names.append(_relative(member.name))
    top, reading = _top(names), Reading()
    with tarfile.open(fileobj=_Bounded(data), mode="r|") as archive:
        for member in archive:
            if not member.isdir() and not _hidden(member.name):
                _tar_entry(reading, archive, member, _relative(member.name).removeprefix(top))
    reading.files.sort(key=lambda file: file.path)
    return reading


def _tar_entry(reading: Reading, archive: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> None:
    if not member.isfile():
        return reading.skip(path[:400], SkipReason.LINK if member.issym() or member.islnk() else SkipReason.UNREADABLE)
    if not reading.wants(path):
        return None
    file = archive.extractfile(member)
    return reading.take(path, file.read(FILE_LIMIT + 1) if file else b"")


class _Bounded(io.RawIOBase):
    """The bytes inside a gzip file; refuses to go on when they become too many."""

    def __init__(self, data: bytes) -> None:
        self._file = gzip.GzipFile(fileobj=io.BytesIO(data))
        self._left = UNPACKED_LIMIT

    def read(self, size: int = -1) -> bytes:
        found = self._file.read(min(size, 1 << 20) if size >= 0 else 1 << 20)
        self._left -= len(found)
        if self._left < 0:
            raise Invalid(BOMB, field="file", limit=UNPACKED_LIMIT // 1_000_000)
        return found


def _relative(name: str) -> str:
    return name.removeprefix("./")


def _hidden(name: str) -> bool:
    """Hidden files, and what some systems add to an archive."""
    steps = _relative(name).split("/")
    return "__MACOSX" in steps or any(step.startswith(".") and step != ".." for step in steps)


def _top(names: list[str]) -> str:
    """``folder/`` when every file is in that one folder."""
    first = {name.partition("/")[0] if "/" in name else "" for name in names}
    top = first.pop() if len(first) == 1 else ""
    return f"{top}/" if top and top != ".." else ""
