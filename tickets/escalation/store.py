"""SQL of the calls for an expert."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from compagnon.db import Connection
from tickets.escalation.model import Escalation, Offer, Ranked

SELECT = """
SELECT e.id, e.ticket_id, t.title AS ticket_title, c.name AS client_name, e.run_id, e.step_id, e.session_id, e.skill,
    e.departement, e.question, e.asked_by, a.name AS asked_by_name, e.state, e.circle, e.widen_at, e.accepted_by,
    x.name AS accepted_by_name, e.created_at, e.ended_at
FROM escalations e JOIN tickets t ON t.id = e.ticket_id JOIN clients c ON c.id = t.client_id
JOIN members a ON a.id = e.asked_by LEFT JOIN members x ON x.id = e.accepted_by
"""
GET = f"{SELECT} WHERE e.id = %(id)s"
LOCK = "SELECT id FROM escalations WHERE id = %(id)s FOR UPDATE"
FOR_TICKET = f"{SELECT} WHERE e.ticket_id = %(ticket_id)s ORDER BY e.id DESC LIMIT 50"
OPEN_FOR = f"{SELECT} WHERE e.ticket_id = %(ticket_id)s AND e.skill = %(skill)s AND e.state = 'open'"
ASKED_FOR_MEMBER = f"""
{SELECT} JOIN escalation_offers f ON f.escalation_id = e.id
WHERE f.member_id = %(member_id)s AND f.state = 'asked' AND e.state = 'open' ORDER BY f.asked_at DESC LIMIT 50
"""
LOADS = """
SELECT owner_id, count(*) FROM tickets
WHERE owner_id = ANY(%(ids)s) AND state NOT IN ('resolved', 'closed') GROUP BY owner_id
"""
HELPED = """
SELECT owner_id, count(*) FROM (
    SELECT owner_id FROM tickets WHERE client_id = %(client_id)s AND owner_id = ANY(%(ids)s)
    ORDER BY updated_at DESC LIMIT 200
) recent GROUP BY owner_id
"""
INSERT = """
INSERT INTO escalations (ticket_id, run_id, step_id, session_id, skill, departement, question, asked_by)
VALUES (%(ticket_id)s, %(run_id)s, %(step_id)s, %(session_id)s, %(skill)s, %(departement)s, %(question)s, %(asked_by)s)
ON CONFLICT (ticket_id, skill) WHERE state = 'open' DO NOTHING
RETURNING id
"""
WIDEN = """
UPDATE escalations SET circle = %(new)s, widen_at = %(widen_at)s
WHERE id = %(id)s AND state = 'open' AND circle = %(old)s
"""
END = """
UPDATE escalations SET state = %(state)s, accepted_by = %(accepted_by)s, ended_at = now(), widen_at = NULL
WHERE id = %(id)s AND state = 'open'
"""
OFFER = """
INSERT INTO escalation_offers (escalation_id, member_id, circle, score, reasons)
VALUES (%(escalation_id)s, %(member_id)s, %(circle)s, %(score)s, %(reasons)s)
ON CONFLICT DO NOTHING
"""
OFFERS = """
SELECT f.escalation_id, f.member_id, m.name AS member_name, f.circle, f.score, f.reasons, f.state, f.answer, f.asked_at,
    f.answered_at
