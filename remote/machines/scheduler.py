"""Give each agent the checks of its machine's declared environment; it makes them itself, also while it is offline."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections.abc import AsyncIterator, Mapping
from datetime import datetime

from compagnon.errors import AppError, Unavailable
from compagnon_agent.protocol import messages
from procedures.environments.service import Environments
from procedures.ports import RunRef
from remote.control.link import AgentLink
from remote.machines.drift import Drift
from remote.machines.model import Machine

log = logging.getLogger(__name__)
LOOK_EVERY = 60.0  # seconds between two looks for a new version of an environment
AFTER_STEP = 3.0  # seconds
PACE = 0.02  # seconds between two agents that get a new version: not all machines look at the same moment
NOTHING = messages.Schedule(environment="", version=0, period=3600, checks=())


class CheckScheduler:
    """An agent that connects says which schedule it has; it is given another one only when that is not in force."""

    def __init__(self, link: AgentLink, drift: Drift, environments: Environments) -> None:
        self._link = link
        self._drift = drift
        self._environments = environments
        self._in_force: Mapping[str, datetime] = {}
        self._soon: dict[int, asyncio.TimerHandle] = {}
        link.when_back(self.give)

    async def give(self, machine: Machine) -> None:
        """The schedule in force, if the agent has another one. Nothing for one that is offline."""
        standard = await self._drift.expected(machine)
        with contextlib.suppress(Unavailable):
            if standard is not None:
                await self._link.give_schedule(machine.id, standard.schedule, standard.digest)
            elif self._link.schedule_of(machine.id):
                await self._link.give_schedule(machine.id, NOTHING, "")

    def after_step(self, run: RunRef) -> None:
        """A step may have repaired something: look again shortly, once for several steps in a row."""
        if run.machine_id is None or not self._link.schedule_of(run.machine_id):
            return
        before = self._soon.pop(run.machine_id, None)
        if before is not None:
            before.cancel()
        self._soon[run.machine_id] = asyncio.get_running_loop().call_later(AFTER_STEP, self._look, run.machine_id)

    def _look(self, machine_id: int) -> None:
        self._soon.pop(machine_id, None)
        self._link.tell_later(machine_id, messages.CheckNow(request_id=str(uuid.uuid4())))

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self._run(), name="environments in force")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            for handle in self._soon.values():
                handle.cancel()

    async def _run(self) -> None:
        while True:
            try:
                await self._look_for_new_versions()
            except AppError as error:
                log.info("the environments in force could not be read: %s", error)
            except Exception:
                log.exception("the environments in force could not be read")
            await asyncio.sleep(LOOK_EVERY)

    async def _look_for_new_versions(self) -> None:
        before, self._in_force = self._in_force, await self._environments.in_force()
        changed = {code for code, since in self._in_force.items() if before.get(code, since) != since}
        for connection in [found for found in self._link.connections.values() if found.machine.environment in changed]:
            await self.give(connection.machine)
            await asyncio.sleep(PACE)
