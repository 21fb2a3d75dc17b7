"""SQL of phone capture."""

from __future__ import annotations

from psycopg.rows import class_row

from compagnon.db import Connection
from tickets.listing.model import Row

# Any of the words counts here, because a caller's words are never quite those of the ticket before. Only the newest are
# weighed: what happens to several people at once happens now.
SIMILAR = """
SELECT t.id, t.title, t.state, t.priority, t.client_id, c.name AS client_name, t.owner_id, o.name AS owner_name,
    t.skill, t.departement, t.created_at, t.updated_at
FROM (
    SELECT *, ts_rank(words, %(any)s::tsquery, 1) AS rank FROM (
        SELECT * FROM tickets
        WHERE words @@ %(any)s::tsquery AND state NOT IN ('resolved', 'closed') AND client_id <> %(client_id)s
        ORDER BY updated_at DESC, id DESC LIMIT 200
    ) newest
) t
JOIN clients c ON c.id = t.client_id LEFT JOIN members o ON o.id = t.owner_id
ORDER BY t.rank DESC, t.id DESC LIMIT %(limit)s
"""


async def similar(conn: Connection, any_of: str, client_id: int | None, limit: int) -> list[Row]:
    """Open tickets of other clients that share words; the client's own are on their card."""
    cursor = conn.cursor(row_factory=class_row(Row))
    values = {"any": any_of, "client_id": client_id or 0, "limit": limit}
    return await (await cursor.execute(SIMILAR, values)).fetchall()
