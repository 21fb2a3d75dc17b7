"""What agents tell out of their queues: taken in order, once, in the transaction that does what it says.

An agent sends a message again until it is told that it is kept. How far its queue was read is a row in the database, so
neither a second connection nor a killed server makes anything count twice, and nothing is kept that was not committed.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from compagnon.db import Connection, Database
from compagnon_agent.protocol import messages
from compagnon_agent.protocol.wire import WireError, dumps
from remote.control import inbox_store
from remote.machines.model import Machine

log = logging.getLogger(__name__)
M = TypeVar("M", bound=messages.Message)
Inside = Callable[[Connection, Machine, Any, datetime], Awaitable[None]]
Before = Callable[[Machine, Any], Awaitable[None]]
After = Callable[[Machine, Any], None]


class Inbox:
    """Handlers by the type of the message. What has none is taken and forgotten."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._inside: dict[type[messages.Message], Inside] = {}
        self._before: dict[type[messages.Message], Before] = {}
        self._after: dict[type[messages.Message], After] = {}

    def inside(self, kind: type[M], handler: Callable[[Connection, Machine, M, datetime], Awaitable[None]]) -> None:
        """Call it in the transaction that takes the message; the last argument is when it happened."""
        self._inside[kind] = handler

    def before(self, kind: type[M], handler: Callable[[Machine, M], Awaitable[None]]) -> None:
        """Call it before the message is taken; it has transactions of its own and may be called twice for one."""
        self._before[kind] = handler

    def after(self, kind: type[M], handler: Callable[[Machine, M], None]) -> None:
        """Call it when the message is kept."""
        self._after[kind] = handler

    async def take(self, machine: Machine, queued: messages.Queued) -> messages.Kept:
        """What to answer once all is committed. Raises what the database raises: the agent then brings it again."""
        message = _content(machine, queued)
        if message is not None and type(message) in self._before:
            await self._before[type(message)](machine, message)
        async with self._db.transaction() as conn:
            taken, number = await inbox_store.take(conn, machine.id, queued.queue, queued.number)
            if taken and message is not None and type(message) in self._inside:
                await self._inside[type(message)](conn, machine, message, _moment(queued))
        if message is not None and type(message) in self._after:
            self._after[type(message)](machine, message)
        return messages.Kept(queue=queued.queue, number=number)


def _content(machine: Machine, queued: messages.Queued) -> messages.Message | None:
    """None, and a line in the log, for one that says nothing: it would come again and again."""
    try:
        return messages.decode(dumps(dict(queued.message)))
    except WireError as error:
        log.warning("machine %s: a message of its queue is left alone: %s", machine.id, error)
        return None


def _moment(queued: messages.Queued) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=queued.age)
