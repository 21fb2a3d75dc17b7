"""SQL of what one server process does over SSH and keeps alive: shells and step attempts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from compagnon.db import Connection

BEGIN = """
INSERT INTO ssh_attempts (attempt_id, machine_id) VALUES (%(id)s, %(machine_id)s) ON CONFLICT DO NOTHING
"""
ATTEMPT = """
SELECT attempt_id::text AS id, machine_id, started_at, alive_at > now() - interval '30 seconds' AS alive, result
FROM ssh_attempts WHERE attempt_id = %(id)s
"""
FINISH = "UPDATE ssh_attempts SET result = %(result)s WHERE attempt_id = %(id)s AND result IS NULL"
ALIVE = "UPDATE ssh_attempts SET alive_at = now() WHERE attempt_id = ANY(%(ids)s::uuid[]) AND result IS NULL"
KEEP_SHELLS = """
INSERT INTO ssh_shells (session_id) SELECT unnest(%(ids)s::text[])
ON CONFLICT (session_id) DO UPDATE SET alive_at = now()
"""
LOST_SHELLS = """
SELECT s.id FROM remote_sessions s JOIN machines m ON m.id = s.machine_id JOIN ssh_shells l ON l.session_id = s.id
WHERE m.kind = 'device' AND s.capability = 'terminal' AND s.state = 'open'
AND l.alive_at < now() - interval '30 seconds'
"""
NEVER_BEGUN = """
SELECT s.id FROM remote_sessions s JOIN machines m ON m.id = s.machine_id LEFT JOIN ssh_shells l ON l.session_id = s.id
WHERE m.kind = 'device' AND s.capability = 'terminal' AND s.state = 'open' AND l.session_id IS NULL
AND s.opened_at < now() - interval '2 minutes'
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRow:
    """``alive``: a process is at it, or was 30 seconds ago."""

    id: str
    machine_id: int
    started_at: datetime
    alive: bool
    result: dict[str, Any] | None


async def begin(conn: Connection, attempt_id: str, machine_id: int) -> bool:
    """False when this attempt was made before."""
    return (await conn.execute(BEGIN, {"id": attempt_id, "machine_id": machine_id})).rowcount == 1


async def attempt(conn: Connection, attempt_id: str) -> AttemptRow | None:
    async with conn.cursor(row_factory=class_row(AttemptRow)) as cursor:
        await cursor.execute(ATTEMPT, {"id": attempt_id})
        return await cursor.fetchone()


async def finish(conn: Connection, attempt_id: str, result: dict[str, Any]) -> bool:
    """Once."""
    return (await conn.execute(FINISH, {"id": attempt_id, "result": Jsonb(result)})).rowcount == 1


async def keep_alive(conn: Connection, attempts: list[str], shells: list[str]) -> None:
    if attempts:
        await conn.execute(ALIVE, {"ids": attempts})
    if shells:
        await conn.execute(KEEP_SHELLS, {"ids": shells})


async def lost_shells(conn: Connection) -> list[str]:
    """Open terminals on devices that a process held, and none keeps alive."""
    return [row[0] for row in await (await conn.execute(LOST_SHELLS)).fetchall()]


async def never_begun(conn: Connection) -> list[str]:
    """Open terminals on devices to which no page came, so that no process began them."""
    return [row[0] for row in await (await conn.execute(NEVER_BEGUN)).fetchall()]
