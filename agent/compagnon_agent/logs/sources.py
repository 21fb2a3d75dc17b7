"""Which logs there are. Nothing else can be read through here: a source is named by its place in this list."""

from __future__ import annotations

import os
import re
import shutil
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..checks import common
from ..protocol.wire import JSON
from ..question import visible
from .windows import CHANNELS

FOLDER = Path("/var/log")
FILES = 400
DEPTH = 4
JOURNAL = "journal"
FILE = "file:"
EVENTS = "events:"
_ROTATED = re.compile(r"(\.\d{1,4}|-\d{8}|\.old)(\.(gz|bz2|xz))?$")
_BINARY = re.compile(r"(^|/)(wtmp|btmp|lastlog|faillog)(\.|$)|\.journal~?$")
_FOLDERS_LEFT_OUT = frozenset({"journal", "private"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """``size`` in bytes, ``modified`` in Unix time, 0 where that means nothing. ``rotated``: an older part."""

    id: str
    name: str
    size: int = 0
    modified: int = 0
    rotated: bool = False


class NoSource(Exception):
    """There is no such log (any more)."""


def listed() -> list[Source]:
    """Blocking."""
    if sys.platform == "win32":
        return [Source(id=f"{EVENTS}{name}", name=name) for name in CHANNELS]
    journal = [Source(id=JOURNAL, name=JOURNAL)] if has_journal() else []
    return [*journal, *files(FOLDER)]


def has_journal() -> bool:
    """Journalctl is there, and has something: it may be installed where no journal is kept."""
    if not shutil.which("journalctl"):
        return False
    try:
        found = common.run(["journalctl", "--quiet", "--no-pager", "--output=cat", "--lines=1"], timeout=5)
    except common.Trouble:
        return False
    return bool(found.stdout.strip())


def files(folder: Path) -> list[Source]:
    """Text files and what was rotated away of them: regular, readable, below the folder, not through any link."""
    found = [source for _, source in zip(range(FILES), _files(folder.resolve(), folder.resolve(), DEPTH), strict=False)]
    return sorted(found, key=lambda source: (source.rotated, source.name))


def _files(root: Path, folder: Path, depth: int) -> Iterator[Source]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            if depth > 1 and entry.name not in _FOLDERS_LEFT_OUT:
                yield from _files(root, Path(entry.path), depth - 1)
        elif (source := _file(root, entry)) is not None:
            yield source


def _file(root: Path, entry: os.DirEntry[str]) -> Source | None:
    name = os.path.relpath(entry.path, root)
    if not entry.is_file(follow_symlinks=False) or _BINARY.search(name) or visible(name) != name:
        return None
    facts = entry.stat(follow_symlinks=False)
    if not os.access(entry.path, os.R_OK):
        return None
    return Source(
        id=f"{FILE}{name}",
        name=name,
        size=facts.st_size,
        modified=int(facts.st_mtime),
        rotated=_ROTATED.search(name) is not None,
    )


def path_of(source: str, folder: Path = FOLDER) -> Path:
    """Of a source that is in the list now. Raises :class:`NoSource`."""
    if source not in {found.id for found in files(folder)}:
        raise NoSource
    return folder.resolve() / source.removeprefix(FILE)


def open_file(path: Path) -> int:
    """A descriptor of a regular file, whatever was put in its place meanwhile. Raises ``OSError``."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    if path.parent.resolve() != path.parent:
        raise FileNotFoundError(path)
    descriptor = os.open(path, flags)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise FileNotFoundError(path)
    return descriptor


def as_json(source: Source) -> dict[str, JSON]:
    return {
        "id": source.id,
        "name": source.name,
        "size": source.size,
        "modified": source.modified,
        "rotated": source.rotated,
    }
