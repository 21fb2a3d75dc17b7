"""A file on its way in: into an unfinished file beside its place, and into its place once it is whole.

The unfinished file is all the state there is. Its length says where to go on, after a reload, a cut or a kill of
anybody, and a piece that comes twice, late or too early finds that length and does no harm.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import time
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass

from ..capability import CallError
from .asked import Put
from .folder import AnyFolder, open_folder
from .names import HERE, Flavour, Parts, check_new_name, key_of, parts_of, path_of
from .reach import Reach
from .sending import PIECE

UNFINISHED = re.compile(r"\.[0-9a-f]{16,32}\.compagnon-part")
LEFT_FOR = 24 * 3600
"""Seconds after which an unfinished file that nobody goes on with is taken away by the next upload beside it."""

_DIGESTS = 16
_TOKEN = re.compile(r"[0-9a-f]{16,32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an upload goes."""

    folder: Parts
    names: Parts
    size: int
    modified: int
    part: str

    @property
    def name(self) -> str:
        return self.names[-1]

    @property
    def parts(self) -> Parts:
        return (*self.folder, *self.names)

    @property
    def key(self) -> str:
        """Of the unfinished file."""
        return key_of((*self.parts[:-1], self.part))

    @property
    def path(self) -> str:
        return path_of(self.parts)

    def opened(self, reach: Reach) -> AnyFolder:
        """The folder that the file itself goes into."""
        return open_folder(self.parts[:-1], reach)


def place_of(asked: Put) -> Place:
    """Raises :class:`CallError` for a name that nothing may be given."""
    if not asked.names or not _TOKEN.fullmatch(asked.token):
        raise CallError("name", "an upload needs a name and a token")
    for name in asked.names:
        check_new_name(name)
    part = f".{asked.token}.compagnon-part"
    folder = parts_of(asked.key)
    parts_of(key_of((*folder, *asked.names)))  # its length, too
    return Place(folder=folder, names=asked.names, size=asked.size, modified=asked.modified, part=part)


