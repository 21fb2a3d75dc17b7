"""The audit chain: what was written is found whole, and every way of tampering is found."""

import asyncio

import psycopg
import pytest

from compagnon.audit import Actor, record, verify
from compagnon.db import Database


async def write(db: Database, count: int) -> None:
    for number in range(count):
        async with db.transaction() as conn:
            await record(
                conn,
                actor=Actor.member(1),
                action="ticket.opened",
                subject=f"ticket:{number}",
                details={"n": number, "title": "Ça n'imprime pas — 1.50", "ratio": 1.5, "none": None},
            )


async def outcome(db: Database) -> tuple[int, int | None]:
    async with db.connection() as conn:
        found = await verify(conn)
    return found.records, found.broken


async def test_a_whole_chain_is_whole(db: Database) -> None:
    await write(db, 5)
    assert await outcome(db) == (5, None)


async def test_concurrent_writers_do_not_fork_the_chain(db: Database) -> None:
    await asyncio.gather(*(write(db, 5) for _ in range(6)))
    assert await outcome(db) == (30, None)


async def test_a_rolled_back_change_leaves_no_record_and_no_gap(db: Database) -> None:
    await write(db, 1)
    with pytest.raises(RuntimeError):
        async with db.transaction() as conn:
            await record(conn, actor=Actor.system(), action="x.done", subject="x:1")
            raise RuntimeError("the change failed")
    await write(db, 1)
    assert await outcome(db) == (2, None)


async def test_the_log_refuses_updates_and_deletes(db: Database) -> None:
    await write(db, 1)
    for statement in ("UPDATE audit_log SET actor = 'x'", "DELETE FROM audit_log", "TRUNCATE audit_log"):
        with pytest.raises(psycopg.errors.RaiseException):
            async with db.transaction() as conn:
                await conn.execute(statement)


@pytest.mark.parametrize(
    ("tampering", "broken"),
    [
        ("UPDATE audit_log SET actor = 'member:9' WHERE seq = 3", 3),
        ("UPDATE audit_log SET details = '{}' WHERE seq = 2", 2),
        ("DELETE FROM audit_log WHERE seq = 3", 3),
        ("DELETE FROM audit_log WHERE seq = 5", 5),
        ("UPDATE audit_log SET at = at + interval '1 microsecond' WHERE seq = 4", 4),
    ],
)
async def test_tampering_by_a_database_administrator_is_found(db: Database, tampering: str, broken: int) -> None:
    await write(db, 5)
    async with db.transaction() as conn:
        await conn.execute("ALTER TABLE audit_log DISABLE TRIGGER audit_log_append_only")
        await conn.execute(tampering)
    assert (await outcome(db))[1] == broken
