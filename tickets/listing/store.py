"""SQL of the list. The conditions are constants; which of them are used depends on the filter, so that PostgreSQL plans
each question for itself instead of one plan for all of them.
"""

from __future__ import annotations

from typing import Any, LiteralString

from psycopg import sql
from psycopg.rows import class_row

from compagnon.db import Connection
from tickets.listing.model import Cursor, Owner, Row, SavedFilter, Sort, TicketFilter

SELECT = sql.SQL("""
SELECT t.id, t.title, t.state, t.priority, t.client_id, c.name AS client_name, t.owner_id, o.name AS owner_name,
    t.skill, t.departement, t.created_at, t.updated_at
FROM (SELECT * FROM tickets t {where} ORDER BY {order} LIMIT %(limit)s) t
JOIN clients c ON c.id = t.client_id LEFT JOIN members o ON o.id = t.owner_id
ORDER BY {order}
""")
COUNT = sql.SQL("SELECT count(*) FROM (SELECT FROM tickets t {where} LIMIT %(count_limit)s) counted")
OPEN_ONLY: LiteralString = "t.state NOT IN ('resolved', 'closed')"  # word for word as in the partial indexes
CONDITIONS: dict[str, LiteralString] = {
    "state": "t.state = %(state)s",
    "priority": "t.priority = %(priority)s",
    "client_id": "t.client_id = %(client_id)s",
    "machine_id": "t.machine_id = %(machine_id)s",
    "skill": "t.skill = %(skill)s",
    "departement": "t.departement = %(departement)s",
    "words": "t.words @@ %(words)s::tsquery",
    # Words of few tickets: found first, by the index, whatever order the list has.
    "few": "t.id = ANY (ARRAY(SELECT f.id FROM tickets f WHERE f.words @@ %(few)s::tsquery))",
    "number": "t.id = %(number)s",
    "like": "t.title ILIKE %(like)s",
}
OWNERS: dict[Owner, LiteralString] = {
    Owner.MINE: "t.owner_id = %(member_id)s",
    Owner.NOBODY: "t.owner_id IS NULL",
    Owner.HELPING: "t.id IN (SELECT ticket_id FROM ticket_collaborators WHERE member_id = %(member_id)s)",
}
ORDERS: dict[Sort, LiteralString] = {
    Sort.UPDATED: "t.updated_at DESC, t.id DESC",
    Sort.CREATED: "t.created_at DESC, t.id DESC",
    Sort.PRIORITY: "t.priority, t.id",
}
AFTER: dict[Sort, LiteralString] = {
    Sort.UPDATED: "(t.updated_at, t.id) < (%(after)s, %(after_id)s)",
    Sort.CREATED: "(t.created_at, t.id) < (%(after)s, %(after_id)s)",
    Sort.PRIORITY: "(t.priority, t.id) > (%(after)s, %(after_id)s)",
}
FILTERS = "SELECT id, name, query FROM ticket_filters WHERE member_id = %(member_id)s ORDER BY lower(name), id"
KEEP_FILTER = """
INSERT INTO ticket_filters (member_id, name, query)
SELECT %(member_id)s, %(name)s, %(query)s
WHERE (SELECT count(*) FROM ticket_filters WHERE member_id = %(member_id)s AND name <> %(name)s) < %(limit)s
ON CONFLICT ON CONSTRAINT ticket_filters_name DO UPDATE SET query = EXCLUDED.query
"""
FORGET_FILTER = "DELETE FROM ticket_filters WHERE id = %(id)s AND member_id = %(member_id)s"
DEPARTEMENTS = """
WITH RECURSIVE used AS (
    (SELECT departement FROM tickets ORDER BY departement LIMIT 1)
    UNION ALL
    SELECT (SELECT t.departement FROM tickets t WHERE t.departement > used.departement ORDER BY t.departement LIMIT 1)
    FROM used WHERE used.departement IS NOT NULL
)
SELECT departement FROM used WHERE departement <> '' ORDER BY departement
"""


async def rows(conn: Connection, wanted: TicketFilter, search: dict[str, Any], limit: int) -> list[Row]:
    conditions = _conditions(wanted, search)
    if wanted.after:
        conditions.append(AFTER[wanted.sort])
    query = SELECT.format(where=_where(conditions), order=sql.SQL(ORDERS[wanted.sort]))
    cursor = conn.cursor(row_factory=class_row(Row))
    return await (await cursor.execute(query, {**_values(wanted, search), "limit": limit})).fetchall()


async def count(conn: Connection, wanted: TicketFilter, search: dict[str, Any], limit: int) -> int:
    query = COUNT.format(where=_where(_conditions(wanted, search)))
    row = await (await conn.execute(query, {**_values(wanted, search), "count_limit": limit})).fetchone()
    return int(row[0]) if row else 0


def _conditions(wanted: TicketFilter, search: dict[str, Any]) -> list[LiteralString]:
    chosen: list[LiteralString] = [OWNERS[wanted.owner]] if wanted.owner in OWNERS else []
    if len(wanted.states) > 1:
        chosen.append(OPEN_ONLY)
    elif wanted.states:
        chosen.append(CONDITIONS["state"])
    for name in ("priority", "client_id", "machine_id", "skill", "departement"):
        if getattr(wanted, name):
            chosen.append(CONDITIONS[name])
    chosen.extend(CONDITIONS[name] for name in search)
    return chosen


def _where(conditions: list[LiteralString]) -> sql.Composable:
    parts = [sql.SQL(condition) for condition in conditions]
    return sql.SQL("WHERE ") + sql.SQL(" AND ").join(parts) if parts else sql.SQL("")


def _values(wanted: TicketFilter, search: dict[str, Any]) -> dict[str, Any]:
    after = wanted.after or Cursor(value=0, id=0)
    return {
        "state": wanted.states[0].value if len(wanted.states) == 1 else None,
        "priority": wanted.priority,
        "client_id": wanted.client_id,
        "machine_id": wanted.machine_id,
        "skill": wanted.skill,
        "departement": wanted.departement,
        "member_id": wanted.member_id,
        "after": after.value,
        "after_id": after.id,
        **search,
    }


async def saved(conn: Connection, member_id: int) -> list[SavedFilter]:
    cursor = conn.cursor(row_factory=class_row(SavedFilter))
    return await (await cursor.execute(FILTERS, {"member_id": member_id})).fetchall()


async def keep(conn: Connection, member_id: int, name: str, query: str, limit: int) -> bool:
    """False when the member has ``limit`` other filters already."""
    values = {"member_id": member_id, "name": name, "query": query, "limit": limit}
    return (await conn.execute(KEEP_FILTER, values)).rowcount == 1


async def forget(conn: Connection, member_id: int, filter_id: int) -> bool:
    return (await conn.execute(FORGET_FILTER, {"id": filter_id, "member_id": member_id})).rowcount == 1


async def departements(conn: Connection) -> list[str]:
    """The départements tickets come from: a loose index scan, one step for each of them."""
    return [row[0] for row in await (await conn.execute(DEPARTEMENTS)).fetchall()]
