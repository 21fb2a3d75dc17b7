"""SQL that finds tickets for the global search."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg.rows import class_row

from compagnon.db import Connection
from kb.search.records import RecordQuery

# The newest of those that match: ranking a common word's thousands by frequency would cost more than it tells.
BY_NUMBER = """
SELECT t.id, t.title, c.name AS client_name, left(t.symptom, 160) AS symptom
FROM tickets t JOIN clients c ON c.id = t.client_id WHERE t.id = %(number)s
"""
BY_WORDS = """
SELECT t.id, t.title, c.name AS client_name, left(t.symptom, 160) AS symptom
FROM (
    SELECT * FROM tickets WHERE words @@ %(tsquery)s::tsquery ORDER BY updated_at DESC, id DESC LIMIT %(limit)s
) t JOIN clients c ON c.id = t.client_id ORDER BY t.updated_at DESC, t.id DESC
"""
BY_TITLE = """
SELECT t.id, t.title, c.name AS client_name, left(t.symptom, 160) AS symptom
FROM (SELECT * FROM tickets WHERE title ILIKE %(like)s ORDER BY updated_at DESC, id DESC LIMIT %(limit)s) t
JOIN clients c ON c.id = t.client_id ORDER BY t.updated_at DESC, t.id DESC
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    id: int
    title: str
    client_name: str
    symptom: str


async def by_number(conn: Connection, query: RecordQuery, limit: int) -> list[Found]:
    return await _found(conn, BY_NUMBER, query, limit)


async def by_words(conn: Connection, query: RecordQuery, limit: int) -> list[Found]:
    return await _found(conn, BY_WORDS, query, limit)


async def by_title(conn: Connection, query: RecordQuery, limit: int) -> list[Found]:
    return await _found(conn, BY_TITLE, query, limit)


async def _found(conn: Connection, statement: str, query: RecordQuery, limit: int) -> list[Found]:
    cursor = conn.cursor(row_factory=class_row(Found))
    values = {"number": query.number, "tsquery": query.tsquery, "like": query.like, "limit": limit}
    return await (await cursor.execute(statement.encode(), values)).fetchall()
