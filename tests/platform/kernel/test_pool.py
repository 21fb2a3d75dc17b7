"""The pool: one connection for each task, so that it cannot be exhausted by those who wait for a second one."""

import asyncio

import pytest

from compagnon.db import Database


@pytest.mark.parametrize("first", ["connection", "transaction"])
@pytest.mark.parametrize("second", ["connection", "transaction"])
async def test_a_task_takes_no_second_connection(db: Database, first: str, second: str) -> None:
    async with getattr(db, first)():
        with pytest.raises(RuntimeError, match="already"):
            async with getattr(db, second)():
                pass
    async with getattr(db, second)():
        pass  # given back, it may take one again


async def test_other_tasks_take_their_own(db: Database, database: str) -> None:
    async with db.connection():
        async with asyncio.timeout(5):
            await asyncio.create_task(_ask(db))
        async with Database(database, size=1) as other:
            await _ask(other)


async def test_a_given_connection_is_used_and_left_to_its_holder(db: Database) -> None:
    async with db.transaction() as conn:
        async with db.using(conn) as used:
            assert used is conn
        await conn.execute("SELECT 1")
    async with db.using(None) as own:
        await own.execute("SELECT 1")


async def test_a_connection_that_postgresql_ended_is_not_given_to_anyone(database: str) -> None:
    """Nobody asks it whether it works: it was used a moment ago. That its other end is gone is seen all the same."""
    async with Database(database, size=1) as db, Database(database, size=1) as other:
        async with db.connection() as conn:
            ended = conn.info.backend_pid
        async with other.connection() as conn:
            await conn.execute("SELECT pg_terminate_backend(%s, 5000)", (ended,))
        async with db.connection() as conn:
            assert conn.info.backend_pid != ended
            await conn.execute("SELECT 1")


async def test_a_connection_is_asked_whether_it_works_only_after_a_rest(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    async def check(conn: object) -> None:
        asked.append(conn)

    monkeypatch.setattr("psycopg_pool.AsyncConnectionPool.check_connection", check)
    async with Database(database, size=1) as db:
        for _ in range(3):
            await _ask(db)
        assert len(asked) == 1  # the first one: it was never used
        monkeypatch.setattr("compagnon.db.pool.RESTED", 0.0)
        await _ask(db)
    assert len(asked) == 2


async def _ask(db: Database) -> None:
    async with db.connection() as conn:
        await conn.execute("SELECT 1")
