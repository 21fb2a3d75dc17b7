"""How busy this machine is, told every few seconds while a technician looks at its page: figures only, no names."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from datetime import UTC, datetime

import psutil

from .protocol.messages import Load

HOTTEST = 1500
"""Tenths of a degree: what claims to be hotter is a broken sensor."""


class Meter:
    """Figures since the look before. Blocking, a millisecond or two; the first look has no rates yet."""

    def __init__(self) -> None:
        self._at = time.monotonic()
        self._cpu = _processor()
        self._disk, self._net = _disk(), _network()

    def read(self) -> Load:
        now, cpu = time.monotonic(), _processor()
        elapsed = max(now - self._at, 0.05)
        disk, net = _disk(), _network()
        memory, swap = psutil.virtual_memory(), psutil.swap_memory()
        reads, writes = (_rate(new - old, elapsed) for new, old in zip(disk, self._disk, strict=True))
        received, sent = (_rate(new - old, elapsed) for new, old in zip(net, self._net, strict=True))
        busy = _share(cpu, self._cpu)
        self._at, self._cpu, self._disk, self._net = now, cpu, disk, net
        return Load(
            at=datetime.now(UTC),
            cpu=_tenths(busy),
            memory=_tenths(memory.percent),
            swap=_tenths(swap.percent),
            reads=reads,
            writes=writes,
            received=received,
            sent=sent,
            temperature=_temperature(),
        )


def _processor() -> tuple[float, float]:
    """Seconds at work and in all. Not ``psutil.cpu_percent``, which remembers by thread what it compares with."""
    times = psutil.cpu_times()
    idle = times.idle + getattr(times, "iowait", 0.0)
    total = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)  # both are in "user" too
    return total - idle, total


def _share(now: tuple[float, float], before: tuple[float, float]) -> float:
    """Percent at work between two looks."""
    worked, passed = now[0] - before[0], now[1] - before[1]
    return 100 * worked / passed if passed > 0 else 0.0


def _tenths(percent: float) -> int:
    return max(0, min(1000, round(10 * percent)))


def _rate(amount: int, elapsed: float) -> int:
    """Bytes a second; a counter that began anew is no negative rate."""
    return max(0, min(2**50, round(amount / elapsed)))


def _disk() -> tuple[int, int]:
    found = None
    with contextlib.suppress(Exception):  # not every machine lets it be read
        found = psutil.disk_io_counters()
    return (found.read_bytes, found.write_bytes) if found else (0, 0)


def _network() -> tuple[int, int]:
    """All interfaces but the machine's talk with itself."""
    with contextlib.suppress(Exception):
        each = psutil.net_io_counters(pernic=True)
        real = [item for name, item in each.items() if not name.startswith("lo")]
        return sum(item.bytes_recv for item in real), sum(item.bytes_sent for item in real)
    return 0, 0


def _temperature() -> int | None:
    """Of the hottest sensor, in tenths of a degree Celsius; None where there is none."""
    with contextlib.suppress(Exception):
        found = [item.current for items in psutil.sensors_temperatures().values() for item in items]
        tenths = [round(10 * value) for value in found if 0 < 10 * value < HOTTEST]
        return max(tenths) if tenths else None
    return None


class Watching:
    """Tells the load as long as somebody asks again: the lease ends by itself, whatever becomes of the server."""

    def __init__(self, send: Callable[[Load], None]) -> None:
        self._send = send
        self._until = 0.0
        self._every = 3.0
        self._task: asyncio.Task[None] | None = None

    @property
    def on(self) -> bool:
        return self._task is not None and not self._task.done()

    def renew(self, *, seconds: float, every: float) -> None:
        self._until = time.monotonic() + seconds
        self._every = every
        if not self.on:
            self._task = asyncio.create_task(self._tell())

    async def _tell(self) -> None:
        meter = Meter()
        await asyncio.sleep(0.5)
        while (left := self._until - time.monotonic()) > 0:
            self._send(await asyncio.to_thread(meter.read))
            await asyncio.sleep(min(left, self._every))

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
