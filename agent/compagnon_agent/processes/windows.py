"""Windows services: listed by PowerShell as JSON, changed by ``sc.exe``. Tried on text only, never run here."""

from __future__ import annotations

import json

from ..protocol.processes import Action, Start, State
from .service import Service

_SCRIPT = (
    "[Console]::OutputEncoding=[Text.Encoding]::UTF8;"
    "Get-CimInstance Win32_Service|Select-Object Name,DisplayName,State,StartMode,ProcessId|ConvertTo-Json -Compress"
)
LIST = ["powershell.exe", "-NoProfile", "-NonInteractive", "-Command", _SCRIPT]

_STATES = {
    "running": State.RUNNING,
    "stopped": State.STOPPED,
    "paused": State.STOPPED,
    "start pending": State.MOVING,
    "stop pending": State.MOVING,
    "continue pending": State.MOVING,
    "pause pending": State.MOVING,
}
_STARTS = {
    "auto": Start.AUTO,
    "boot": Start.AUTO,
    "system": Start.AUTO,
    "manual": Start.MANUAL,
    "disabled": Start.DISABLED,
}


def services(output: str) -> list[Service]:
    """One object when there is a single service, else a list (ConvertTo-Json)."""
    try:
        found = json.loads(output.lstrip("\ufeff"))
    except ValueError:
        return []
    items = found if isinstance(found, list) else [found]
    return [_service(item) for item in items if isinstance(item, dict) and isinstance(item.get("Name"), str)]


def _service(item: dict[str, object]) -> Service:
    state, pid = str(item.get("State") or ""), item.get("ProcessId")
    return Service(
        name=str(item["Name"]),
        title=str(item.get("DisplayName") or ""),
        state=_STATES.get(state.lower(), State.UNKNOWN),
        detail=state,
        start=_STARTS.get(str(item.get("StartMode") or "").lower(), Start.UNKNOWN),
        pid=pid if isinstance(pid, int) and not isinstance(pid, bool) and pid > 0 else 0,
    )


def commands(name: str, action: Action) -> list[list[str]]:
    """A restart through PowerShell waits for the stop; the name is a word of its own, quoted for it."""
    if action is Action.RESTART:
        quoted = "'" + name.replace("'", "''") + "'"
        script = f"Restart-Service -Force -ErrorAction Stop -Name {quoted}"
        return [["powershell.exe", "-NoProfile", "-NonInteractive", "-Command", script]]
    if action in {Action.ENABLE, Action.DISABLE}:
        return [["sc.exe", "config", name, "start=", "auto" if action is Action.ENABLE else "disabled"]]
    return [["sc.exe", action.value, name]]
