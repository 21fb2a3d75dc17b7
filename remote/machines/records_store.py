"""SQL about the agents' own records: how far each is known, and which were cut or written anew."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from psycopg.rows import class_row

from compagnon.db import Connection
from remote.machines.model import BrokenRecord, KnownRecord

FIRST_TOLD = """
INSERT INTO machine_records (machine_id, number, head, told_at)
VALUES (%(machine_id)s, %(number)s, %(head)s, %(at)s) ON CONFLICT DO NOTHING
"""
LAST_TOLD = "UPDATE machines SET audit_head = %(head)s, audit_head_at = %(at)s WHERE id = %(machine_id)s"
KNOWN = """
SELECT number, head, told_at, claimed_number, claimed_head, claimed_at FROM machine_records
WHERE machine_id = %(machine_id)s FOR UPDATE
"""
CLAIM = """
UPDATE machine_records SET claimed_number = %(number)s, claimed_head = %(head)s, claimed_at = %(at)s
WHERE machine_id = %(machine_id)s
"""
MOVE = """
UPDATE machine_records SET number = %(number)s, head = %(head)s, told_at = %(at)s,
    claimed_number = NULL, claimed_head = NULL, claimed_at = NULL
WHERE machine_id = %(machine_id)s
"""
BREAK = """
UPDATE machine_records SET broken = %(kind)s, whole_at = %(whole_at)s, noticed_at = now()
WHERE machine_id = %(machine_id)s AND broken IS NULL
"""
LOOKED_INTO = """
UPDATE machine_records SET broken = NULL, whole_at = NULL, noticed_at = NULL
WHERE machine_id = %(machine_id)s AND broken IS NOT NULL
"""
BROKEN_COLUMNS = """
SELECT r.machine_id, m.name AS machine_name, c.name AS client_name, r.broken AS kind, r.whole_at, r.noticed_at
FROM machine_records r JOIN machines m ON m.id = r.machine_id JOIN clients c ON c.id = m.client_id
WHERE r.broken IS NOT NULL
"""
BROKEN = f"{BROKEN_COLUMNS} AND r.machine_id = %(machine_id)s"
ALL_BROKEN = f"{BROKEN_COLUMNS} AND m.state <> 'revoked' ORDER BY r.noticed_at DESC LIMIT %(limit)s"


async def last_told(conn: Connection, machine_id: int, head: str, at: datetime) -> None:
    await conn.execute(LAST_TOLD, {"machine_id": machine_id, "head": head, "at": at})


async def first_told(conn: Connection, machine_id: int, number: int, head: str, at: datetime) -> bool:
    """False when something was told before."""
    values = {"machine_id": machine_id, "number": number, "head": head, "at": at}
    return (await conn.execute(FIRST_TOLD, values)).rowcount == 1


async def known(conn: Connection, machine_id: int) -> KnownRecord | None:
    """Holds the row until the transaction ends: what several connections tell is dealt with one after the other."""
    async with conn.cursor(row_factory=class_row(KnownRecord)) as cursor:
        await cursor.execute(KNOWN, {"machine_id": machine_id})
        return await cursor.fetchone()


async def claim(conn: Connection, machine_id: int, number: int, head: str, at: datetime) -> None:
    """Told, and not shown to follow yet."""
    await conn.execute(CLAIM, {"machine_id": machine_id, "number": number, "head": head, "at": at})


async def move(conn: Connection, machine_id: int, number: int, head: str, at: datetime) -> None:
    """From here on it is compared with this."""
    await conn.execute(MOVE, {"machine_id": machine_id, "number": number, "head": head, "at": at})


async def break_(conn: Connection, machine_id: int, kind: str, whole_at: datetime) -> bool:
    """False when it is known already that the record was broken, and nobody has looked into it yet."""
    values = {"machine_id": machine_id, "kind": kind, "whole_at": whole_at}
    return (await conn.execute(BREAK, values)).rowcount == 1


async def looked_into(conn: Connection, machine_id: int) -> bool:
    return (await conn.execute(LOOKED_INTO, {"machine_id": machine_id})).rowcount == 1


async def broken(conn: Connection, machine_id: int) -> BrokenRecord | None:
    found = await _broken(conn, BROKEN, {"machine_id": machine_id})
    return found[0] if found else None


async def all_broken(conn: Connection, limit: int) -> list[BrokenRecord]:
    """Newest first."""
    return await _broken(conn, ALL_BROKEN, {"limit": limit})


async def _broken(conn: Connection, query: str, values: dict[str, Any]) -> list[BrokenRecord]:
    async with conn.cursor(row_factory=class_row(BrokenRecord)) as cursor:
        await cursor.execute(query, values)
        return await cursor.fetchall()
