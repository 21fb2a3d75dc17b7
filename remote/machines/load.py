"""The live load of a machine while somebody looks at its page, and who looks."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from compagnon import audit
from compagnon.audit import Actor
from compagnon.auth.model import Member
from compagnon.errors import Unavailable
from compagnon.kernel import Kernel
from compagnon_agent.protocol import messages
from remote.control.link import AgentLink
from remote.machines import load_store
from remote.machines.load_store import Sample, Watcher
from remote.machines.model import Machine, MachineState

log = logging.getLogger(__name__)
EVERY = 3  # seconds between two samples
LEASE = 15  # seconds that the agent tells without being asked again
LOOK = 4.0  # seconds: pages that another process of the server answers are seen this late
SHOWN = 40  # samples of a line
SHEET = "load"  # the word for it in the consent sheet


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One figure over time, oldest first; ``top`` is where the line would touch the upper edge."""

    values: Sequence[int]
    top: int

    @property
    def last(self) -> int:
        return self.values[-1] if self.values else 0

    @property
    def points(self) -> str:
        """For an SVG of 100 × 24, the newest at the right edge."""
        step = 100 / (SHOWN - 1)
        start = 100 - step * (len(self.values) - 1)
        drawn = ((start + step * n, 23 - 22 * min(value, self.top) / self.top) for n, value in enumerate(self.values))
        return " ".join(f"{x:.1f},{y:.1f}" for x, y in drawn)


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveLoad:
    samples: Sequence[Sample]

    def percent(self, name: str) -> Series:
        return Series(values=[getattr(sample, name) for sample in self.samples], top=1000)

    def rate(self, name: str) -> Series:
        """Bytes a second; a quiet line stays quiet: its edge is never below 100 kB/s."""
        values = [getattr(sample, name) for sample in self.samples]
        return Series(values=values, top=max(100_000, *values, 0))

    @property
    def temperature(self) -> int | None:
        """Tenths of a degree Celsius."""
        return self.samples[-1].temperature if self.samples else None


class Loads:
    """Who looks is in the database, as are the samples: whichever process the agent or a page is connected to."""

    def __init__(self, kernel: Kernel, link: AgentLink) -> None:
        self._db = kernel.db
        self._link = link
        link.handle(messages.Load, self._told)

    async def look(self, member: Member, machine: Machine) -> tuple[LiveLoad, Sequence[Watcher]]:
        """A member's page shows this machine now: its load as far as it is known, and who else looks."""
        async with self._db.transaction() as conn:
            new = await load_store.look(conn, machine.id, member.id)
            if new:
                await audit.record(
                    conn, actor=Actor.member(member.id), action="machine.load_watched", subject=f"machine:{machine.id}"
                )
        await self._ask(machine)
        async with self._db.connection() as conn:
            samples = await load_store.samples(conn, machine.id, SHOWN)
            watchers = await load_store.watchers(conn, machine.id)
        return LiveLoad(samples=samples), [one for one in watchers if one.member_id != member.id]

    async def _ask(self, machine: Machine) -> None:
        if await self._may_ask(machine):
            with contextlib.suppress(Unavailable):
                await self._link.tell(machine.id, messages.WatchLoad(seconds=LEASE, every=EVERY))

    async def _may_ask(self, machine: Machine) -> bool:
        """The agent is here, and its consent sheet says that it tells its load."""
        if machine.state is not MachineState.APPROVED or not self._link.online(machine.id):
            return False
        _, reported = await self._link.machines.reported(machine.id)
        return SHEET in reported.policy.get("sheet", ())

    async def _told(self, machine: Machine, message: messages.Load) -> None:
        """What nobody asked for is dropped: an agent cannot fill the table."""
        async with self._db.transaction() as conn:
            if await load_store.is_watched(conn, machine.id):
                await load_store.keep(conn, machine.id, message)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Ask the agents of this process on behalf of pages that others answer."""
        task = asyncio.create_task(self._look_around(), name="loads")
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _look_around(self) -> None:
        while True:
            await asyncio.sleep(LOOK)
            try:
                async with self._db.connection() as conn:
                    watched = await load_store.watched(conn)
                for machine_id in watched:
                    connection = self._link.connections.get(machine_id)
                    if connection is not None:
                        await self._ask(connection.machine)
            except Exception:
                log.exception("the watched machines could not be asked; again in %s seconds", LOOK)
