"""SQL of the search: the outbox and the state of the index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg.rows import class_row

from compagnon.db import Connection
from kb.search.model import IndexPhase, Progress

CHANNEL = "compagnon_search"
LOCK = 0x73656172  # "sear": the process that holds it is the only one that writes the index
BATCH = 1_000  # changes of one commit: many small ones would be merged again and again
ATTEMPTS = 8

ADD = "INSERT INTO search_outbox (kind, ref) VALUES (%(kind)s, %(ref)s)"
NOTIFY = f"NOTIFY {CHANNEL}"
DUE = """
SELECT id, kind, ref, attempts FROM search_outbox WHERE due_at <= now() ORDER BY id LIMIT %(limit)s
"""
DONE = "DELETE FROM search_outbox WHERE id = ANY(%(ids)s)"
LATER = """
UPDATE search_outbox SET attempts = attempts + 1, due_at = now() + interval '1 second' * power(2, attempts)
WHERE id = ANY(%(ids)s)
"""
WAITING = "SELECT count(*) FROM search_outbox"
UNTRIED = "SELECT id FROM search_outbox WHERE attempts = 0"
STATE = "SELECT stamp, generation, phase, done, total FROM search_state"
COMMITTED = "UPDATE search_state SET generation = %(generation)s, updated_at = now() WHERE stamp = %(stamp)s"
BEGIN = "UPDATE search_state SET phase = 'building', done = 0, total = %(total)s, updated_at = now()"
ADVANCE = """
UPDATE search_state SET done = %(done)s, total = greatest(total, %(done)s), updated_at = now() WHERE phase = 'building'
"""
READY = """
UPDATE search_state SET phase = 'ready', stamp = %(stamp)s, generation = %(generation)s, done = %(done)s,
    total = %(done)s, updated_at = now()
"""
BROKEN = "UPDATE search_state SET phase = 'broken', stamp = '', updated_at = now() WHERE phase <> 'building'"
TRY_LOCK = "SELECT pg_try_advisory_lock(%(lock)s)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    id: int
    kind: str
    ref: str
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """``stamp`` and ``generation`` of the index that holds this database's documents."""

    stamp: str
    generation: int
    phase: str
    done: int
    total: int

    @property
    def progress(self) -> Progress:
        return Progress(phase=IndexPhase(self.phase), done=self.done, total=self.total)


async def add(conn: Connection, kind: str, ref: str) -> None:
    await conn.execute(ADD, {"kind": kind, "ref": ref})
    await conn.execute(NOTIFY)


async def due(conn: Connection) -> list[Change]:
    async with conn.cursor(row_factory=class_row(Change)) as cursor:
        return await (await cursor.execute(DUE, {"limit": BATCH})).fetchall()


async def done(conn: Connection, ids: Sequence[int]) -> None:
    await conn.execute(DONE, {"ids": list(ids)})


async def later(conn: Connection, ids: Sequence[int]) -> None:
    await conn.execute(LATER, {"ids": list(ids)})


async def waiting(conn: Connection) -> int:
    row = await (await conn.execute(WAITING)).fetchone()
    return int(row[0]) if row else 0


async def untried(conn: Connection) -> list[int]:
    """The changes that were never tried, by number: those committed before this moment, whatever their order."""
    return [row[0] for row in await (await conn.execute(UNTRIED)).fetchall()]


async def state(conn: Connection) -> State:
    async with conn.cursor(row_factory=class_row(State)) as cursor:
        found = await (await cursor.execute(STATE)).fetchone()
    return found or State(stamp="", generation=0, phase="broken", done=0, total=0)


async def committed(conn: Connection, stamp: str, generation: int) -> None:
    await conn.execute(COMMITTED, {"stamp": stamp, "generation": generation})


async def begin(conn: Connection, total: int) -> None:
    await conn.execute(BEGIN, {"total": total})


async def advance(conn: Connection, done: int) -> None:
    await conn.execute(ADVANCE, {"done": done})


async def ready(conn: Connection, stamp: str, generation: int, done: int) -> None:
    await conn.execute(READY, {"stamp": stamp, "generation": generation, "done": done})


async def broken(conn: Connection) -> None:
    """Ask for the index to be built anew (and wake the process that does it)."""
    await conn.execute(BROKEN)
    await conn.execute(NOTIFY)


async def try_lock(conn: Connection) -> bool:
    row = await (await conn.execute(TRY_LOCK, {"lock": LOCK})).fetchone()
    return bool(row and row[0])
