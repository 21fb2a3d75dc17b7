"""All SQL about remote sessions and their participants."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from psycopg.rows import class_row

from compagnon.db import Connection
from remote.sessions.model import EndReason, Participant, ParticipantRole, Session, SessionState

COLUMNS = """
s.id, s.machine_id, m.name AS machine_name, m.client_id, s.ticket_id, s.reason, s.capability, s.target,
s.state, s.short_code,
s.requested_by, p.name AS requested_by_name, s.driver_id, s.requested_at, s.granted_until, s.consent_by, s.opened_at,
s.ended_at, s.end_reason, s.end_detail, EXISTS (SELECT FROM recordings r WHERE r.session_id = s.id) AS recorded
"""
FROM = "FROM remote_sessions s JOIN machines m ON m.id = s.machine_id JOIN members p ON p.id = s.requested_by"
GET = f"SELECT {COLUMNS} {FROM} WHERE s.id = %(id)s"
FOR_TICKET = f"""
SELECT {COLUMNS} {FROM} WHERE s.ticket_id = %(ticket_id)s ORDER BY s.requested_at LIMIT 200
"""
FOR_MACHINE = f"""
SELECT {COLUMNS} {FROM} WHERE s.machine_id = %(machine_id)s ORDER BY s.requested_at DESC LIMIT %(limit)s
"""
LIVE_OF_MACHINE = f"""
SELECT {COLUMNS} {FROM} WHERE s.machine_id = %(machine_id)s AND s.state <> 'ended' ORDER BY s.requested_at
"""
IN_SESSION = "SELECT DISTINCT machine_id FROM remote_sessions WHERE machine_id = ANY(%(ids)s) AND state <> 'ended'"
LIVE = f"SELECT {COLUMNS} {FROM} WHERE s.state <> 'ended' ORDER BY s.requested_at"
VISIT = f"""
SELECT {COLUMNS} {FROM} WHERE s.ticket_id = %(ticket_id)s AND s.machine_id = %(machine_id)s AND s.state <> 'ended'
ORDER BY s.requested_at
"""
ADD = """
INSERT INTO remote_sessions
    (id, machine_id, ticket_id, reason, capability, target, short_code, requested_by, driver_id)
VALUES (%(id)s, %(machine_id)s, %(ticket_id)s, %(reason)s, %(capability)s, %(target)s, %(short_code)s, %(member_id)s,
    %(member_id)s)
"""
MOVE = "UPDATE remote_sessions SET state = %(new)s WHERE id = %(id)s AND state = %(old)s"
GRANTED = """
UPDATE remote_sessions SET state = 'open', opened_at = now(), granted_until = %(until)s, consent_by = %(by)s
WHERE id = %(id)s AND state = 'consenting'
"""
END = """
UPDATE remote_sessions SET state = 'ended', ended_at = now(), end_reason = %(reason)s, end_detail = %(detail)s
WHERE id = %(id)s AND state = %(old)s
"""
HELD = "UPDATE remote_sessions SET held_at = now() WHERE id = ANY(%(ids)s) AND state = 'open'"
LOST = """
SELECT id FROM remote_sessions
WHERE state = 'open' AND greatest(opened_at, held_at) < now() - make_interval(secs => %(seconds)s)
"""
HAND_OVER = """
UPDATE remote_sessions SET driver_id = %(new)s
WHERE id = %(id)s AND state = 'open' AND driver_id IS NOT DISTINCT FROM %(old)s
"""
JOIN = """
INSERT INTO session_participants (session_id, member_id, role, invited_by, came)
VALUES (%(id)s, %(member_id)s, %(role)s, %(invited_by)s, %(invited_by)s::bigint IS NULL)
ON CONFLICT (session_id, member_id) DO UPDATE
SET left_at = NULL, came = session_participants.came OR EXCLUDED.came,
    invited_by = coalesce(session_participants.invited_by, EXCLUDED.invited_by)
