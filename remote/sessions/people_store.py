"""All SQL about who is invited to a visit, who must be there, and who watches by link."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from psycopg.rows import class_row

from compagnon.db import Connection
from remote.sessions.model import Invitation, WatchLink

MODERATED = "SELECT client_id FROM client_moderation"
MODERATE = """
INSERT INTO client_moderation (client_id, set_by) VALUES (%(client_id)s, %(member_id)s) ON CONFLICT DO NOTHING
"""
UNMODERATE = "DELETE FROM client_moderation WHERE client_id = %(client_id)s"
INVITE = """
INSERT INTO visit_guests (machine_id, ticket_id, member_id, invited_by)
VALUES (%(machine_id)s, %(ticket_id)s, %(member_id)s, %(invited_by)s) ON CONFLICT DO NOTHING
"""
GUESTS = """
SELECT member_id, invited_by FROM visit_guests WHERE machine_id = %(machine_id)s AND ticket_id = %(ticket_id)s
"""
INVITATIONS = """
SELECT DISTINCT ON (g.machine_id, g.ticket_id) s.id AS session_id, m.name AS machine_name, c.name AS client_name,
    s.ticket_id, s.reason, p.name AS invited_by, g.invited_at,
    EXISTS (
        SELECT FROM session_participants t JOIN remote_sessions o ON o.id = t.session_id AND o.state <> 'ended'
        WHERE t.member_id = g.member_id AND t.left_at IS NULL AND t.came
          AND o.machine_id = g.machine_id AND o.ticket_id = g.ticket_id
    ) AS here
FROM visit_guests g
JOIN remote_sessions s ON s.machine_id = g.machine_id AND s.ticket_id = g.ticket_id AND s.state <> 'ended'
JOIN machines m ON m.id = s.machine_id JOIN clients c ON c.id = m.client_id JOIN members p ON p.id = g.invited_by
WHERE g.member_id = %(member_id)s ORDER BY g.machine_id, g.ticket_id, s.state = 'open' DESC, s.requested_at LIMIT 20
"""
OTHERS = """
SELECT p.id, p.name FROM members p WHERE p.active AND NOT EXISTS (
    SELECT FROM session_participants t WHERE t.session_id = %(session_id)s AND t.member_id = p.id
) ORDER BY p.name LIMIT 300
"""
STILL_OPEN = "SELECT 1 FROM remote_sessions WHERE id = %(session_id)s AND state = 'open' FOR UPDATE"
LINK_COLUMNS = """
l.id, l.session_id, p.name AS created_by, l.created_at, l.expires_at, l.revoked_at
"""
ADD_LINK = """
INSERT INTO watch_links (session_id, digest, created_by, expires_at)
VALUES (%(session_id)s, %(digest)s, %(member_id)s, %(expires_at)s) RETURNING id
"""
LINKS = f"""
SELECT {LINK_COLUMNS} FROM watch_links l LEFT JOIN members p ON p.id = l.created_by
WHERE l.session_id = %(session_id)s AND l.revoked_at IS NULL AND l.expires_at > now() ORDER BY l.id
"""  # noqa: S608 - constant
BY_DIGEST = f"""
SELECT {LINK_COLUMNS} FROM watch_links l LEFT JOIN members p ON p.id = l.created_by
JOIN remote_sessions s ON s.id = l.session_id
WHERE l.digest = %(digest)s AND l.revoked_at IS NULL AND l.expires_at > now() AND s.state = 'open'
"""  # noqa: S608 - constant
REVOKE = """
UPDATE watch_links SET revoked_at = now() WHERE id = %(id)s AND session_id = %(session_id)s AND revoked_at IS NULL
"""
REVOKE_ALL = "UPDATE watch_links SET revoked_at = now() WHERE session_id = %(session_id)s AND revoked_at IS NULL"
REVOKE_MACHINES = f"{REVOKE_ALL} AND created_by IS NULL"


async def moderated(conn: Connection) -> frozenset[int]:
    """The clients that ask for four eyes."""
    return frozenset(row[0] for row in await (await conn.execute(MODERATED)).fetchall())


async def moderate(conn: Connection, client_id: int, member_id: int, *, on: bool) -> bool:
    """False when it was so already."""
    values = {"client_id": client_id, "member_id": member_id}
    return (await conn.execute(MODERATE if on else UNMODERATE, values)).rowcount == 1


async def invite(conn: Connection, machine_id: int, ticket_id: int, member_id: int, invited_by: int) -> bool:
    """False when they were invited before."""
    values = {"machine_id": machine_id, "ticket_id": ticket_id, "member_id": member_id, "invited_by": invited_by}
    return (await conn.execute(INVITE, values)).rowcount == 1


async def guests(conn: Connection, machine_id: int, ticket_id: int) -> dict[int, int]:
    """Who was invited to the visit, and by whom."""
    rows = await conn.execute(GUESTS, {"machine_id": machine_id, "ticket_id": ticket_id})
    return dict(await rows.fetchall())


async def invitations(conn: Connection, member_id: int) -> list[Invitation]:
    """The live visits to which a member is invited; a live session of each, an open one where there is one."""
    return await _many(conn, Invitation, INVITATIONS, {"member_id": member_id})


async def others(conn: Connection, session_id: str) -> list[tuple[int, str]]:
    """Active members who are neither in the session nor invited to it."""
    return await (await conn.execute(OTHERS, {"session_id": session_id})).fetchall()


async def add_link(
    conn: Connection, session_id: str, digest: bytes, member_id: int | None, expires_at: datetime
) -> int:
    """``member_id`` None: asked for at the machine."""
    values = {"session_id": session_id, "digest": digest, "member_id": member_id, "expires_at": expires_at}
    row = await (await conn.execute(ADD_LINK, values)).fetchone()
    assert row is not None
    return int(row[0])


async def still_open(conn: Connection, session_id: str) -> bool:
    """Whether the session is open, and stays so until the transaction ends."""
    return (await conn.execute(STILL_OPEN, {"session_id": session_id})).rowcount == 1


async def links(conn: Connection, session_id: str) -> list[WatchLink]:
    """Those that still open."""
    return await _many(conn, WatchLink, LINKS, {"session_id": session_id})


async def link(conn: Connection, digest: bytes) -> WatchLink | None:
    """What a secret opens now: neither revoked nor expired, and its session is open."""
    found = await _many(conn, WatchLink, BY_DIGEST, {"digest": digest})
    return found[0] if found else None


async def revoke(conn: Connection, session_id: str, link_id: int) -> bool:
    return (await conn.execute(REVOKE, {"id": link_id, "session_id": session_id})).rowcount == 1


async def revoke_all(conn: Connection, session_id: str, *, of_machine: bool = False) -> None:
    """All of a session's links, or only those that were asked for at the machine."""
    await conn.execute(REVOKE_MACHINES if of_machine else REVOKE_ALL, {"session_id": session_id})


async def _many(conn: Connection, kind: type[Any], query: str, values: dict[str, Any]) -> list[Any]:
    async with conn.cursor(row_factory=class_row(kind)) as cursor:
        await cursor.execute(query, values)
        return await cursor.fetchall()
