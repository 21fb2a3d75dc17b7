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


async def _ask(db: Database) -> None:
    async with db.connection() as conn:
        await conn.execute("SELECT 1")