class Digests:
    """Of unfinished files, as far as they have been written here: so that a whole file is not read again."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[int, hashlib._Hash]] = OrderedDict()

    def at(self, key: str, length: int) -> hashlib._Hash | None:
        found = self._kept.pop(key, None)
        if found is None and length == 0:
            return hashlib.sha256()
        return found[1] if found and found[0] == length else None

    def keep(self, key: str, length: int, digest: hashlib._Hash | None) -> None:
        if digest is None:
            return
        self._kept[key] = (length, digest)
        while len(self._kept) > _DIGESTS:
            self._kept.popitem(last=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """``have``: bytes that are there already; ``present``: the file that would be written over."""

    have: int
    present: os.stat_result | None
    made: tuple[Parts, ...]


def begin(place: Place, reach: Reach) -> Begun:
    """Make the folders on the way, and see what is there. Raises :class:`CallError`, ``OSError``."""
    made = _make_way(place, reach)
    with place.opened(reach) as folder:
        present = _look(folder, place.name)
        if present is not None and not stat.S_ISREG(present.st_mode):
            raise CallError("exists", "there is something else of this name already")
        _sweep(folder, place.part)
        have = _length(folder, place)
        _require_room(folder, place.size - have)
    return Begun(have=have, present=present, made=made)


def _make_way(place: Place, reach: Reach) -> tuple[Parts, ...]:
    made = []
    for depth in range(len(place.names) - 1):
        above, name = (*place.folder, *place.names[:depth]), place.names[depth]
        with open_folder(above, reach) as folder:
            if _look(folder, name) is None:
                with suppress(FileExistsError):  # another upload was faster
                    folder.make_folder(name)
                    made.append((*above, name))
    return tuple(made)


def _look(folder: AnyFolder, name: str) -> os.stat_result | None:
    try:
        return folder.look(name)
    except FileNotFoundError:
        return None


def _length(folder: AnyFolder, place: Place) -> int:
    """Of the unfinished file; one that is too long is none of this upload."""
    found = _look(folder, place.part)
    if found is None:
        return 0
    if found.st_size > place.size or not stat.S_ISREG(found.st_mode):
        folder.remove(place.part)
        return 0
    return found.st_size


def _sweep(folder: AnyFolder, mine: str) -> None:
    now = time.time()
    with suppress(CallError, OSError):
        left = [entry.name for entry in folder.entries() if entry.name != mine and UNFINISHED.fullmatch(entry.name)]
        for name in left:
            if now - folder.look(name).st_mtime > LEFT_FOR:
                folder.remove(name)


def _require_room(folder: AnyFolder, wanted: int) -> None:
    if folder.free() < wanted:
        raise CallError("full", "the disk has not enough room for this file")


class Writing:
    """One piece being written behind what is there. Every method blocks: call it in a thread, one at a time."""

    def __init__(self, place: Place, reach: Reach, digests: Digests) -> None:
        self._place = place
        self._digests = digests
        with place.opened(reach) as folder:
            self._handle = self._open(folder)
        self.have = os.fstat(self._handle).st_size
        self._digest = digests.at(place.key, self.have)

    def _open(self, folder: AnyFolder) -> int:
        try:
            return folder.create(self._place.part)
        except FileExistsError:
            return folder.reopen(self._place.part)

    def write(self, data: bytes) -> None:
        """Raises ``OSError``; what was written of it counts."""
        rest = memoryview(data)[: self._place.size - self.have]
        os.lseek(self._handle, self.have, os.SEEK_SET)
        while rest:
            count = os.write(self._handle, rest)
            if self._digest is not None:
                self._digest.update(rest[:count])
            self.have += count
            rest = rest[count:]

    def require_digest(self, sha256: str) -> None:
        """Raises :class:`CallError` (``damaged``)."""
        found = self._digest.hexdigest() if self._digest else digest_of(self._handle)
        if found != sha256:
            raise CallError("damaged", "what arrived is not what was sent: send it again")

    def dress(self, present: os.stat_result | None, above: os.stat_result) -> None:
        """Time, rights and owner: of the file that it takes the place of, or of a new one in this folder."""
        if self._place.modified:
            os.utime(
                self._handle if os.utime in os.supports_fd else self._place.path, (time.time(), self._place.modified)
            )
        if HERE is Flavour.POSIX:
            mode = stat.S_IMODE(present.st_mode) & 0o777 if present else 0o644
            owner = present or above
            if os.geteuid() == 0:
                os.fchown(self._handle, owner.st_uid, owner.st_gid)
            os.fchmod(self._handle, mode)
        os.fsync(self._handle)

    def close(self) -> None:
        self._digests.keep(self._place.key, self.have, self._digest)
        os.close(self._handle)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    sha256: str
    size: int
    replaced: bool


def end(place: Place, reach: Reach, digests: Digests, *, sha256: str, overwrite: bool) -> Ended:
    """Compare the whole with what its sender read, and put it in its place, at once.

    Said again, it is answered again. Raises :class:`CallError`, ``OSError``.
    """
    with place.opened(reach) as folder:
        if place.size and _look(folder, place.part) is None:
            return _ended_before(folder, place, sha256)
        return _finish(folder, place, reach, digests, sha256=sha256, overwrite=overwrite)


def _finish(folder: AnyFolder, place: Place, reach: Reach, digests: Digests, *, sha256: str, overwrite: bool) -> Ended:
    writing = Writing(place, reach, digests)
    try:
        if writing.have != place.size:
            raise CallError("incomplete", "the file is not whole yet")
        _require_digest(writing, folder, place, sha256)
        present = _look(folder, place.name)
        if present is not None and not overwrite:
            raise CallError("exists", "there is a file of this name already")
        writing.dress(present, folder.status())
    finally:
        writing.close()
    if present is not None:
        folder.replace(place.part, place.name)
    else:
        folder.rename(place.part, place.name)
    folder.sync()
    return Ended(sha256=sha256, size=place.size, replaced=present is not None)


def _require_digest(writing: Writing, folder: AnyFolder, place: Place, sha256: str) -> None:
    """What is damaged is of no use to go on with."""
    try:
        writing.require_digest(sha256)
    except CallError:
        folder.remove(place.part)
        raise


def _ended_before(folder: AnyFolder, place: Place, sha256: str) -> Ended:
    """Its unfinished file is gone: the answer of the first time was lost, or it was dropped."""
    try:
        handle = folder.open_file(place.name)
    except (CallError, OSError):
        raise CallError("gone", "the unfinished file is not there any more: send it again") from None
    with os.fdopen(handle, "rb", buffering=0):
        if os.fstat(handle).st_size != place.size or digest_of(handle) != sha256:
            raise CallError("gone", "the unfinished file is not there any more: send it again")
    return Ended(sha256=sha256, size=place.size, replaced=False)


def digest_of(handle: int) -> str:
    """SHA-256 of an open file, from its start."""
    os.lseek(handle, 0, os.SEEK_SET)
    digest = hashlib.sha256()
    while data := os.read(handle, PIECE):
        digest.update(data)
    return digest.hexdigest()


def drop(place: Place, reach: Reach) -> None:
    """The upload is given up: nothing of it is left. Idempotent."""
    with suppress(FileNotFoundError), place.opened(reach) as folder:
        folder.remove(place.part)