"""
LEAVE = "UPDATE session_participants SET left_at = now() WHERE session_id = %(id)s AND member_id = %(member_id)s"
ROLE = """
UPDATE session_participants SET role = CASE WHEN member_id = %(driver_id)s THEN 'driver' ELSE 'pointer' END
WHERE session_id = %(id)s AND (member_id = %(driver_id)s OR role = 'driver')
"""
SET_ROLE = """
UPDATE session_participants SET role = %(role)s
WHERE session_id = %(id)s AND member_id = %(member_id)s AND role <> 'driver' AND role <> %(role)s
"""
ONLY_OBSERVERS = "SELECT member_id FROM session_participants WHERE session_id = %(id)s AND role = 'observer'"
PARTICIPANTS = """
SELECT t.session_id, t.member_id, p.name, t.role, t.invited_by, t.joined_at, t.left_at, t.came
FROM session_participants t JOIN members p ON p.id = t.member_id
WHERE t.session_id = %(id)s ORDER BY t.joined_at, t.member_id
"""
SIGNED_IN = """
SELECT EXISTS (
    SELECT FROM sign_ins s JOIN members m ON m.id = s.member_id
    WHERE s.id = %(id)s AND s.member_id = %(member_id)s AND m.active AND s.expires_at > now()
)
"""


async def _many(conn: Connection, query: str, values: dict[str, object]) -> list[Session]:
    async with conn.cursor(row_factory=class_row(Session)) as cursor:
        await cursor.execute(query, values)
        return await cursor.fetchall()


async def get(conn: Connection, session_id: str) -> Session | None:
    found = await _many(conn, GET, {"id": session_id})
    return found[0] if found else None


async def for_ticket(conn: Connection, ticket_id: int) -> list[Session]:
    return await _many(conn, FOR_TICKET, {"ticket_id": ticket_id})


async def for_machine(conn: Connection, machine_id: int, limit: int) -> list[Session]:
    return await _many(conn, FOR_MACHINE, {"machine_id": machine_id, "limit": limit})


async def visit(conn: Connection, machine_id: int, ticket_id: int) -> list[Session]:
    return await _many(conn, VISIT, {"machine_id": machine_id, "ticket_id": ticket_id})


async def live_of_machine(conn: Connection, machine_id: int) -> list[Session]:
    return await _many(conn, LIVE_OF_MACHINE, {"machine_id": machine_id})


async def in_session(conn: Connection, machine_ids: Sequence[int]) -> set[int]:
    """Those of these machines that have a session which has not ended."""
    rows = await (await conn.execute(IN_SESSION, {"ids": list(machine_ids)})).fetchall()
    return {row[0] for row in rows}


async def live(conn: Connection) -> list[Session]:
    return await _many(conn, LIVE, {})


async def add(conn: Connection, values: dict[str, object]) -> None:
    await conn.execute(ADD, values)


async def move(conn: Connection, session_id: str, old: SessionState, new: SessionState) -> bool:
    return (await conn.execute(MOVE, {"id": session_id, "old": old, "new": new})).rowcount == 1


async def granted(conn: Connection, session_id: str, *, until: datetime | None, by: str) -> bool:
    return (await conn.execute(GRANTED, {"id": session_id, "until": until, "by": by})).rowcount == 1


async def end(conn: Connection, session_id: str, old: SessionState, reason: EndReason, detail: str = "") -> bool:
    """``detail``: at most 500 characters."""
    values = {"id": session_id, "old": old, "reason": reason, "detail": detail}
    return (await conn.execute(END, values)).rowcount == 1


async def held(conn: Connection, session_ids: list[str]) -> None:
    """A server process has the agents' connections of these sessions now."""
    await conn.execute(HELD, {"ids": session_ids})


async def lost(conn: Connection, seconds: float) -> list[str]:
    """Open sessions whose agent no server process has had for so long."""
    rows = await (await conn.execute(LOST, {"seconds": seconds})).fetchall()
    return [row[0] for row in rows]


async def hand_over(conn: Connection, session_id: str, old: int | None, new: int) -> bool:
    """Compare-and-set of who holds the keyboard."""
    if (await conn.execute(HAND_OVER, {"id": session_id, "old": old, "new": new})).rowcount != 1:
        return False
    await conn.execute(ROLE, {"id": session_id, "driver_id": new})
    return True


async def set_role(conn: Connection, session_id: str, member_id: int, role: ParticipantRole) -> bool:
    """False for whoever drives, is not there, or had it already."""
    values = {"id": session_id, "member_id": member_id, "role": role}
    return (await conn.execute(SET_ROLE, values)).rowcount == 1


async def only_observers(conn: Connection, session_id: str) -> frozenset[int]:
    """Who may look and not point."""
    return frozenset(row[0] for row in await (await conn.execute(ONLY_OBSERVERS, {"id": session_id})).fetchall())


async def join(
    conn: Connection, session_id: str, member_id: int, role: ParticipantRole, invited_by: int | None = None
) -> None:
    values = {"id": session_id, "member_id": member_id, "role": role, "invited_by": invited_by}
    await conn.execute(JOIN, values)


async def leave(conn: Connection, session_id: str, member_id: int) -> None:
    await conn.execute(LEAVE, {"id": session_id, "member_id": member_id})


async def signed_in(conn: Connection, sign_in_id: int, member_id: int) -> bool:
    """Whether this sign-in of an active member still holds."""
    row = await (await conn.execute(SIGNED_IN, {"id": sign_in_id, "member_id": member_id})).fetchone()
    return bool(row and row[0])


async def participants(conn: Connection, session_id: str) -> list[Participant]:
    async with conn.cursor(row_factory=class_row(Participant)) as cursor:
        await cursor.execute(PARTICIPANTS, {"id": session_id})
        return await cursor.fetchall()
