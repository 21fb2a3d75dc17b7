"""systemd: ``list-units`` and ``list-unit-files`` as JSON (since systemd 246), as columns before."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from ..protocol.processes import Action, Start, State
from .service import Service

_COMMON = ["--type=service", "--no-pager", "--no-legend", "--plain", "--full", "--output=json"]
UNITS = ["systemctl", "list-units", "--all", *_COMMON]
FAILED = ["systemctl", "list-units", "--state=failed", *_COMMON]
FILES = ["systemctl", "list-unit-files", *_COMMON]

_STATES = {
    "active": State.RUNNING,
    "reloading": State.RUNNING,
    "failed": State.FAILED,
    "inactive": State.STOPPED,
    "activating": State.MOVING,
    "deactivating": State.MOVING,
}
_STARTS = {
    "enabled": Start.AUTO,
    "enabled-runtime": Start.AUTO,
    "alias": Start.AUTO,
    "generated": Start.AUTO,
    "disabled": Start.DISABLED,
    "static": Start.STATIC,
    "indirect": Start.STATIC,
    "linked": Start.MANUAL,
    "transient": Start.STATIC,
    "masked": Start.MASKED,
    "masked-runtime": Start.MASKED,
}


def commands(name: str, action: Action) -> list[list[str]]:
    return [["systemctl", "--no-ask-password", "--no-pager", action.value, "--", name]]


def log_command(name: str, lines: int) -> list[str]:
    return ["journalctl", "--no-pager", "--quiet", "--output=short", f"--lines={lines}", f"--unit={name}"]


def services(units: str, files: str) -> list[Service]:
    """Loaded units, and unit files that are not loaded. Templates (``x@.service``) are no services themselves."""
    starts = {row["unit_file"]: row.get("state", "") for row in rows(files, ("unit_file", "state", "preset"))}
    found = {
        row["unit"]: _service(row, starts) for row in rows(units, ("unit", "load", "active", "sub", "description"))
    }
    for name, state in starts.items():
        if name not in found and not name.partition("@")[2].startswith("."):
            found[name] = Service(name=name, state=State.STOPPED, detail="", start=_STARTS.get(state, Start.UNKNOWN))
    return [one for one in found.values() if one.name.endswith(".service")]


def _service(row: Mapping[str, str], starts: Mapping[str, str]) -> Service:
    name = row["unit"]
    template = f"{name.partition('@')[0]}@.service" if "@" in name else name
    state = _STATES.get(row.get("active", ""), State.UNKNOWN)
    if state is State.RUNNING and row.get("sub") == "exited":
        state = State.DONE
    masked = row.get("load") == "masked"
    return Service(
        name=name,
        title=row.get("description", ""),
        state=state,
        detail=row.get("sub", ""),
        start=Start.MASKED if masked else _STARTS.get(starts.get(name) or starts.get(template, ""), Start.UNKNOWN),
    )


def rows(output: str, columns: tuple[str, ...]) -> Iterator[dict[str, str]]:
    """Objects of text, whichever of the two forms it is."""
    if output.lstrip().startswith("["):
        yield from _objects(output, columns[0])
        return
    for line in output.splitlines():
        cells = line.lstrip(" ●*").split(None, len(columns) - 1)
        if len(cells) >= 2:
            yield dict(zip(columns, cells, strict=False))


def _objects(output: str, needed: str) -> Iterator[dict[str, str]]:
    try:
        found = json.loads(output)
    except ValueError:
        return
    for item in found if isinstance(found, list) else []:
        if isinstance(item, dict) and isinstance(item.get(needed), str):
            yield {key: value for key, value in item.items() if isinstance(value, str)}
