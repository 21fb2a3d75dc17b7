"""All SQL about how long recordings are kept, and about their erasure."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from psycopg.rows import class_row

from compagnon.db import Connection
from remote.recordings.model import Recording, Retention
from remote.recordings.store import COLUMNS

RETENTION = """
SELECT t.days, p.name AS set_by, t.set_at FROM recording_retention t JOIN members p ON p.id = t.set_by
WHERE t.client_id = %(client_id)s
"""
SET_DAYS = """
INSERT INTO recording_retention (client_id, days, set_by) VALUES (%(client_id)s, %(days)s, %(member_id)s)
ON CONFLICT (client_id) DO UPDATE SET days = EXCLUDED.days, set_by = EXCLUDED.set_by, set_at = now()
"""
DROP_DAYS = "DELETE FROM recording_retention WHERE client_id = %(client_id)s"
DUE = f"""
SELECT {COLUMNS} FROM recordings r JOIN remote_sessions s ON s.id = r.session_id JOIN machines m ON m.id = s.machine_id
LEFT JOIN recording_retention t ON t.client_id = m.client_id
WHERE r.state IN ('complete', 'failed') AND r.held_at IS NULL
  AND coalesce(t.days, %(days)s) > 0 AND r.ended_at < %(now)s - make_interval(days => coalesce(t.days, %(days)s))
ORDER BY r.ended_at LIMIT %(limit)s
"""  # noqa: S608 - constant
ERASING = f"SELECT {COLUMNS} FROM recordings r WHERE r.state = 'erasing' ORDER BY r.session_id"  # noqa: S608 - constant
ABOUT = """
SELECT m.client_id, s.machine_id, s.ticket_id, t.days
FROM remote_sessions s JOIN machines m ON m.id = s.machine_id
LEFT JOIN recording_retention t ON t.client_id = m.client_id WHERE s.id = %(session_id)s
"""
BEGIN = """
UPDATE recordings SET state = 'erasing', transcript = '', words = '', moments = '{}', erased_digest = %(digest)s,
       erased_after = %(days)s
WHERE session_id = %(session_id)s AND state IN ('complete', 'failed') AND held_at IS NULL
"""
END = """
UPDATE recordings SET state = 'erased', erased_at = now() WHERE session_id = %(session_id)s AND state = 'erasing'
"""
HOLD = """
UPDATE recordings SET held_by = %(member_id)s, held_at = now(), hold_reason = %(reason)s
WHERE session_id = %(session_id)s AND held_at IS NULL AND state IN ('recording', 'complete', 'failed')
"""
RELEASE = """
UPDATE recordings SET held_by = NULL, held_at = NULL, hold_reason = ''
WHERE session_id = %(session_id)s AND held_at IS NOT NULL
"""


async def retention(conn: Connection, client_id: int) -> Retention | None:
    async with conn.cursor(row_factory=class_row(Retention)) as cursor:
        await cursor.execute(RETENTION, {"client_id": client_id})
        return await cursor.fetchone()


async def set_days(conn: Connection, client_id: int, days: int, member_id: int) -> None:
    await conn.execute(SET_DAYS, {"client_id": client_id, "days": days, "member_id": member_id})


async def drop_days(conn: Connection, client_id: int) -> None:
    await conn.execute(DROP_DAYS, {"client_id": client_id})


async def due(conn: Connection, *, days: int, now: datetime, limit: int) -> list[Recording]:
    """Past their time, the oldest first. ``days``: for clients without a number of their own; 0 keeps for ever."""
    return await _many(conn, DUE, {"days": days, "now": now, "limit": limit})


async def erasing(conn: Connection) -> list[Recording]:
    return await _many(conn, ERASING, {})


async def about(conn: Connection, session_id: str) -> tuple[int, int, int, int | None]:
    """Client, machine and ticket of a recording, and for how many days its client's are kept (None: the default)."""
    row = await (await conn.execute(ABOUT, {"session_id": session_id})).fetchone()
    assert row is not None, "a recording has its session"
    return row[0], row[1], row[2], row[3]


async def begin(conn: Connection, session_id: str, *, digest: str, days: int) -> bool:
    """Nothing of it is found or shown from here on; False when it is held, or already so far."""
    values = {"session_id": session_id, "digest": digest, "days": days}
    return (await conn.execute(BEGIN, values)).rowcount == 1


async def end(conn: Connection, session_id: str) -> bool:
    return (await conn.execute(END, {"session_id": session_id})).rowcount == 1


async def hold(conn: Connection, session_id: str, member_id: int, reason: str) -> bool:
    values = {"session_id": session_id, "member_id": member_id, "reason": reason}
    return (await conn.execute(HOLD, values)).rowcount == 1


async def release(conn: Connection, session_id: str) -> bool:
    return (await conn.execute(RELEASE, {"session_id": session_id})).rowcount == 1


async def _many(conn: Connection, query: str, values: dict[str, Any]) -> list[Recording]:
    async with conn.cursor(row_factory=class_row(Recording)) as cursor:
        await cursor.execute(query, values)
        return await cursor.fetchall()
