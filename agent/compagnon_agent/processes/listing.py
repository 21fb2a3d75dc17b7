"""The processes of this machine as a table: who uses how much of it, now."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import psutil

from ..protocol.wire import JSON, clean_text, dumps
from ..question import visible
from .secrets import masked

ROOM = 160 * 1024
"""Bytes of JSON for all rows: a reply holds 192 KiB."""

COMMAND = 200
"""Characters of a command line in the table; the whole one is shown on demand."""

FIRST_LOOK = 0.25
"""Seconds that the very first look measures."""

SHORTEST = 0.8
"""Seconds between two looks that are compared: a second page that asks at once gets the same base."""

_ATTRIBUTES = ["pid", "ppid", "name", "username", "cpu_times", "memory_info", "create_time", "status", "cmdline"]
_KTHREADD = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """``cpu`` in tenths of a percent of the whole machine, ``memory`` in bytes (resident), ``started`` in Unix time."""

    pid: int
    parent: int
    name: str
    user: str
    cpu: int
    memory: int
    started: int
    status: str
    command: str

    @property
    def key(self) -> tuple[int, int]:
        return self.pid, self.started


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """``kernel`` threads are counted, not listed; ``left_out`` rows did not fit (those that use least)."""

    rows: tuple[Row, ...]
    kernel: int
    left_out: int


class Look:
    """Looks again and again; what a process used between two looks is its share of the machine."""

    def __init__(self) -> None:
        self._base: Mapping[tuple[int, int], float] = {}
        self._at = 0.0
        self._cores = psutil.cpu_count() or 1

    def table(self) -> Table:
        """Blocking. The first look takes :data:`FIRST_LOOK` seconds longer."""
        if not self._base:
            self._base, self._at = _used(), time.monotonic()
            time.sleep(FIRST_LOOK)
        found = [process.info for process in psutil.process_iter(_ATTRIBUTES)]
        now = time.monotonic()
        kernel = [info for info in found if _is_kernel_thread(info)]
        rows = [self._row(info, now - self._at) for info in found if not _is_kernel_thread(info)]
        if now - self._at >= SHORTEST:
            self._base, self._at = {_key(info): _seconds(info) for info in found}, now
        kept = fitting(rows)
        return Table(rows=tuple(kept), kernel=len(kernel), left_out=len(rows) - len(kept))

    def _row(self, info: Mapping[str, object], elapsed: float) -> Row:
        before = self._base.get(_key(info))
        used = _seconds(info) - before if before is not None else 0.0
        share = used / max(elapsed, 0.05) / self._cores
        return Row(
            pid=_key(info)[0],
            parent=int(str(info["ppid"] or 0)),
            name=shown(info["name"])[:80],
            user=shown(info["username"])[:80],
            cpu=max(0, min(1000, round(1000 * share))),
            memory=int(getattr(info["memory_info"], "rss", 0)),
            started=_key(info)[1],
            status=str(info["status"] or "")[:40],
            command=command_line(info["cmdline"])[:COMMAND],
        )


def _used() -> dict[tuple[int, int], float]:
    found = (process.info for process in psutil.process_iter(["pid", "create_time", "cpu_times"]))
    return {_key(info): _seconds(info) for info in found}


def _key(info: Mapping[str, object]) -> tuple[int, int]:
    return int(str(info["pid"])), int(float(str(info["create_time"] or 0)))


def _seconds(info: Mapping[str, object]) -> float:
    times = info["cpu_times"]
    return float(getattr(times, "user", 0.0)) + float(getattr(times, "system", 0.0))


def _is_kernel_thread(info: Mapping[str, object]) -> bool:
    """Linux: what has no command line and comes from kthreadd."""
    pid, parent = info["pid"], info["ppid"]
    return not info["cmdline"] and (parent == _KTHREADD or pid == _KTHREADD) and psutil.LINUX


def shown(value: object) -> str:
    """Text of a machine, in one line that hides nothing."""
    return visible(clean_text(str(value or "")))


def command_line(arguments: object) -> str:
    """The arguments in one line, secrets masked; where one begins and ends can be seen."""
    words = [str(word) for word in arguments] if isinstance(arguments, list) else []
    while words and not words[-1]:
        words.pop()  # programs that rewrite their title leave empty words behind it
    return " ".join(_quoted(word) for word in masked(words))


def _quoted(word: str) -> str:
    text = shown(word)
    return text if text and " " not in text else f"'{text}'" if "'" not in text else f'"{text}"'


def fitting(rows: Iterable[Row]) -> list[Row]:
    """Those that use most, as many as a reply holds."""
    return list(_until_full(sorted(rows, key=lambda row: (-row.cpu, -row.memory, row.pid))))


def _until_full(rows: Iterable[Row]) -> Iterator[Row]:
    room = ROOM
    for row in rows:
        room -= len(dumps(as_json(row)).encode()) + 1
        if room < 0:
            return
        yield row


def as_json(row: Row) -> dict[str, JSON]:
    return {
        "pid": row.pid,
        "parent": row.parent,
        "name": row.name,
        "user": row.user,
        "cpu": row.cpu,
        "memory": row.memory,
        "started": row.started,
        "status": row.status,
        "command": row.command,
    }
