"""The one worker that keeps the index up to date: whichever server process holds the advisory lock."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import psycopg
from psycopg_pool import PoolTimeout

from compagnon.db import Connection
from compagnon.db.listening import notified
from kb.search import store
from kb.search.engine import IndexBroken
from kb.search.indexer import Indexer

log = logging.getLogger(__name__)
LOOK_AGAIN = 5.0  # seconds: a notification that was missed costs no more than this
TAKE_OVER = 1.0  # seconds between two tries to become the worker
PAUSE = 2.0  # seconds after a failure


class Worker:
    """Waits for notifications and applies what changed; builds the index when it is missing, damaged or asked for."""

    def __init__(self, url: str, indexer: Indexer, prepare: Callable[[], Awaitable[None]]) -> None:
        """``prepare`` is called first: a process searches whether it becomes the worker or not."""
        self._url = url
        self._indexer = indexer
        self._prepare = prepare

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Work in the background for as long as the block lasts (Feature.lifespan)."""
        task = asyncio.create_task(self._run_for_ever(), name="search-index")
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _run_for_ever(self) -> None:
        while True:
            try:
                await self._run()
            except (psycopg.Error, PoolTimeout, OSError) as error:
                log.warning("the search index waits (%s: %s)", type(error).__name__, error)
            except Exception:
                log.exception("the search index stumbled")
            await asyncio.sleep(PAUSE)

    async def _run(self) -> None:
        async with await psycopg.AsyncConnection.connect(self._url, autocommit=True, connect_timeout=10) as conn:
            await self._prepare()
            await _become_the_worker(conn)
            await conn.execute(f"LISTEN {store.CHANNEL}")
            while True:
                await self._catch_up(conn)
                await notified(conn, LOOK_AGAIN)

    async def _catch_up(self, conn: Connection) -> None:
        try:
            if (await store.state(conn)).phase != "ready" or not await self._indexer.usable():
                await self._indexer.rebuild()
            while await self._indexer.apply_changes():
                pass
        except IndexBroken as error:
            log.warning("the search index is damaged (%s): it is built anew", error)
            await store.broken(conn)


async def _become_the_worker(conn: Connection) -> None:
    """Wait until no other process is it. Its lock goes with its connection, however it ends."""
    while True:
        if await store.try_lock(conn):
            return
        await asyncio.sleep(TAKE_OVER)
