"""All SQL about the live load and who looks at it. Both tables are unlogged: after a crash nobody misses them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from compagnon.db import Connection
from compagnon_agent.protocol.messages import Load

# A page asks every 3 seconds; one that said nothing for 12 is gone.
LOOK = """
INSERT INTO machine_watchers (machine_id, member_id, since, seen_at)
VALUES (%(machine_id)s, %(member_id)s, now(), now())
ON CONFLICT (machine_id, member_id) DO UPDATE SET seen_at = now(),
    since = CASE WHEN machine_watchers.seen_at < now() - interval '1 minute' THEN now() ELSE machine_watchers.since END
RETURNING since = now()
"""
WATCHERS = """
SELECT w.member_id, p.name, w.since FROM machine_watchers w JOIN members p ON p.id = w.member_id
WHERE w.machine_id = %(machine_id)s AND w.seen_at > now() - interval '12 seconds' ORDER BY w.since, w.member_id
"""
WATCHED = "SELECT DISTINCT machine_id FROM machine_watchers WHERE seen_at > now() - interval '12 seconds'"
IS_WATCHED = """
SELECT EXISTS (
    SELECT FROM machine_watchers WHERE machine_id = %(machine_id)s AND seen_at > now() - interval '30 seconds'
)
"""
KEEP = """
INSERT INTO machine_loads (machine_id, at, cpu, memory, swap, reads, writes, received, sent, temperature)
VALUES (%(machine_id)s, clock_timestamp(), %(cpu)s, %(memory)s, %(swap)s, %(reads)s, %(writes)s, %(received)s, %(sent)s,
        %(temperature)s)
"""
FORGET = "DELETE FROM machine_loads WHERE machine_id = %(machine_id)s AND at < now() - interval '3 minutes'"
SAMPLES = """
SELECT * FROM (
    SELECT at, cpu, memory, swap, reads, writes, received, sent, temperature FROM machine_loads
    WHERE machine_id = %(machine_id)s AND at > now() - interval '2 minutes' ORDER BY at DESC LIMIT %(limit)s
) newest ORDER BY at
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watcher:
    member_id: int
    name: str
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Percents in tenths, rates in bytes a second, temperature in tenths of a degree Celsius."""

    at: datetime
    cpu: int
    memory: int
    swap: int
    reads: int
    writes: int
    received: int
    sent: int
    temperature: int | None


async def look(conn: Connection, machine_id: int, member_id: int) -> bool:
    """Whether they begin to look, rather than go on."""
    row = await (await conn.execute(LOOK, {"machine_id": machine_id, "member_id": member_id})).fetchone()
    return bool(row and row[0])


async def watchers(conn: Connection, machine_id: int) -> list[Watcher]:
    async with conn.cursor(row_factory=class_row(Watcher)) as cursor:
        await cursor.execute(WATCHERS, {"machine_id": machine_id})
        return await cursor.fetchall()


async def watched(conn: Connection) -> list[int]:
    return [row[0] for row in await (await conn.execute(WATCHED)).fetchall()]


async def is_watched(conn: Connection, machine_id: int) -> bool:
    row = await (await conn.execute(IS_WATCHED, {"machine_id": machine_id})).fetchone()
    return bool(row and row[0])


async def keep(conn: Connection, machine_id: int, load: Load) -> None:
    values = {name: getattr(load, name) for name in Sample.__dataclass_fields__ if name != "at"}
    await conn.execute(FORGET, {"machine_id": machine_id})
    await conn.execute(KEEP, {"machine_id": machine_id, **values})


async def samples(conn: Connection, machine_id: int, limit: int) -> list[Sample]:
    async with conn.cursor(row_factory=class_row(Sample)) as cursor:
        await cursor.execute(SAMPLES, {"machine_id": machine_id, "limit": limit})
        return await cursor.fetchall()
