"""Reading a folder or an archive into texts. Nothing is written, no link is followed, everything is bounded."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from compagnon.errors import Invalid
from compagnon.i18n import N_
from kb.imports.formats import ENDINGS
from kb.imports.model import FILE_LIMIT, FILES_LIMIT, PATH_LIMIT, TOTAL_LIMIT, Skipped, SkipReason, SourceFile

BOMS = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")
UNSAFE = re.compile(r"[\x00-\x1f\x7f\\\ud800-\udfff\ufffd]|^[A-Za-z]:")
TOO_MANY = N_("There are more than {limit} files here: import a smaller folder.")
TOO_MUCH = N_("There are more than {limit} MB of documents here: import a smaller folder.")


@dataclass(slots=True, kw_only=True)
class Reading:
    """The texts of the documents, and what could not be read. ``paths`` of other files are only noted."""

    files: list[SourceFile] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    _size: int = 0
    _seen: set[str] = field(default_factory=set)

    def wants(self, path: str) -> bool:
        """Whether the file's content is needed; what is not is noted. Raises Invalid when there are too many."""
        if len(self._seen) >= FILES_LIMIT:
            raise Invalid(TOO_MANY, limit=FILES_LIMIT)
        if not is_safe(path) or path in self._seen:
            self.skip(printable(path), SkipReason.NAME)
            return False
        self._seen.add(path)
        if PurePosixPath(path).suffix.lower() in ENDINGS:
            return True
        self.skip(path, SkipReason.OTHER_FILE)
        return False

    def take(self, path: str, data: bytes) -> None:
        """Keep a document's text, or why it is none. Raises Invalid when all together are too much."""
        if len(data) > FILE_LIMIT:
            return self.skip(path, SkipReason.TOO_LARGE)
        self._size += len(data)
        if self._size > TOTAL_LIMIT:
            raise Invalid(TOO_MUCH, limit=TOTAL_LIMIT // 1_000_000)
        text = decoded(data)
        if isinstance(text, SkipReason):
            return self.skip(path, text)
        self.files.append(SourceFile(path=path, text=text))
        return None

    def skip(self, path: str, reason: SkipReason) -> None:
        self.skipped.append(Skipped(path=path, reason=reason))


def is_safe(path: str) -> bool:
    """Whether a path stays inside its folder and can be shown and kept."""
    steps = path.split("/")
    return bool(path) and len(path) <= PATH_LIMIT and not UNSAFE.search(path) and not {"", ".", ".."} & set(steps)


def printable(path: str) -> str:
    """A path for people to read, whatever is in it."""
    return UNSAFE.sub("\N{REPLACEMENT CHARACTER}", path)[:PATH_LIMIT] or "?"


def decoded(data: bytes) -> str | SkipReason:
    if data.startswith(BOMS):
        return SkipReason.ENCODING
    if b"\0" in data:
        return SkipReason.BINARY
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError:
        return SkipReason.ENCODING


def read_folder(folder: Path) -> Reading:
    """All files below a folder, hidden ones left out. Raises Invalid when there is no such folder."""
    if not folder.is_dir():
        raise Invalid(N_("There is no folder {path}."), path=printable(str(folder)))
    reading = Reading()
    for path, entry in _entries(folder, ""):
        _read_entry(reading, path, entry)
    return reading


def _entries(folder: Path, prefix: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Files and symbolic links below ``folder``, in the order of their names; depth is bounded by the path's limit."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        path = f"{prefix}{entry.name}"
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False) and len(path) < PATH_LIMIT:
            yield from _entries(Path(entry.path), f"{path}/")
        else:
            yield path, entry


def _read_entry(reading: Reading, path: str, entry: os.DirEntry[str]) -> None:
    if entry.is_symlink():
        return reading.skip(printable(path), SkipReason.LINK)
    if not reading.wants(path):
        return None
    if not entry.is_file(follow_symlinks=False):  # a pipe or a device: opening it could wait for ever
        return reading.skip(path, SkipReason.UNREADABLE)
    try:
        descriptor = os.open(entry.path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(descriptor, "rb") as file:
            return reading.take(path, file.read(FILE_LIMIT + 1))
    except OSError:
        return reading.skip(path, SkipReason.UNREADABLE)
