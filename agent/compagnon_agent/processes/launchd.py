"""launchd of macOS: ``launchctl list`` and ``print-disabled``. Tried on text only, never run here."""

from __future__ import annotations

import re

from ..protocol.processes import Action, Start, State
from .service import Service

LIST = ["launchctl", "list"]
DISABLED = ["launchctl", "print-disabled", "system"]
_DISABLED = re.compile(r'^\s*"([^"]+)"\s*=>\s*(true|disabled|false|enabled)\s*$', re.MULTILINE)


def services(output: str, disabled: str) -> list[Service]:
    """Lines of pid (or ``-``), last exit status and label."""
    off = {label for label, value in _DISABLED.findall(disabled) if value in {"true", "disabled"}}
    found = {}
    for line in output.splitlines():
        cells = line.split("\t")
        if len(cells) == 3 and cells[2] != "Label":
            found[cells[2]] = _service(cells[0], cells[1], cells[2], off)
    for label in off - found.keys():
        found[label] = Service(name=label, state=State.STOPPED, start=Start.DISABLED)
    return list(found.values())


def _service(pid: str, status: str, label: str, off: set[str]) -> Service:
    runs = pid.isdigit()
    failed = not runs and status not in {"0", "-"}
    return Service(
        name=label,
        state=State.RUNNING if runs else State.FAILED if failed else State.STOPPED,
        detail="" if runs or status in {"0", "-"} else f"exit {status}",
        start=Start.DISABLED if label in off else Start.AUTO,
        pid=int(pid) if runs else 0,
    )


def commands(name: str, action: Action) -> list[list[str]]:
    target = f"system/{name}"
    return {
        Action.START: [["launchctl", "kickstart", target]],
        Action.STOP: [["launchctl", "kill", "SIGTERM", target]],
        Action.RESTART: [["launchctl", "kickstart", "-k", target]],
        Action.ENABLE: [["launchctl", "enable", target]],
        Action.DISABLE: [["launchctl", "disable", target]],
    }[action]
