"""The server processes that share one database, and the mail between them.

An agent's control connection is with one process, a member's request with any. What one process has to say to an agent
of another goes through a table; ``NOTIFY`` wakes the reader, and carries ids alone. Sessions need none of it: a load
balancer sends all connections of a session to one process, by the id in their address.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import psycopg

from compagnon import events
from compagnon.kernel import Kernel
from remote.control import nodes_store as store
from remote.control.nodes_store import Mail

log = logging.getLogger(__name__)
LOOK_EVERY = 10.0  # seconds, should a notification have been lost
TRY_AGAIN = 1.0
Handler = Callable[[Mail], Awaitable[None]]


class Nodes:
    """``name`` is this process's own, new at each start (``Machines.node``)."""

    def __init__(self, kernel: Kernel, name: str) -> None:
        self.name = name
        self._db = kernel.db
        self._hub = kernel.hub
        self._handlers: dict[str, Handler] = {}

    def on(self, kind: str, handler: Handler) -> None:
        """Call it for mail of this kind, in order, one at a time: it must not wait for an agent."""
        self._handlers[kind] = handler

    async def where_is(self, machine_id: int) -> str:
        """Another node that has the machine's control connection; empty when none has."""
        async with self._db.connection() as conn:
            found = await store.where_is(conn, machine_id)
        return "" if found == self.name else found

    async def post(self, node: str, kind: str, *, machine_id: int = 0, key: str = "", body: str = "") -> None:
        """One piece of mail. Raises what the database raises."""
        values = {"node": node, "kind": kind, "machine_id": machine_id, "key": key, "origin": self.name, "body": body}
        async with self._db.transaction() as conn:
            await store.post(conn, values)
            await events.publish(conn, f"node:{node}", "mail")

    async def alone(self) -> bool:
        """Whether no other node is alive, as far as the last 45 seconds tell."""
        async with self._db.connection() as conn:
            return not set(await store.alive(conn)) - {self.name}

    async def broadcast(self, kind: str, body: str) -> None:
        """To every other node that is alive."""
        async with self._db.connection() as conn:
            alive = await store.alive(conn)
        for node in alive:
            if node != self.name:
                await self.post(node, kind, body=body)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Started and stopped with the server."""
        reading = asyncio.create_task(self._read(), name="mail of other server processes")
        try:
            yield
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _read(self) -> None:
        with self._hub.subscribe({f"node:{self.name}"}) as news:
            while True:
                try:
                    await self._read_all()
                except Exception:
                    log.exception("mail of other server processes could not be read yet")
                    await asyncio.sleep(TRY_AGAIN)
                    continue
                if await news.next(timeout=LOOK_EVERY) is None:
                    await self._forget_old()

    async def _forget_old(self) -> None:
        """Mail for processes that are no more."""
        with contextlib.suppress(psycopg.Error):  # tried again soon
            async with self._db.transaction() as conn:
                await store.forget_old(conn)

    async def _read_all(self) -> None:
        while True:
            async with self._db.transaction() as conn:
                taken = await store.take(conn, self.name)
            for mail in taken:
                await self._hand_on(mail)
            if not taken:
                return

    async def _hand_on(self, mail: Mail) -> None:
        handler = self._handlers.get(mail.kind)
        if handler is None:
            return
        try:
            await handler(mail)
        except Exception:
            log.exception("mail %s of another server process was lost", mail.kind)
