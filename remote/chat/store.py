"""All SQL about the lines of chat sessions."""

from __future__ import annotations

from psycopg.rows import class_row

from compagnon.db import Connection
from remote.chat.model import Line

COLUMNS = """
l.id, l.session_id, l.member_id, coalesce(m.name, l.person) AS name, l.body, l.at, l.shown_at
FROM chat_lines l LEFT JOIN members m ON m.id = l.member_id
"""
COUNT = "SELECT count(*) FROM chat_lines WHERE session_id = %(session_id)s"
ADD = """
INSERT INTO chat_lines (session_id, member_id, person, key, body)
VALUES (%(session_id)s, %(member_id)s, %(person)s, %(key)s, %(body)s)
ON CONFLICT (session_id, key) DO NOTHING RETURNING id
"""
LAST = f"""
SELECT * FROM (SELECT {COLUMNS} WHERE l.session_id = %(session_id)s ORDER BY l.id DESC LIMIT %(limit)s) newest
ORDER BY id
"""  # noqa: S608 - constant
WAITING = f"""
SELECT {COLUMNS} WHERE l.session_id = %(session_id)s AND l.member_id IS NOT NULL AND l.shown_at IS NULL ORDER BY l.id
"""
SHOWN = "UPDATE chat_lines SET shown_at = now() WHERE id = %(id)s AND shown_at IS NULL"
OF_TICKET = f"""
SELECT {COLUMNS} JOIN remote_sessions s ON s.id = l.session_id
WHERE s.ticket_id = %(ticket_id)s AND s.state = 'ended' ORDER BY l.id LIMIT %(limit)s
"""


async def _many(conn: Connection, query: str, values: dict[str, object]) -> list[Line]:
    async with conn.cursor(row_factory=class_row(Line)) as cursor:
        await cursor.execute(query, values)
        return await cursor.fetchall()


async def count(conn: Connection, session_id: str) -> int:
    row = await (await conn.execute(COUNT, {"session_id": session_id})).fetchone()
    return int(row[0]) if row else 0


async def add(
    conn: Connection, session_id: str, *, key: str, body: str, member_id: int | None = None, person: str = ""
) -> int | None:
    """The line's id; None when it was there already."""
    values = {"session_id": session_id, "member_id": member_id, "person": person, "key": key, "body": body}
    row = await (await conn.execute(ADD, values)).fetchone()
    return int(row[0]) if row else None


async def last(conn: Connection, session_id: str, limit: int) -> list[Line]:
    """Oldest first."""
    return await _many(conn, LAST, {"session_id": session_id, "limit": limit})


async def waiting(conn: Connection, session_id: str) -> list[Line]:
    """Members' lines that are not before the person yet, oldest first."""
    return await _many(conn, WAITING, {"session_id": session_id})


async def shown(conn: Connection, line_id: int) -> bool:
    return (await conn.execute(SHOWN, {"id": line_id})).rowcount == 1


async def of_ticket(conn: Connection, ticket_id: int, limit: int) -> list[Line]:
    """What was written in the ticket's sessions that are over, oldest first."""
    return await _many(conn, OF_TICKET, {"ticket_id": ticket_id, "limit": limit})
