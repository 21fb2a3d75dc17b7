"""All SQL about recordings."""

from __future__ import annotations

from psycopg.rows import class_row

from compagnon.db import Connection
from remote.recordings.model import Recording, RecordingState

COLUMNS = "session_id, file, started_at, ended_at, chunks, bytes, head, state"
ADD = "INSERT INTO recordings (session_id, file) VALUES (%(session_id)s, %(file)s)"
GET = f"SELECT {COLUMNS} FROM recordings WHERE session_id = %(session_id)s"  # noqa: S608 - constant
ALL = f"SELECT {COLUMNS} FROM recordings ORDER BY started_at"  # noqa: S608 - constant
ANCHOR = """
UPDATE recordings SET chunks = %(chunks)s, bytes = %(bytes)s, head = %(head)s
WHERE session_id = %(session_id)s AND state = 'recording' AND chunks <= %(chunks)s
"""
FINISH = """
UPDATE recordings SET state = %(state)s, ended_at = now(), chunks = %(chunks)s, bytes = %(bytes)s, head = %(head)s,
       transcript = %(transcript)s
WHERE session_id = %(session_id)s AND state = 'recording'
"""
UNFINISHED = """
SELECT r.session_id FROM recordings r JOIN remote_sessions s ON s.id = r.session_id
WHERE r.state = 'recording' AND s.state = 'ended' ORDER BY r.started_at
"""
TRANSCRIPT = "SELECT transcript FROM recordings WHERE session_id = %(session_id)s"


async def add(conn: Connection, session_id: str, file: str) -> None:
    await conn.execute(ADD, {"session_id": session_id, "file": file})


async def get(conn: Connection, session_id: str) -> Recording | None:
    async with conn.cursor(row_factory=class_row(Recording)) as cursor:
        await cursor.execute(GET, {"session_id": session_id})
        return await cursor.fetchone()


async def everything(conn: Connection) -> list[Recording]:
    async with conn.cursor(row_factory=class_row(Recording)) as cursor:
        await cursor.execute(ALL)
        return await cursor.fetchall()


async def anchor(conn: Connection, session_id: str, *, chunks: int, size: int, head: str) -> None:
    await conn.execute(ANCHOR, {"session_id": session_id, "chunks": chunks, "bytes": size, "head": head})


async def finish(
    conn: Connection, session_id: str, *, state: RecordingState, chunks: int, size: int, head: str, transcript: str
) -> bool:
    """False when it was finished before."""
    values = {"session_id": session_id, "state": state, "chunks": chunks, "bytes": size, "head": head}
    cursor = await conn.execute(FINISH, values | {"transcript": transcript})
    return cursor.rowcount == 1


async def unfinished(conn: Connection) -> list[str]:
    """The sessions that are over and whose recording was not finished."""
    return [row[0] for row in await (await conn.execute(UNFINISHED)).fetchall()]


async def transcript(conn: Connection, session_id: str) -> str:
    row = await (await conn.execute(TRANSCRIPT, {"session_id": session_id})).fetchone()
    return row[0] if row else ""
