"""An open folder, in which everything is reached by one name and no link is ever followed (POSIX).

A path is opened from the top, name by name, each relative to the folder opened before (openat(2), O_NOFOLLOW): whoever
swaps a folder for a link on the way gets a refusal, not another file.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Protocol, Self

from ..capability import CallError
from .names import HERE, Flavour, Parts
from .reach import Reach, require_file

_WAY = getattr(os, "O_PATH", os.O_RDONLY) | os.O_CLOEXEC if os.name == "posix" else os.O_RDONLY
_READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
_CODES = {
    errno.ENOENT: ("not_found", "it is not there"),
    errno.EACCES: ("denied", "the agent may not do this"),
    errno.EPERM: ("denied", "the agent may not do this"),
    errno.EEXIST: ("exists", "there is something of this name already"),
    errno.ENOTEMPTY: ("not_empty", "this folder is not empty"),
    errno.ENOSPC: ("full", "the disk is full"),
    errno.EDQUOT: ("full", "the account's share of the disk is full"),
    errno.EFBIG: ("full", "this file system does not take files of this size"),
    errno.EROFS: ("read_only", "this disk cannot be written"),
    errno.ENAMETOOLONG: ("name", "this name is too long"),
    errno.EILSEQ: ("name", "this file system does not take this name"),
    errno.ENOTDIR: ("not_folder", "this is not a folder, or a link on the way to it"),
    errno.ELOOP: ("link", "this is a link; open the place that it leads to"),
    errno.EISDIR: ("is_folder", "this is a folder"),
    errno.EXDEV: ("other_disk", "another disk is mounted here"),
    errno.EBUSY: ("busy", "it is in use"),
}


def fault_of(error: OSError) -> CallError:
    """An error of the system, in one sentence."""
    code, words = _CODES.get(error.errno or 0, ("failed", error.strerror or "it failed"))
    return CallError(code, words)


class AnyFolder(Protocol):
    """What an open folder can do; every ``name`` was checked before. Raises :class:`CallError` and ``OSError``."""

    parts: Parts

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def enter(self, name: str) -> AnyFolder: ...

    def status(self) -> os.stat_result: ...

    def look(self, name: str) -> os.stat_result: ...

    def entries(self) -> Iterator[os.DirEntry[str]]: ...

    def target(self, name: str) -> str: ...

    def open_file(self, name: str) -> int: ...

    def create(self, name: str) -> int: ...

    def reopen(self, name: str) -> int: ...

    def make_folder(self, name: str) -> None: ...

    def remove(self, name: str) -> None: ...

    def remove_folder(self, name: str) -> None: ...

    def rename(self, name: str, new: str) -> None: ...

    def replace(self, name: str, new: str) -> None: ...

    def sync(self) -> None: ...

    def free(self) -> int: ...


class Folder:
    """See :class:`AnyFolder`. Close it, or use it in ``with``."""

    def __init__(self, handle: int, parts: Parts, reach: Reach) -> None:
        self._handle = handle
        self.parts = parts
        self._reach = reach

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._handle)

    def enter(self, name: str) -> Folder:
        self._reach.require((*self.parts, name))
        return self.down(name)

    def down(self, name: str) -> Folder:
        """As :meth:`enter`, also on the way to a root, where nothing else is reached."""
        handle = os.open(name, _WAY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=self._handle)
        folder = Folder(handle, (*self.parts, name), self._reach)
        try:
            self._reach.admit(os.fstat(handle))
        except CallError:
            os.close(handle)
            raise
        return folder

    def status(self) -> os.stat_result:
        return os.fstat(self._handle)

    def look(self, name: str) -> os.stat_result:
        """The thing itself, a link too."""
        return os.stat(name, dir_fd=self._handle, follow_symlinks=False)

    @contextmanager
    def _readable(self) -> Iterator[int]:
        handle = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self._handle)
        try:
            yield handle
        finally:
            os.close(handle)

    def entries(self) -> Iterator[os.DirEntry[str]]:
        with self._readable() as handle, os.scandir(handle) as found:
            yield from found

    def target(self, name: str) -> str:
        """Where a link leads, made whole; it need not exist."""
        there = os.readlink(name, dir_fd=self._handle)
        return os.path.realpath(os.path.join("/", *self.parts, there))  # noqa: PTH118 - bytes that are no UTF-8

    def open_file(self, name: str) -> int:
        """For reading; only a plain file, and the one that was looked at."""
        self._reach.require((*self.parts, name))
        before = self.look(name)
        require_file(before)
        handle = os.open(name, _READ | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._handle)
        try:
            self._require_same(before, os.fstat(handle))
        except CallError:
            os.close(handle)
            raise
        return handle

    def _require_same(self, before: os.stat_result, now: os.stat_result) -> None:
        if (before.st_dev, before.st_ino) != (now.st_dev, now.st_ino):
            raise CallError("changed", "it was swapped for another while it was opened")
        require_file(now)
        self._reach.admit(now)

    def create(self, name: str) -> int:
        """A new file that only the agent reads, for writing; raises ``FileExistsError``."""
        self._reach.require((*self.parts, name))
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.open(name, flags, 0o600, dir_fd=self._handle)

    def reopen(self, name: str) -> int:
        """A file made by :meth:`create`, to go on with it."""
        before = self.look(name)
        require_file(before)
        if before.st_nlink != 1 or before.st_uid != os.geteuid():
            raise CallError("changed", "the unfinished file belongs to somebody else")
        handle = os.open(name, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=self._handle)
        try:
            self._require_same(before, os.fstat(handle))
        except CallError:
            os.close(handle)
            raise
        return handle

    def make_folder(self, name: str) -> None:
        self._reach.require((*self.parts, name))
        os.mkdir(name, 0o755, dir_fd=self._handle)
        self._give(name)

    def _give(self, name: str) -> None:
        """What an agent for the whole machine makes in somebody's folder is theirs."""
        if os.geteuid() == 0:
            owner = self.status()
            os.chown(name, owner.st_uid, owner.st_gid, dir_fd=self._handle, follow_symlinks=False)

    def remove(self, name: str) -> None:
        """A file, or a link itself."""
        self._reach.require((*self.parts, name))
        self._reach.admit(self.look(name))
        os.unlink(name, dir_fd=self._handle)

    def remove_folder(self, name: str) -> None:
        """An empty one."""
        self._reach.require_movable((*self.parts, name))
        self._reach.admit(self.look(name))
        os.rmdir(name, dir_fd=self._handle)

    def rename(self, name: str, new: str) -> None:
        """Within this folder, never over something else; raises ``FileExistsError``.

        A folder cannot be linked: between the look and the rename only an empty folder can be lost (rename(2)).
        """
        self._reach.require((*self.parts, new))
        self._reach.require_movable((*self.parts, name))
        found = self.look(name)
        self._reach.admit(found)
        if stat.S_ISDIR(found.st_mode):
            self._require_free(new)
            os.rename(name, new, src_dir_fd=self._handle, dst_dir_fd=self._handle)
            return
        self._link(name, new)

    def _require_free(self, new: str) -> None:
        try:
            self.look(new)
        except FileNotFoundError:
            return
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))

    def _link(self, name: str, new: str) -> None:
        """link(2) refuses an existing name at once; where there are no links, a placeholder takes the name first."""
        try:
            os.link(name, new, src_dir_fd=self._handle, dst_dir_fd=self._handle, follow_symlinks=False)
        except FileExistsError:
            raise
        except OSError:
            os.close(self.create(new))
            self.replace(name, new)
            return
        os.unlink(name, dir_fd=self._handle)

    def replace(self, name: str, new: str) -> None:
        """At once, over whatever file is there (a link itself, not what it leads to)."""
        self._reach.require((*self.parts, new))
        os.replace(name, new, src_dir_fd=self._handle, dst_dir_fd=self._handle)

    def free(self) -> int:
        """Bytes that this disk still takes from the agent's account."""
        with self._readable() as handle:
            found = os.fstatvfs(handle)
        return (found.f_bfree if os.geteuid() == 0 else found.f_bavail) * found.f_frsize

    def sync(self) -> None:
        """What was renamed here survives a power cut."""
        with self._readable() as handle:
            os.fsync(handle)


def open_folder(parts: Parts, reach: Reach) -> AnyFolder:
    """From the top, name by name. Raises :class:`CallError`, ``OSError``."""
    reach.require(parts)
    if HERE is Flavour.WINDOWS:
        from .windows import WindowsFolder  # only there

        return WindowsFolder.opened(parts, reach)
    folder = Folder(os.open("/", _WAY | os.O_DIRECTORY), (), reach)
    for name in parts:
        with folder:
            folder = folder.down(name)
    return folder


__all__ = ["AnyFolder", "Folder", "fault_of", "open_folder"]
