"""Doing something about one process: ask it to end, kill it, let it take its turn later; and looking at it closely.

A pid alone says nothing, it may belong to another process by now: the time at which the one that was meant began goes
with it. The agent, what it hangs on and the first process of the system are left alone, whoever asks.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated

import psutil

from ..protocol.processes import Turn
from ..protocol.wire import JSON, choice, integer
from .listing import command_line, shown

PATIENCE = 2.0
"""Seconds in which a process that was asked to end mostly does."""

FULL_COMMAND = 8000
FIRST = frozenset({0, 4} if sys.platform == "win32" else {0, 1})
"""What the system itself runs as; without it the machine stops."""

PORTS = 30


class Trouble(Exception):
    """It was not done: ``code`` for programs, the text for people."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Which:
    """``started``: when the process meant began (seconds, Unix time)."""

    pid: Annotated[int, integer(1, 2**31)]
    started: Annotated[int, integer(0, 2**53)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prioritise(Which):
    turn: Annotated[Turn, choice(Turn)]


def find(which: Which) -> psutil.Process:
    """Raises :class:`Trouble` when it has ended."""
    try:
        process = psutil.Process(which.pid)
        if int(process.create_time()) != which.started:
            raise Trouble("reused", "this process has ended; another one has its number")
    except psutil.NoSuchProcess:
        raise Trouble("ended", "this process has ended") from None
    return process


def end(which: Which) -> bool:
    """Ask it to end, and wait a moment: has it? Windows knows no asking, there it is killed. Raises Trouble."""
    return _stop(which, lambda process: process.terminate())


def kill(which: Which) -> bool:
    """End it without asking it: what it had not saved is lost. Raises :class:`Trouble`."""
    return _stop(which, lambda process: process.kill())


def _stop(which: Which, stop: Callable[[psutil.Process], None]) -> bool:
    process = find(which)
    check_touchable(process)
    with _told():
        stop(process)
        gone, _ = psutil.wait_procs([process], timeout=PATIENCE)
        return bool(gone) or _is_dead(process)
    return True


def _is_dead(process: psutil.Process) -> bool:
    """A zombie runs no more: only its parent has not looked yet."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def prioritise(asked: Prioritise) -> None:
    """Raises :class:`Trouble`."""
    process = find(asked)
    check_touchable(process)
    with _told():
        process.nice(_LEVELS[asked.turn])


# Windows: BELOW_NORMAL_PRIORITY_CLASS and so on (SetPriorityClass); elsewhere the nice value.
_LEVELS: dict[Turn, int] = (
    {Turn.NORMAL: 0x20, Turn.LOW: 0x4000, Turn.IDLE: 0x40}
    if sys.platform == "win32"
    else {Turn.NORMAL: 0, Turn.LOW: 10, Turn.IDLE: 19}
)


def check_touchable(process: psutil.Process) -> None:
    """Raises :class:`Trouble` for what keeps the machine, or this very session, alive."""
    if process.pid in FIRST:
        raise Trouble("first", "this is the system's first process: without it the machine stops")
    if process.pid == os.getpid():
        raise Trouble("agent", "this is the agent itself: stop the session instead")


@contextlib.contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except psutil.NoSuchProcess:
        return
    except psutil.AccessDenied:
        raise Trouble("denied", "the agent's account may not do this to a process of another account") from None


def closely(which: Which) -> dict[str, JSON]:
    """What is not in the table. What the agent may not see is left out. Raises :class:`Trouble`."""
    process = find(which)
    facts: dict[str, JSON] = {}
    for name, look in _CLOSELY.items():
        with contextlib.suppress(psutil.Error, OSError, AttributeError, ValueError):
            facts[name] = look(process)
    return facts


def _ports(process: psutil.Process) -> list[JSON]:
    found = {
        f"{'tcp' if item.type == 1 else 'udp'} {item.laddr.ip}:{item.laddr.port}"
        for item in process.net_connections("inet")
        if item.laddr and item.status in {psutil.CONN_LISTEN, psutil.CONN_NONE}
    }
    return [*sorted(found)[:PORTS]]


_CLOSELY: dict[str, Callable[[psutil.Process], JSON]] = {
    "command": lambda process: command_line(process.cmdline())[:FULL_COMMAND],
    "program": lambda process: shown(process.exe())[:1000],
    "folder": lambda process: shown(process.cwd())[:1000],
    "parent": lambda process: shown(process.parent().name())[:80] if process.parent() else "",  # type: ignore[union-attr]
    "threads": lambda process: process.num_threads(),
    "nice": lambda process: int(process.nice()),
    "files": lambda process: process.num_fds() if sys.platform != "win32" else len(process.open_files()),
    "ports": _ports,
}
