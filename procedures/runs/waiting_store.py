"""SQL of the requests that wait for a machine that is away."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from psycopg.rows import class_row

from compagnon.db import Connection
from procedures.runs.model import WaitingRequest

QUEUE = "UPDATE run_attempts SET state = 'queued', expires_at = now() + %(wait)s WHERE id = %(id)s AND state = 'open'"
RELEASE = "UPDATE run_attempts SET state = 'open' WHERE id = %(id)s AND state = 'queued' AND expires_at > now()"
# It did not get through, or nobody knows whether it did: the agent knows the attempt if it made it.
WAIT_AGAIN = "UPDATE run_attempts SET state = 'queued' WHERE id = %(id)s AND state = 'open' AND expires_at > now()"
GIVE_UP = """
UPDATE run_attempts SET state = 'abandoned', why = %(why)s, started_at = NULL, ended_at = now() WHERE state = 'queued'
"""
GIVE_UP_ONE = GIVE_UP + " AND id = %(id)s"
GIVE_UP_ALL = GIVE_UP + " AND run_id = %(id)s"
AWAITED = "SELECT DISTINCT machine_id FROM run_attempts WHERE state = 'queued' AND machine_id = ANY(%(ids)s)"
WAITING = """
SELECT a.id::text AS attempt_id, a.run_id, v.title, s.step_id, a.phase, a.machine_id, r.ticket_id,
    m.name AS member_name, a.requested_at, a.expires_at
FROM run_attempts a JOIN run_steps s ON s.id = a.run_step_id JOIN runs r ON r.id = a.run_id
JOIN procedure_versions v ON v.id = r.version_id JOIN members m ON m.id = a.member_id
WHERE a.state = 'queued' AND (%(machine)s::bigint IS NULL OR a.machine_id = %(machine)s)
    AND (%(ticket)s::bigint IS NULL OR r.ticket_id = %(ticket)s)
ORDER BY a.requested_at LIMIT 500
"""


async def queue(conn: Connection, attempt_id: str, wait: timedelta) -> None:
    """Let a request that was just made wait for its machine."""
    await conn.execute(QUEUE, {"id": attempt_id, "wait": wait})


async def release(conn: Connection, attempt_id: str) -> bool:
    """Its machine is back; False when it does not wait any more."""
    return (await conn.execute(RELEASE, {"id": attempt_id})).rowcount == 1


async def wait_again(conn: Connection, attempt_id: str) -> bool:
    """Its machine is away once more; False for a request that never waited, or waited long enough."""
    return (await conn.execute(WAIT_AGAIN, {"id": attempt_id})).rowcount == 1


async def give_up(conn: Connection, attempt_id: str, why: str) -> bool:
    return (await conn.execute(GIVE_UP_ONE, {"id": attempt_id, "why": why})).rowcount == 1


async def give_up_all(conn: Connection, run_id: int, why: str) -> None:
    await conn.execute(GIVE_UP_ALL, {"id": run_id, "why": why})


async def awaited(conn: Connection, machine_ids: Sequence[int]) -> set[int]:
    """Those of these machines that a request waits for."""
    rows = await (await conn.execute(AWAITED, {"ids": list(machine_ids)})).fetchall()
    return {row[0] for row in rows}


async def waiting_requests(
    conn: Connection, *, machine_id: int | None = None, ticket_id: int | None = None
) -> list[WaitingRequest]:
    """What waits for a machine, of this ticket or machine where one is named; oldest first."""
    async with conn.cursor(row_factory=class_row(WaitingRequest)) as cursor:
        await cursor.execute(WAITING, {"machine": machine_id, "ticket": ticket_id})
        return await cursor.fetchall()
