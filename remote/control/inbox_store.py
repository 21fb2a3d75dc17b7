"""SQL of the agents' queues."""

from __future__ import annotations

from compagnon.db import Connection

TAKE = """
INSERT INTO agent_queues (machine_id, queue, number) VALUES (%(machine_id)s, %(queue)s, %(number)s)
ON CONFLICT (machine_id) DO UPDATE SET queue = excluded.queue, number = excluded.number, at = now()
WHERE agent_queues.queue <> excluded.queue OR agent_queues.number < excluded.number
"""
READ_UP_TO = "SELECT number FROM agent_queues WHERE machine_id = %(machine_id)s"


async def take(conn: Connection, machine_id: int, queue: str, number: int) -> tuple[bool, int]:
    """Whether this message is new, and how far the machine's queue was read. Holds the row until the commit."""
    values = {"machine_id": machine_id, "queue": queue, "number": number}
    if (await conn.execute(TAKE, values)).rowcount == 1:
        return True, number
    row = await (await conn.execute(READ_UP_TO, values)).fetchone()
    assert row is not None
    return False, int(row[0])
