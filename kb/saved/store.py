"""SQL of the saved searches. Every statement names the member: nobody reaches another's."""

from __future__ import annotations

from psycopg.rows import class_row

from compagnon.db import Connection
from kb.saved.model import SavedSearch

OF_MEMBER = """
SELECT id, name, query, created_at FROM saved_searches WHERE member_id = %(member)s ORDER BY lower(name), id
"""
LOCK = "SELECT id FROM members WHERE id = %(member)s FOR NO KEY UPDATE"
COUNT = "SELECT count(*) FROM saved_searches WHERE member_id = %(member)s"
ADD = "INSERT INTO saved_searches (member_id, name, query) VALUES (%(member)s, %(name)s, %(query)s) RETURNING id"
RENAME = "UPDATE saved_searches SET name = %(name)s WHERE id = %(id)s AND member_id = %(member)s"
DELETE = "DELETE FROM saved_searches WHERE id = %(id)s AND member_id = %(member)s"


async def of_member(conn: Connection, member_id: int) -> list[SavedSearch]:
    async with conn.cursor(row_factory=class_row(SavedSearch)) as cursor:
        return await (await cursor.execute(OF_MEMBER, {"member": member_id})).fetchall()


async def locked_count(conn: Connection, member_id: int) -> int:
    """How many there are; nobody adds one for this member before the transaction ends."""
    await conn.execute(LOCK, {"member": member_id})
    row = await (await conn.execute(COUNT, {"member": member_id})).fetchone()
    return int(row[0]) if row else 0


async def add(conn: Connection, member_id: int, name: str, query: str) -> int:
    row = await (await conn.execute(ADD, {"member": member_id, "name": name, "query": query})).fetchone()
    assert row is not None, "RETURNING"
    return int(row[0])


async def rename(conn: Connection, member_id: int, id: int, name: str) -> bool:
    return (await conn.execute(RENAME, {"member": member_id, "id": id, "name": name})).rowcount > 0


async def delete(conn: Connection, member_id: int, id: int) -> bool:
    return (await conn.execute(DELETE, {"member": member_id, "id": id})).rowcount > 0
