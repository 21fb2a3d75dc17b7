"""What of this machine may be reached: within which folders, and what never.

The default is what people ask for help with, and no more: home folders and temporary ones, not the whole machine even
where the agent may read all of it. A terminal is asked for by its own name; files should not be another one.
"""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ... import policy as policies
from ...policy import FilesPolicy, PolicyError
from ..capability import CallError
from .names import HERE, Flavour, Parts, begins, same, split

KEYS = (".ssh", ".gnupg")
"""Refused wherever they are: whoever has these files is somebody else's guest everywhere."""

_PSEUDO = ("/proc", "/sys", "/dev", "/run")
"""No files, but the machine itself."""

_LINKS = (0xA000000C, 0xA0000003)
"""Reparse tags of Windows that lead elsewhere: IO_REPARSE_TAG_SYMLINK, IO_REPARSE_TAG_MOUNT_POINT."""

Identity = tuple[int, int]
"""Device and inode: what a folder is, whatever it is called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """``own``: folders that no path leads into, however it is spelled; ``pseudo``: devices that hold no files."""

    roots: tuple[Parts, ...]
    refuse: tuple[Parts, ...] = ()
    own: frozenset[Identity] = frozenset()
    own_files: frozenset[Identity] = frozenset()
    pseudo: frozenset[int] = frozenset()
    flavour: Flavour = HERE

    def require(self, parts: Parts) -> None:
        """By its name alone. Raises :class:`CallError` (``outside``)."""
        if not any(begins(parts, root, self.flavour) for root in self.roots):
            raise CallError("outside", "this place is not opened to technicians")
        below = any(begins(parts, item, self.flavour) for item in self.refuse)
        if below or any(same(name, key) for name in parts for key in KEYS):
            raise CallError("outside", "this place is kept closed to technicians")

    def require_movable(self, parts: Parts) -> None:
        """As :meth:`require`, and nothing that is kept closed lies below."""
        self.require(parts)
        if any(begins(item, parts, self.flavour) for item in self.refuse):
            raise CallError("outside", "a place that is kept closed to technicians lies in this folder")

    def admit(self, found: os.stat_result) -> None:
        """By what it is, once it was opened. Raises :class:`CallError` (``outside``)."""
        identity = (found.st_dev, found.st_ino)
        if found.st_dev in self.pseudo or identity in self.own or identity in self.own_files:
            raise CallError("outside", "this place is kept closed to technicians")


def reach_here(state: Path) -> Reach:
    """By the policy in ``state``, the agent's own folder. Raises :class:`CallError` when it cannot be read."""
    try:
        asked = policies.load(state).files
    except PolicyError:
        raise CallError("outside", "the policy file of this machine cannot be read: nothing is opened") from None
    return Reach(
        roots=_real(asked.roots or default_roots()),
        refuse=_real(_refused(asked, state)),
        own=frozenset(_identities([str(state)])),
        own_files=frozenset(_identities(str(item) for item in state.iterdir())),
        pseudo=_pseudo_devices(),
    )


def _refused(asked: FilesPolicy, state: Path) -> tuple[str, ...]:
    return (*asked.refuse, str(state), *(_PSEUDO if HERE is Flavour.POSIX else ()))


def default_roots() -> tuple[str, ...]:
    """An agent for one account opens that account's home; one for the whole machine, everybody's."""
    temporary = [tempfile.gettempdir(), *(("/tmp", "/var/tmp") if HERE is Flavour.POSIX else ())]  # noqa: S108 - opened, not used
    if sys.platform == "win32":
        return (os.path.join(os.environ.get("SYSTEMDRIVE", "C:") + "\\", "Users"), *temporary)  # noqa: PTH118
    if os.geteuid() != 0:
        return (str(Path.home()), *temporary)
    return ("/home", "/root", "/Users", *temporary)


def _real(folders: Iterable[str]) -> tuple[Parts, ...]:
    """As the file system has them: on the way to a file no link is followed, so none may be in a root's name."""
    found = {split(os.path.realpath(folder)): None for folder in folders}
    return tuple(found)


def _identities(paths: Iterable[str]) -> Iterable[Identity]:
    for path in paths:
        with suppress(OSError):
            found = os.stat(path)  # noqa: PTH116 - both numbers
            yield found.st_dev, found.st_ino


def _pseudo_devices() -> frozenset[int]:
    if HERE is Flavour.WINDOWS:
        return frozenset()
    ground = os.stat("/").st_dev  # noqa: PTH116
    return frozenset(device for device, _ in _identities(_PSEUDO) if device != ground)


def is_link(found: os.stat_result) -> bool:
    """Whether it leads elsewhere (a file that Windows keeps in a cloud does not)."""
    return stat.S_ISLNK(found.st_mode) or getattr(found, "st_reparse_tag", 0) in _LINKS


def require_file(found: os.stat_result) -> None:
    """Raises :class:`CallError` for whatever is no plain file."""
    if is_link(found):
        raise CallError("link", "this is a link; open the place that it leads to")
    if stat.S_ISDIR(found.st_mode):
        raise CallError("is_folder", "this is a folder")
    if not stat.S_ISREG(found.st_mode):
        raise CallError("special", "this is not a file but a device, a pipe or a socket")
