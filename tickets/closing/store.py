"""SQL of closing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from compagnon.db import Connection
from tickets.closing.model import Closing, Verification

ADD_VERIFICATION = """
INSERT INTO ticket_verifications (ticket_id, run_id, member_id, state, checks)
VALUES (%(ticket_id)s, %(run_id)s, %(member_id)s, %(state)s, %(checks)s)
"""
LATEST_VERIFICATIONS = """
SELECT DISTINCT ON (v.run_id) v.id, v.ticket_id, v.run_id, v.state, v.checks, v.member_id, m.name AS member_name,
    v.created_at
FROM ticket_verifications v JOIN members m ON m.id = v.member_id
WHERE v.ticket_id = %(ticket_id)s ORDER BY v.run_id, v.id DESC
"""
INSERT = """
INSERT INTO ticket_closings (ticket_id, member_id, resolution, justification, verdict, remark, run_id)
VALUES (%(ticket_id)s, %(member_id)s, %(resolution)s, %(justification)s, %(verdict)s, %(remark)s, %(run_id)s)
RETURNING id
"""
GET = """
SELECT x.id, x.ticket_id, x.member_id, m.name AS member_name, x.resolution, x.justification, x.verdict, x.remark,
    x.run_id, x.draft_id, x.created_at
FROM ticket_closings x JOIN members m ON m.id = x.member_id WHERE x.ticket_id = %(ticket_id)s
"""
LOCK = "SELECT FROM ticket_closings WHERE ticket_id = %(ticket_id)s FOR UPDATE"
SET_DRAFT = "UPDATE ticket_closings SET draft_id = %(draft_id)s WHERE id = %(id)s AND draft_id IS NULL"


async def add_verification(
    conn: Connection, ticket_id: int, run_id: int, member_id: int, state: str, checks: Sequence[Mapping[str, Any]]
) -> None:
    values = {"ticket_id": ticket_id, "run_id": run_id, "member_id": member_id, "state": state}
    await conn.execute(ADD_VERIFICATION, {**values, "checks": Jsonb([dict(check) for check in checks])})


async def latest_verifications(conn: Connection, ticket_id: int) -> list[Verification]:
    """The newest verification of each run of the ticket."""
    cursor = conn.cursor(row_factory=class_row(Verification))
    return await (await cursor.execute(LATEST_VERIFICATIONS, {"ticket_id": ticket_id})).fetchall()


async def insert(conn: Connection, values: Mapping[str, Any]) -> int:
    row = await (await conn.execute(INSERT, values)).fetchone()
    assert row is not None, "the insert returns its row"
    return int(row[0])


async def get(conn: Connection, ticket_id: int) -> Closing | None:
    cursor = conn.cursor(row_factory=class_row(Closing))
    return await (await cursor.execute(GET, {"ticket_id": ticket_id})).fetchone()


async def lock(conn: Connection, ticket_id: int) -> Closing | None:
    """How the ticket was closed; nobody else turns it into a proposed change until the transaction ends."""
    await conn.execute(LOCK, {"ticket_id": ticket_id})
    return await get(conn, ticket_id)


async def set_draft(conn: Connection, closing_id: int, draft_id: int) -> bool:
    return (await conn.execute(SET_DRAFT, {"id": closing_id, "draft_id": draft_id})).rowcount == 1
