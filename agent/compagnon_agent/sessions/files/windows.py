"""An open folder on Windows, where a path cannot be opened name by name.

Each part of the path is looked at first and no link or junction is accepted; then the file is opened, and the path
that Windows itself gives for the open handle must be the one asked for. What is written is opened the same way before
anything goes into it. Between the look and a rename or a removal a junction could be swapped in by whoever may write
the folder above; the name that is then removed or renamed is still one of this folder's own.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from ..capability import CallError
from .names import Flavour, Parts, path_of, split
from .reach import Reach, is_link, require_file

_BINARY = getattr(os, "O_BINARY", 0) | getattr(os, "O_NOINHERIT", 0)


def require_final(asked: Parts, final: str) -> None:
    """``final`` is what the system calls an open handle (GetFinalPathNameByHandle). Raises :class:`CallError`."""
    plain = final.removeprefix("\\\\?\\")
    if plain.upper().startswith("UNC\\") or plain.startswith("\\\\"):
        raise CallError("outside", "this place is on another machine")
    found = [name.lower() for name in split(plain, Flavour.WINDOWS)]
    if found != [name.lower() for name in asked]:
        raise CallError("link", "a link or a junction leads elsewhere on the way to it")


def final_path(handle: int) -> str:
    import ctypes  # only on Windows
    import msvcrt

    size = 32_768
    buffer = ctypes.create_unicode_buffer(size)
    kernel = ctypes.WinDLL("kernel32", use_last_error=True)  # type: ignore[attr-defined]
    kernel.GetFinalPathNameByHandleW.argtypes = [ctypes.c_void_p, ctypes.c_wchar_p, ctypes.c_uint32, ctypes.c_uint32]
    length = kernel.GetFinalPathNameByHandleW(msvcrt.get_osfhandle(handle), buffer, size, 0)  # type: ignore[attr-defined]
    if not 0 < length < size:
        raise OSError(errno.EIO, "the system does not tell what was opened")
    return buffer.value


class WindowsFolder:
    """See :class:`.folder.AnyFolder`."""

    def __init__(self, parts: Parts, reach: Reach) -> None:
        self.parts = parts
        self._reach = reach

    @classmethod
    def opened(cls, parts: Parts, reach: Reach) -> WindowsFolder:
        for depth in range(2, len(parts) + 1):
            cls._require_folder(parts[:depth], reach)
        return cls(parts, reach)

    @staticmethod
    def _require_folder(parts: Parts, reach: Reach) -> None:
        found = os.lstat(path_of(parts, Flavour.WINDOWS))
        if is_link(found):
            raise CallError("link", "a link or a junction leads elsewhere on the way to it")
        if not stat.S_ISDIR(found.st_mode):
            raise CallError("not_folder", "this is not a folder")
        reach.admit(found)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def _path(self, name: str) -> Path:
        self._reach.require((*self.parts, name))
        return Path(path_of((*self.parts, name), Flavour.WINDOWS))

    def enter(self, name: str) -> WindowsFolder:
        parts = (*self.parts, name)
        self._reach.require(parts)
        self._require_folder(parts, self._reach)
        return WindowsFolder(parts, self._reach)

    def status(self) -> os.stat_result:
        return os.lstat(path_of(self.parts, Flavour.WINDOWS))

    def look(self, name: str) -> os.stat_result:
        return self._path(name).lstat()

    def entries(self) -> Iterator[os.DirEntry[str]]:
        with os.scandir(path_of(self.parts, Flavour.WINDOWS)) as found:
            yield from found

    def target(self, name: str) -> str:
        return os.path.realpath(self._path(name))

    def _opened(self, name: str, flags: int) -> int:
        handle = os.open(self._path(name), flags | _BINARY, 0o600)
        try:
            require_final((*self.parts, name), final_path(handle))
            found = os.fstat(handle)
            require_file(found)
            self._reach.admit(found)
        except BaseException:
            os.close(handle)
            raise
        return handle

    def open_file(self, name: str) -> int:
        require_file(self.look(name))
        return self._opened(name, os.O_RDONLY)

    def create(self, name: str) -> int:
        return self._opened(name, os.O_RDWR | os.O_CREAT | os.O_EXCL)

    def reopen(self, name: str) -> int:
        require_file(self.look(name))
        return self._opened(name, os.O_RDWR)

    def make_folder(self, name: str) -> None:
        self._path(name).mkdir()

    def remove(self, name: str) -> None:
        self._reach.admit(self.look(name))
        self._path(name).unlink()

    def remove_folder(self, name: str) -> None:
        self._reach.require_movable((*self.parts, name))
        self._path(name).rmdir()

    def rename(self, name: str, new: str) -> None:
        """Windows never renames over something (MoveFileEx without MOVEFILE_REPLACE_EXISTING)."""
        self._reach.require_movable((*self.parts, name))
        self._path(name).rename(self._path(new))

    def replace(self, name: str, new: str) -> None:
        self._path(name).replace(self._path(new))

    def free(self) -> int:
        return shutil.disk_usage(path_of(self.parts, Flavour.WINDOWS)).free

    def sync(self) -> None:
        """Windows has no such thing for folders."""
