"""One pool of connections and the three ways to use it: a transaction, a read, a retried transaction."""

from __future__ import annotations

import asyncio
import logging
import random
import re
import select
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import psycopg
from psycopg import errors
from psycopg_pool import AsyncConnectionPool, PoolTimeout

Connection = psycopg.AsyncConnection[Any]
T = TypeVar("T")

log = logging.getLogger(__name__)
RESTED = 10.0  # seconds without use after which a connection is asked whether it still works
RETRIED = (psycopg.OperationalError, errors.SerializationFailure, errors.DeadlockDetected)


class DatabaseError(RuntimeError):
    """The database cannot be used; the message says which and why, without its password."""


class Database:
    """A pool of connections to one PostgreSQL database (autocommit; transactions are explicit)."""

    def __init__(self, url: str, *, size: int = 10) -> None:
        self.url = url
        self._used: WeakKeyDictionary[Connection, float] = WeakKeyDictionary()
        self.pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            url,
            min_size=1,
            max_size=size,
            timeout=10,
            open=False,
            check=self._check,
            configure=_autocommit,  # not in kwargs: procrastinate opens connections of its own with these
            kwargs={"options": "-c timezone=UTC -c jit=off", "application_name": "compagnon"},
        )
        self._holders: set[asyncio.Task[Any]] = set()

    async def open(self) -> None:
        """Connect once. Raises DatabaseError within 10 s when the server refuses or is not there."""
        await probe(self.url)
        await self.pool.open(wait=True)

    async def close(self) -> None:
        await self.pool.close()

    async def __aenter__(self) -> Database:
        await self.open()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection in autocommit mode, for reads. RuntimeError: this task holds one of this pool already."""
        with self._holding():
            async with self.pool.connection() as conn:
                try:
                    yield conn
                finally:
                    self._used[conn] = time.monotonic()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """One transaction: committed at the end of the block, rolled back by any exception.

        Raises RuntimeError when this task holds a connection of this pool already: pass ``conn`` on instead.
        """
        async with self.connection() as conn, conn.transaction():
            yield conn

    @asynccontextmanager
    async def using(self, given: Connection | None) -> AsyncIterator[Connection]:
        """``given``, which stays its holder's, or a connection for reads when there is none."""
        if given is not None:
            yield given
            return
        async with self.connection() as conn:
            yield conn

    async def _check(self, conn: Connection) -> None:
        """Raise when the connection is of no use any more; the pool then gives another one.

        A server that ends, or ends a connection, closes the socket, and that is seen without asking; asking for each
        use would cost a page as much as its own statements. A path that went silent is only found by asking.
        """
        rested = time.monotonic() - self._used.get(conn, -RESTED)
        if rested >= RESTED or _has_news(conn):
            await AsyncConnectionPool.check_connection(conn)

    @contextmanager
    def _holding(self) -> Iterator[None]:
        """One connection for each task: as many tasks as the pool is wide, each waiting for a second, wait for ever.

        Keyed by the task, not by a context variable, which a task started meanwhile would inherit.
        """
        task = asyncio.current_task()
        assert task is not None, "connections are used in tasks"
        if task in self._holders:
            raise RuntimeError("this task holds a connection already: pass it on instead of taking a second one")
        self._holders.add(task)
        try:
            yield
        finally:
            self._holders.discard(task)

    async def retrying(self, work: Callable[[Connection], Awaitable[T]], *, attempts: int = 5) -> T:
        """Run ``work(conn)`` in a transaction, again after a lost connection or a serialization failure.

        Only for work that may run twice: the connection can break after the commit was done.
        """
        for attempt in range(1, attempts + 1):
            try:
                async with self.transaction() as conn:
                    return await work(conn)
            except (*RETRIED, PoolTimeout) as error:
                if attempt == attempts:
                    raise
                log.info("database work is tried again (%s)", type(error).__name__)
                await asyncio.sleep(random.uniform(0, 0.05 * 2**attempt))  # noqa: S311 - jitter, not a secret
        raise AssertionError("unreachable")


def _has_news(conn: Connection) -> bool:
    """Whether the server sent something, or closed the connection, while nobody used it."""
    if conn.closed:
        return True
    looked = select.poll()  # select() cannot look at numbers above 1,023, which connected agents use up
    looked.register(conn.fileno(), select.POLLIN)
    return bool(looked.poll(0))


async def _autocommit(conn: Connection) -> None:
    await conn.set_autocommit(True)


async def probe(url: str) -> None:
    """Connect once and leave. Raises DatabaseError with one sentence."""
    try:
        conn = await psycopg.AsyncConnection.connect(url, connect_timeout=10)
    except psycopg.Error as error:
        raise DatabaseError(f"PostgreSQL at {describe(url)} cannot be used: {_why(error)}") from None
    await conn.close()


def _why(error: psycopg.Error) -> str:
    """What libpq gives as its reason, in one line, without the address it starts with and the hint it may end with."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reasons = [line for line in lines if not line.startswith(("Multiple connection attempts", "Is the server"))]
    if not reasons:
        return type(error).__name__
    return re.sub(r"^.* failed: (?:FATAL: +)?|^FATAL: +", "", reasons[0])


def describe(url: str) -> str:
    """The address without its password."""
    try:
        info = psycopg.conninfo.conninfo_to_dict(url)
    except psycopg.Error:
        return "the given address"
    return f"{info.get('host', 'localhost')}:{info.get('port', 5432)}/{info.get('dbname', '')}"
