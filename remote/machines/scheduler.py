"""Compare each connected machine with its environment: soon after it connects, then every so often."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import logging
import random
import time
from collections.abc import AsyncIterator

from compagnon.errors import AppError
from procedures.ports import RunRef
from remote.control.link import AgentLink
from remote.machines.drift import Drift
from remote.machines.model import Machine

log = logging.getLogger(__name__)
AT_ONCE = 8  # checks of machines that run at the same time
FIRST = (0.5, 5.0)  # seconds after a connection; spread, because after a restart all agents come at once
AFTER_STEP = 3.0  # seconds
SPREAD = 0.2  # of the interval


class CheckScheduler:
    """One task and one heap for all machines; a machine is in the heap once."""

    def __init__(self, link: AgentLink, drift: Drift, *, minutes: int) -> None:
        self._link = link
        self._drift = drift
        self._interval = minutes * 60.0
        self._due: dict[int, float] = {}
        self._heap: list[tuple[float, int]] = []
        self._changed = asyncio.Event()
        self._running: set[asyncio.Task[None]] = set()
        self._room = asyncio.Semaphore(AT_ONCE)
        link.on_connected.append(self._connected)

    async def _connected(self, machine: Machine) -> None:
        self.soon(machine)

    def soon(self, machine: Machine) -> None:
        """Check this machine within seconds, if it declares an environment."""
        if machine.environment is None:
            return
        waiting = len(self._due) * 0.02  # fifty machines a second after a mass reconnection
        self._put(machine.id, time.monotonic() + random.uniform(*FIRST) + waiting)  # noqa: S311 - jitter

    def after_step(self, run: RunRef) -> None:
        """A step may have repaired something: look again shortly, once for several steps in a row."""
        if run.machine_id in self._due:
            self._put(run.machine_id, time.monotonic() + AFTER_STEP)

    def _put(self, machine_id: int, due: float) -> None:
        self._due[machine_id] = due
        heapq.heappush(self._heap, (due, machine_id))
        self._changed.set()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self._run(), name="environment checks")
        try:
            yield
        finally:
            for one in [task, *self._running]:
                one.cancel()
            await asyncio.gather(task, *self._running, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            machine_id = await self._next()
            await self._room.acquire()
            task = asyncio.create_task(self._check(machine_id))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _next(self) -> int:
        """The next machine that is due and still the one that was meant."""
        while True:
            self._changed.clear()
            delay = self._heap[0][0] - time.monotonic() if self._heap else None
            if delay is None or delay > 0:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), delay)
                continue
            due, machine_id = heapq.heappop(self._heap)
            if self._due.get(machine_id) == due:
                del self._due[machine_id]
                return machine_id

    async def _check(self, machine_id: int) -> None:
        try:
            if self._link.online(machine_id):
                await self._drift.check(machine_id)
        except AppError as error:
            log.info("machine %s was not checked: %s", machine_id, error)
        except Exception:
            log.exception("machine %s could not be checked", machine_id)
        finally:
            self._room.release()
            if self._link.online(machine_id):
                spread = random.uniform(1 - SPREAD, 1 + SPREAD)  # noqa: S311 - jitter
                self._put(machine_id, time.monotonic() + self._interval * spread)
