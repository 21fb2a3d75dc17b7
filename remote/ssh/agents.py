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
from compagnon_agent.protocol.wire import dumps, loads
from remote.control.link import AgentLink
from remote.control.nodes_store import Mail
from remote.sessions.model import EndReason, Session
from remote.sessions.room import Room
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
COMMAND = "ssh.command"
COMMAND_LIMIT = 256 * 1024
COMMANDS = 100  # of other processes' sessions, most of which begin elsewhere
ALIVE_EVERY = 10.0  # seconds; what is not kept alive for 30 is over


@dataclass(slots=True, kw_only=True)
class DeviceAgents:
    """Started and stopped with the server. ``shells`` are the terminals that this process holds, by session.

    ``serving`` are all terminals that it holds, or is about to begin.

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
    _agents: dict[int, DeviceAgent] = field(default_factory=dict)
    _serving: dict[int, asyncio.Task[None]] = field(default_factory=dict)
    _beginning: set[asyncio.Task[None]] = field(default_factory=set)
    _running: bool = False

    async def serve(self, machine_id: int) -> None:
        """The device is in use from now on. Idempotent; nothing while the server does not run."""
        if not self._running or machine_id in self._serving:
            return
        machine = await self.link.machines.get(machine_id)
        agent = self._agents[machine_id] = DeviceAgent(self, machine)
        task = asyncio.create_task(agent.run(), name=f"device {machine_id}")
        self._serving[machine_id] = task
        task.add_done_callback(lambda _: self._left(machine_id, agent))

    def _left(self, machine_id: int, agent: DeviceAgent) -> None:
        self._serving.pop(machine_id, None)
        if self._agents.get(machine_id) is agent:
            del self._agents[machine_id]

    def room_made(self, session: Session, room: Room) -> None:
        """The pages of this session come to this process: so the work for it is done here."""
        task = asyncio.create_task(self._attend(session, room))
        self._beginning.add(task)
        task.add_done_callback(self._beginning.discard)

    async def _attend(self, session: Session, room: Room) -> None:
        try:
            if session.machine_id not in self._agents and session.machine_id in await self.devices.ready():
                await self.serve(session.machine_id)  # added through another process
            if (agent := self._agents.get(session.machine_id)) is not None:
                agent.attend(session, room)
        except Exception:
            log.exception("session %s on a device could not be begun", session.id)

    async def prepare(self, session_id: str, command: list[str]) -> None:
        """The session runs ``command`` in place of a shell, whichever process its pages come to."""
        self.commands[session_id] = command
        await self.link.nodes.broadcast(COMMAND, dumps({"session": session_id, "command": [*command]}))

    async def _told(self, mail: Mail) -> None:
        value = loads(mail.body, limit=COMMAND_LIMIT)
        if isinstance(value, dict) and isinstance(command := value.get("command"), list):
            self.commands[str(value.get("session"))] = [str(word) for word in command]
            while len(self.commands) > COMMANDS:
                del self.commands[next(iter(self.commands))]

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        self._running = True
        self.rooms.on_made.append(self.room_made)
        self.link.nodes.on(COMMAND, self._told)
        for machine_id in await self.devices.ready():
            await self.serve(machine_id)
        alive = asyncio.create_task(self._keep_alive(), name="ssh leases")
        try:
            yield
        finally:
            self._running = False
            await self._end_shells()
            tasks = [alive, *self._beginning, *self._serving.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _end_shells(self) -> None:
        """A shell on a device lives in this process: unlike an agent's it does not outlive it."""
        for session_id in list(self.shells):
            with contextlib.suppress(Exception):
                await self.sessions.end(session_id, EndReason.RESTARTED)

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
            never = await leases_store.never_begun(conn)
        for session_id in lost:
            await self.sessions.end(session_id, EndReason.RESTARTED)
        for session_id in never:
            await self.sessions.end(session_id, EndReason.LOST)
