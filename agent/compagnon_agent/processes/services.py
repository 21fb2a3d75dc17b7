"""The services of this machine, whoever manages them here: list them, and start, stop, restart, enable, disable one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from ..checks import common
from ..checks.service import SCRIPTS, SYSTEMD
from ..execute import plain
from ..protocol.processes import Action, Manager, Start, State
from ..protocol.wire import JSON, choice, dumps, text
from . import launchd, systemd, sysv, windows
from .ending import Trouble
from .listing import shown
from .service import Service

ROOM = 160 * 1024
"""Bytes of JSON for all rows."""

ACT_SECONDS = 60.0
LOG_LINES = 20
OUTPUT = 4000
OWN = ("compagnon-agent", "org.compagnon.agent")
"""How the agent's own service is called, on any system."""

_NAME = re.compile(r"[A-Za-z0-9_@:.\\$ +-]{1,200}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One word of the technician about one service."""

    name: Annotated[str, text(200, minimum=1)]
    action: Annotated[Action, choice(Action)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """``output`` and ``log`` (its last lines) only where it failed."""

    ok: bool
    service: Service | None
    output: str = ""
    log: tuple[str, ...] = ()


def manager() -> Manager:
    if sys.platform == "win32":
        return Manager.WINDOWS
    if sys.platform == "darwin":
        return Manager.LAUNCHD
    if SYSTEMD.is_dir():
        return Manager.SYSTEMD
    return Manager.SYSV if any(sysv.scripts(SCRIPTS)) else Manager.NONE


def listed(kind: Manager) -> list[Service]:
    """By name. Blocking, seconds at worst. Raises :class:`Trouble` when the manager does not answer."""
    try:
        found = _LISTS[kind]()
    except common.Trouble as fault:
        raise Trouble("manager", str(fault)) from None
    return fitting(sorted(found, key=lambda one: one.name.lower()))


def fitting(found: Iterable[Service]) -> list[Service]:
    kept: list[Service] = []
    room = ROOM
    for one in found:
        room -= len(dumps(as_json(one)).encode()) + 1
        if room < 0:
            break
        kept.append(one)
    return kept


def check(order: Order, known: Iterable[Service]) -> Service:
    """The service that is meant. Raises :class:`Trouble` for one that is not there, or is the agent's own."""
    service = next((one for one in known if one.name == order.name), None)
    if service is None or not _NAME.fullmatch(order.name) or order.name.startswith("-"):
        raise Trouble("no_service", "there is no such service on this machine")
    if order.action not in {Action.START, Action.ENABLE} and service.name.removesuffix(".service") in OWN:
        raise Trouble("agent", "this is the agent itself: without it nobody could start it again from afar")
    return service


def act(order: Order, kind: Manager) -> Done:
    """Do it, and look at the service afterwards. Blocking. Raises :class:`Trouble`."""
    before = check(order, listed(kind))
    output, ok = "", True
    for command in _ORDERS[kind](before.name, order.action):
        output, ok = run(command)
        if not ok:
            break
    after = next((one for one in listed(kind) if one.name == before.name), None)
    ok = ok and not _fell_over(order.action, after)
    return Done(
        ok=ok,
        service=after,
        output="" if ok else output[-OUTPUT:],
        log=() if ok else tuple(last_lines(before.name, kind)),
    )


def _fell_over(action: Action, after: Service | None) -> bool:
    """It was started and ended at once: the manager's yes means nothing then."""
    return action in {Action.START, Action.RESTART} and after is not None and after.state is State.FAILED


def run(command: Sequence[str]) -> tuple[str, bool]:
    """Output and whether it went well. A service it starts may hold its pipes: they go to a file that is gone."""
    import tempfile

    with tempfile.TemporaryFile() as output:
        try:
            done = subprocess.run(  # noqa: S603 - argv of a fixed program; the name was found in the manager's list
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                timeout=ACT_SECONDS,
                check=False,
                env=_environment(),
            )
        except subprocess.TimeoutExpired:
            return f"{command[0]} did not end within {ACT_SECONDS:.0f} s", False
        except OSError as fault:
            return f"{command[0]}: {fault.strerror or fault}", False
        size = output.tell()
        output.seek(max(0, size - 4 * OUTPUT))
        return plain(output.read(4 * OUTPUT)).strip(), done.returncode == 0


def _environment() -> dict[str, str]:
    if sys.platform == "win32":
        return dict(os.environ)
    return {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}


def last_lines(name: str, kind: Manager) -> list[str]:
    """What the service said last, where the manager knows; never raises."""
    if kind is not Manager.SYSTEMD:
        return []
    try:
        done = common.run(systemd.log_command(name, LOG_LINES))
    except common.Trouble:
        return []
    return [shown(line)[:500] for line in done.stdout.splitlines()[-LOG_LINES:]]


def as_json(service: Service) -> dict[str, JSON]:
    return {
        "name": service.name,
        "title": shown(service.title)[:200],
        "state": service.state,
        "detail": shown(service.detail)[:60],
        "start": service.start,
        "pid": service.pid,
    }


def _systemd() -> list[Service]:
    units = common.run(systemd.UNITS, timeout=20).stdout
    files = common.run(systemd.FILES, timeout=20).stdout
    return systemd.services(units, files)


def _sysv() -> list[Service]:
    folder = Path(SCRIPTS)
    try:
        status = common.run(sysv.STATUS, timeout=20).stdout
    except common.Trouble:
        status = ""  # then it is not known which of them run
    return sysv.services(sysv.scripts(folder), status, sysv.started(folder.parent))


def _windows() -> list[Service]:
    return windows.services(common.run(windows.LIST, timeout=30).stdout)


def _launchd() -> list[Service]:
    disabled = common.run(launchd.DISABLED, timeout=20).stdout
    return launchd.services(common.run(launchd.LIST, timeout=20).stdout, disabled)


_LISTS: dict[Manager, Callable[[], list[Service]]] = {
    Manager.SYSTEMD: _systemd,
    Manager.SYSV: _sysv,
    Manager.WINDOWS: _windows,
    Manager.LAUNCHD: _launchd,
    Manager.NONE: list,
}
_ORDERS: dict[Manager, Callable[[str, Action], list[list[str]]]] = {
    Manager.SYSTEMD: systemd.commands,
    Manager.SYSV: sysv.commands,
    Manager.WINDOWS: windows.commands,
    Manager.LAUNCHD: launchd.commands,
}

__all__ = ["Action", "Done", "Manager", "Order", "Service", "Start", "State", "act", "listed", "manager"]