FROM escalation_offers f JOIN members m ON m.id = f.member_id
WHERE f.escalation_id = ANY(%(ids)s) ORDER BY f.escalation_id, f.circle, f.score DESC, m.name
"""
ANSWER = """
UPDATE escalation_offers SET state = %(new)s, answer = %(answer)s, answered_at = now()
WHERE escalation_id = %(escalation_id)s AND member_id = %(member_id)s AND state = ANY(%(old)s)
"""
LAPSE = """
UPDATE escalation_offers SET state = 'lapsed' WHERE escalation_id = %(id)s AND state = 'asked' RETURNING member_id
"""
WAITING = "SELECT count(*) FROM escalation_offers WHERE escalation_id = %(id)s AND state = 'asked'"


async def get(conn: Connection, escalation_id: int) -> Escalation | None:
    cursor = conn.cursor(row_factory=class_row(Escalation))
    return await (await cursor.execute(GET, {"id": escalation_id})).fetchone()


async def lock(conn: Connection, escalation_id: int) -> Escalation | None:
    """As it is now; who answers at the same time waits for this transaction."""
    await conn.execute(LOCK, {"id": escalation_id})
    return await get(conn, escalation_id)


async def for_ticket(conn: Connection, ticket_id: int) -> list[Escalation]:
    cursor = conn.cursor(row_factory=class_row(Escalation))
    return await (await cursor.execute(FOR_TICKET, {"ticket_id": ticket_id})).fetchall()


async def open_for(conn: Connection, ticket_id: int, skill: str) -> Escalation | None:
    cursor = conn.cursor(row_factory=class_row(Escalation))
    return await (await cursor.execute(OPEN_FOR, {"ticket_id": ticket_id, "skill": skill})).fetchone()


async def asked_of(conn: Connection, member_id: int) -> list[Escalation]:
    """The open calls that wait for this member's answer."""
    cursor = conn.cursor(row_factory=class_row(Escalation))
    return await (await cursor.execute(ASKED_FOR_MEMBER, {"member_id": member_id})).fetchall()


async def loads(conn: Connection, ids: Sequence[int]) -> dict[int, int]:
    """Open tickets by owner."""
    return dict(await (await conn.execute(LOADS, {"ids": list(ids)})).fetchall())


async def helped(conn: Connection, client_id: int, ids: Sequence[int]) -> dict[int, int]:
    """How many of the client's last 200 tickets of these members each had."""
    return dict(await (await conn.execute(HELPED, {"client_id": client_id, "ids": list(ids)})).fetchall())


async def insert(conn: Connection, values: Mapping[str, Any]) -> int | None:
    """None when such a call is open already."""
    row = await (await conn.execute(INSERT, values)).fetchone()
    return row[0] if row else None


async def widen(conn: Connection, escalation_id: int, *, old: int, new: int, widen_at: datetime | None) -> bool:
    values = {"id": escalation_id, "old": old, "new": new, "widen_at": widen_at}
    return (await conn.execute(WIDEN, values)).rowcount == 1


async def end(conn: Connection, escalation_id: int, state: str, accepted_by: int | None = None) -> bool:
    values = {"id": escalation_id, "state": state, "accepted_by": accepted_by}
    return (await conn.execute(END, values)).rowcount == 1


async def offer(conn: Connection, escalation_id: int, circle: int, people: Sequence[Ranked]) -> None:
    for item in people:
        values = {
            "escalation_id": escalation_id,
            "member_id": item.candidate.member_id,
            "circle": circle,
            "score": item.score,
            "reasons": Jsonb([reason.to_json() for reason in item.reasons]),
        }
        await conn.execute(OFFER, values)


async def offers(conn: Connection, ids: Sequence[int]) -> list[Offer]:
    cursor = conn.cursor(row_factory=class_row(Offer))
    return await (await cursor.execute(OFFERS, {"ids": list(ids)})).fetchall()


async def answer(
    conn: Connection, escalation_id: int, member_id: int, *, old: Collection[str], new: str, text: str
) -> bool:
    values = {"escalation_id": escalation_id, "member_id": member_id, "old": list(old), "new": new, "answer": text}
    return (await conn.execute(ANSWER, values)).rowcount == 1


async def lapse(conn: Connection, escalation_id: int) -> list[int]:
    """End the questions nobody answered; whose they were."""
    return [row[0] for row in await (await conn.execute(LAPSE, {"id": escalation_id})).fetchall()]


async def waiting(conn: Connection, escalation_id: int) -> int:
    row = await (await conn.execute(WAITING, {"id": escalation_id})).fetchone()
    return int(row[0]) if row else 0
