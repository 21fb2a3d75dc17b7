"""SQL that reads tickets' texts again and keeps their words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg.rows import class_row

from compagnon.db import Connection

SAID = 250_000  # characters of a ticket's conversation, the newest
# A ticket in which somebody writes at this moment is left for the next time.
OTHER_VERSION = """
WITH chosen AS MATERIALIZED (
    SELECT id FROM tickets WHERE words_version < %(version)s ORDER BY words_version, id LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
SELECT t.id, t.title, t.symptom || E'\\n' || t.caller_name AS own, right(coalesce((
    SELECT string_agg(body, E'\\n' ORDER BY id) FROM (
        SELECT id, body FROM ticket_messages WHERE ticket_id = t.id ORDER BY id DESC LIMIT 1000) newest), ''),
    %(said)s) AS said
FROM chosen JOIN tickets t ON t.id = chosen.id
"""
INDEX = """
UPDATE tickets SET words = %(own)s::tsvector || strip(%(said)s::tsvector), words_version = %(version)s
WHERE id = %(id)s
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """``own``: symptom and caller; ``said``: the conversation."""

    id: int
    title: str
    own: str
    said: str


async def other_version(conn: Connection, version: int, limit: int) -> Sequence[Text]:
    """Tickets whose words were written with another analysis; nobody changes them until the transaction ends."""
    cursor = conn.cursor(row_factory=class_row(Text))
    values = {"version": version, "limit": limit, "said": SAID}
    return await (await cursor.execute(OTHER_VERSION, values)).fetchall()


async def index(conn: Connection, ticket_id: int, *, own: str, said: str, version: int) -> None:
    await conn.execute(INDEX, {"id": ticket_id, "own": own, "said": said, "version": version})
