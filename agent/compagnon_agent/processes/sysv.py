"""System V scripts in ``/etc/init.d``, where nothing newer runs (Linux Standard Base 5.0, Init Script Actions)."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path

from ..protocol.processes import Action, Start, State
from .service import Service

STATUS = ["service", "--status-all"]
"""Debian: ``[ + ]  name`` runs, ``[ - ]`` does not, ``[ ? ]`` the script does not say."""

LEVELS = ("rc2.d", "rc3.d", "rc4.d", "rc5.d")
_LINE = re.compile(r"^\s*\[\s*([+?-])\s*\]\s+(\S+)\s*$", re.MULTILINE)
_MARKS = {"+": State.RUNNING, "-": State.STOPPED, "?": State.UNKNOWN}
_SKIPPED = {"README", "skeleton", "rc", "rcS", "functions", "halt", "reboot", "killall", "single"}
_TITLE = re.compile(r"^#\s*Short-Description:\s*(.+)$", re.MULTILINE)


def scripts(folder: Path) -> dict[str, str]:
    """Title by name of each script that can be executed."""
    try:
        found = sorted(path for path in folder.iterdir() if path.is_file() and path.name not in _SKIPPED)
    except OSError:
        return {}
    return {path.name: _title(path) for path in found if path.stat().st_mode & 0o111 and path.suffix != ".dpkg-dist"}


def _title(path: Path) -> str:
    """From the LSB header."""
    try:
        with path.open(errors="replace") as file:
            found = _TITLE.search(file.read(4096))
    except OSError:
        return ""
    return found.group(1).strip() if found else ""


def started(folder: Path) -> set[str]:
    """The names that a multi-user runlevel starts."""
    return {link.name[3:] for level in LEVELS for link in (folder / level).glob("S[0-9][0-9]*")}


def services(known: Mapping[str, str], status: str, enabled: Collection[str]) -> list[Service]:
    states = {name: _MARKS[mark] for mark, name in _LINE.findall(status)}
    return [
        Service(
            name=name,
            title=title,
            state=states.get(name, State.UNKNOWN),
            start=Start.AUTO if name in enabled else Start.DISABLED,
        )
        for name, title in known.items()
    ]


def commands(name: str, action: Action) -> list[list[str]]:
    if action in {Action.ENABLE, Action.DISABLE}:
        return [["update-rc.d", name, action.value]]
    return [["service", name, action.value]]
