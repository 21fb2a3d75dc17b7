"""SQL of the links between tickets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg.rows import class_row

from compagnon.db import Connection
from tickets.links.model import Link, LinkKind

# Always in the order of the numbers: two members who link the same two tickets wait for each other, never for ever.
LOCK = "SELECT id FROM tickets WHERE id = ANY(%(ids)s) ORDER BY id FOR UPDATE"
ADD = """
INSERT INTO ticket_links (ticket_id, other_id, kind, added_by)
VALUES (%(ticket_id)s, %(other_id)s, %(kind)s, %(member_id)s) ON CONFLICT DO NOTHING RETURNING id
"""
REMOVE = """
DELETE FROM ticket_links WHERE id = %(link_id)s AND %(ticket_id)s IN (ticket_id, other_id)
RETURNING ticket_id, other_id, kind
"""
OF = """
SELECT l.id, l.kind, l.ticket_id = %(id)s AS forward, o.id AS other_id, o.title, o.state, c.name AS client_name,
    l.added_by, m.name AS added_by_name, l.added_at
FROM (
    SELECT * FROM ticket_links WHERE ticket_id = %(id)s UNION ALL SELECT * FROM ticket_links WHERE other_id = %(id)s
) l JOIN tickets o ON o.id = CASE WHEN l.ticket_id = %(id)s THEN l.other_id ELSE l.ticket_id END
JOIN clients c ON c.id = o.client_id JOIN members m ON m.id = l.added_by ORDER BY l.id
"""
MASTER = "SELECT other_id FROM ticket_links WHERE ticket_id = %(id)s AND kind = 'duplicate_of' LIMIT 1"


async def lock(conn: Connection, ids: Sequence[int]) -> set[int]:
    """Those of the tickets that exist; nobody links them until the transaction ends."""
    return {row[0] for row in await (await conn.execute(LOCK, {"ids": list(ids)})).fetchall()}


async def add(conn: Connection, ticket_id: int, other_id: int, kind: LinkKind, member_id: int) -> int | None:
    """None when the two are linked already."""
    values = {"ticket_id": ticket_id, "other_id": other_id, "kind": kind.value, "member_id": member_id}
    row = await (await conn.execute(ADD, values)).fetchone()
    return row[0] if row else None


async def remove(conn: Connection, ticket_id: int, link_id: int) -> Mapping[str, Any] | None:
    """What the link was; None when it is gone or none of this ticket's."""
    row = await (await conn.execute(REMOVE, {"ticket_id": ticket_id, "link_id": link_id})).fetchone()
    return dict(zip(("ticket_id", "other_id", "kind"), row, strict=True)) if row else None


async def of(conn: Connection, ticket_id: int) -> list[Link]:
    cursor = conn.cursor(row_factory=class_row(Link))
    return await (await cursor.execute(OF, {"id": ticket_id})).fetchall()


async def master(conn: Connection, ticket_id: int) -> int | None:
    """The ticket of which this one is a duplicate."""
    row = await (await conn.execute(MASTER, {"id": ticket_id})).fetchone()
    return row[0] if row else None
