"""Wait for PostgreSQL's notifications without waking up in between: psycopg's own wait looks ten times a second."""

from __future__ import annotations

import asyncio

import psycopg

from compagnon.db.pool import Connection


async def notified(conn: Connection, timeout: float) -> list[psycopg.Notify]:
    """What was notified on ``conn``, which LISTENs: at least one, or none after ``timeout`` seconds.

    Raises psycopg.Error when the connection is gone.
    """
    try:
        async with asyncio.timeout(timeout):
            while not (found := [notification async for notification in conn.notifies(timeout=0)]):
                await _readable(conn.fileno())
            return found
    except TimeoutError:
        return []


async def _readable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_reader(descriptor, _set, ready)
    try:
        await ready
    finally:
        loop.remove_reader(descriptor)


def _set(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
