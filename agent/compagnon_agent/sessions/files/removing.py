"""Taking away a file, a link, or a folder with everything in it."""

from __future__ import annotations

import os
import stat

from ..capability import CallError
from .folder import AnyFolder, open_folder
from .names import DEPTH, Parts
from .reach import Reach


def remove(parts: Parts, reach: Reach, whole: bool) -> int:
    """How many things are gone. What must not be touched is looked for first: then nothing is taken away.

    A link is removed itself, a folder on another disk never entered. Raises :class:`CallError`, ``OSError``.
    """
    if not parts or parts in reach.roots:
        raise CallError("outside", "this folder itself is not to be taken away")
    reach.require_movable(parts)
    with open_folder(parts[:-1], reach) as folder:
        if not _is_folder(folder.look(parts[-1])):
            folder.remove(parts[-1])
            return 1
        if whole:
            with folder.enter(parts[-1]) as inner:
                count = _look_through(inner, inner.status().st_dev)
                _empty(inner)
        else:
            count = 0
        folder.remove_folder(parts[-1])
    return count + 1


def _is_folder(found: os.stat_result) -> bool:
    return stat.S_ISDIR(found.st_mode)


def _look_through(folder: AnyFolder, disk: int) -> int:
    """How many things are in it."""
    if len(folder.parts) > DEPTH:
        raise CallError("name", "this path has too many folders")
    if folder.status().st_dev != disk:
        raise CallError("other_disk", "another disk is mounted in this folder")
    names = [entry.name for entry in folder.entries()]
    count = len(names)
    for name in names:
        if _is_folder(folder.look(name)):
            with folder.enter(name) as inner:
                count += _look_through(inner, disk)
    return count


def _empty(folder: AnyFolder) -> None:
    for name in [entry.name for entry in folder.entries()]:
        if _is_folder(folder.look(name)):
            with folder.enter(name) as inner:
                _empty(inner)
            folder.remove_folder(name)
        else:
            folder.remove(name)
