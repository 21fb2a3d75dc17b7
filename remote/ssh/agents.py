"""What plays the agent for each device: it lives in the server, is asked like any agent, and works over SSH.

So a device is a machine like the others: the same sessions, runs, drift and pages (see ``agent.DeviceAgent``).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from compagnon.kernel import Kernel
from remote.control.link import AgentLink
from remote.sessions.model import EndReason
from remote.sessions.rooms import Rooms
from remote.sessions.service import Sessions
from remote.ssh import leases_store
from remote.ssh.agent import DeviceAgent
from remote.ssh.connector import Connector
from remote.ssh.consents import Asked, Consents
from remote.ssh.service import Devices
from remote.ssh.shell import Shell
from remote.ssh.steps import Steps

log = logging.getLogger(__name__)
ALIVE_EVERY = 10.0  # seconds; what is not kept alive for 30 is over


@dataclass(slots=True, kw_only=True)
class DeviceAgents:
    """Started and stopped with the server. ``shells`` are the terminals that this process holds, by session.

    ``serving`` are all sessions that it holds, or is about to begin.

    ``questions`` wait for a member to write down who agreed, by the request's id; ``commands`` are what some
    sessions run in place of a shell.
    """

    kernel: Kernel
    link: AgentLink
    rooms: Rooms
    sessions: Sessions
    devices: Devices
    connector: Connector
    consents: Consents
    steps: Steps
    shells: dict[str, Shell] = field(default_factory=dict)
    serving: set[str] = field(default_factory=set)
    questions: dict[str, Asked] = field(default_factory=dict)
    commands: dict[str, list[str]] = field(default_factory=dict)
    _serving: dict[int, asyncio.Task[None]] = field(default_factory=dict)
    _running: bool = False

    async def serve(self, machine_id: int) -> None:
        """The device is in use from now on. Idempotent; nothing while the server does not run."""
        if not self._running or machine_id in self._serving:
            return
        machine = await self.link.machines.get(machine_id)
        task = asyncio.create_task(DeviceAgent(self, machine).run(), name=f"device {machine_id}")
        self._serving[machine_id] = task
        task.add_done_callback(lambda _: self._serving.pop(machine_id, None))

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        self._running = True
        for machine_id in await self.devices.ready():
            await self.serve(machine_id)
        alive = asyncio.create_task(self._keep_alive(), name="ssh leases")
        try:
            yield
        finally:
            self._running = False
            await self._end_shells()
            tasks = [alive, *self._serving.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _end_shells(self) -> None:
        """A shell on a device lives in this process: unlike an agent's it does not outlive it."""
        for session_id in list(self.shells):
            with contextlib.suppress(Exception):
                await self.sessions.end(session_id, EndReason.LOST)

    async def _keep_alive(self) -> None:
        while True:
            await asyncio.sleep(ALIVE_EVERY)
            try:
                await self.keep_alive()
            except Exception:
                log.exception("what is done over SSH could not be kept alive; again in %s seconds", ALIVE_EVERY)

    async def keep_alive(self) -> None:
        """Called every ALIVE_EVERY seconds: what a killed process left behind is noticed by the others."""
        for connection in list(self.link.connections.values()):
            if connection.machine.is_device:
                connection.heard = time.monotonic()
        async with self.kernel.db.transaction() as conn:
            await leases_store.keep_alive(conn, self.steps.running, list(self.serving))
            lost = await leases_store.lost_shells(conn)
        for session_id in lost:
            await self.sessions.end(session_id, EndReason.LOST)
