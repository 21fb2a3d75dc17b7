"""What is said to an agent that is connected to another server process, and its answers on their way back."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Coroutine
from typing import Any, Protocol

from compagnon.errors import Unavailable
from compagnon_agent.protocol import messages
from remote.control.nodes import Nodes
from remote.control.nodes_store import Mail

log = logging.getLogger(__name__)
MOST = 10_000  # questions of other processes whose answers are looked out for


class Here(Protocol):
    """The agents that are connected to this process."""

    async def tell_here(self, machine_id: int, message: messages.Message) -> None:
        """Raises Unavailable."""

    def answered(self, machine_id: int, key: str, message: messages.Message) -> bool:
        """Whether somebody in this process waited for it."""

    def lost(self, machine_id: int, key: str) -> None:
        """Whoever waits for this answer will not get it."""


class Relay:
    """``key`` names the answer that the sender waits for; empty: none."""

    def __init__(self, nodes: Nodes, here: Here) -> None:
        self._nodes = nodes
        self._here = here
        self._origins: OrderedDict[tuple[int, str], str] = OrderedDict()
        self._sent: OrderedDict[tuple[int, str], None] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()
        nodes.on("tell", self._tell_here)
        nodes.on("answer", self._answered_there)
        nodes.on("gone", self._gone_there)

    async def tell(self, machine_id: int, message: messages.Message, key: str = "") -> bool:
        """False when no other process has the agent."""
        node = await self._nodes.where_is(machine_id)
        if not node:
            return False
        if key:
            self._sent[machine_id, key] = None
            if len(self._sent) > MOST:
                self._sent.popitem(last=False)
        await self._nodes.post(node, "tell", machine_id=machine_id, key=key, body=messages.encode(message))
        return True

    def arrived(self, machine_id: int) -> None:
        """The agent is with this process now: what another one, perhaps killed, was asked to ask it is lost."""
        for found, key in [item for item in self._sent if item[0] == machine_id]:
            del self._sent[found, key]
            self._here.lost(found, key)

    def answered(self, machine_id: int, key: str, message: messages.Message) -> None:
        """An agent of this process answered what nobody here asked: send it to who did."""
        origin = self._origins.pop((machine_id, key), None)
        if origin is not None:
            body = messages.encode(message)
            self._later(self._nodes.post(origin, "answer", machine_id=machine_id, key=key, body=body))

    def gone(self, machine_id: int) -> None:
        """An agent of this process is gone. A step's result is brought again; every other answer will not come."""
        for found, key in [item for item in self._origins if item[0] == machine_id and not item[1].startswith("step:")]:
            origin = self._origins.pop((found, key))
            self._later(self._nodes.post(origin, "gone", machine_id=machine_id, key=key))

    async def _tell_here(self, mail: Mail) -> None:
        message = messages.decode(mail.body)
        if mail.key:
            self._origins[mail.machine_id, mail.key] = mail.origin
            if len(self._origins) > MOST:  # nobody waits for the oldest any more
                self._origins.popitem(last=False)
        self._later(self._deliver(mail, message))

    async def _deliver(self, mail: Mail, message: messages.Message) -> None:
        try:
            await self._here.tell_here(mail.machine_id, message)
        except Unavailable:
            self.gone(mail.machine_id)

    async def _answered_there(self, mail: Mail) -> None:
        self._sent.pop((mail.machine_id, mail.key), None)
        self._here.answered(mail.machine_id, mail.key, messages.decode(mail.body))

    async def _gone_there(self, mail: Mail) -> None:
        self._sent.pop((mail.machine_id, mail.key), None)
        self._here.lost(mail.machine_id, mail.key)

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception():
            log.error("mail to another server process was lost", exc_info=task.exception())
