"""SQL of one ticket."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from compagnon.db import Connection
from kb.search.analysis import VERSION
from tickets.desk.model import Change, Collaborator, Message, NewTicket, Present, StateInterval, Ticket, TimeEntry

COLUMNS = """
t.id, t.client_id, c.name AS client_name, t.site_id, t.machine_id, t.caller_name, t.caller_phone, t.title, t.symptom,
t.impact, t.urgency, t.priority, t.state, t.owner_id, o.name AS owner_name, t.skill, t.departement, t.opened_by,
b.name AS opened_by_name, t.follows_id, t.revision, t.created_at, t.updated_at, t.closed_at
"""
JOINS = """
FROM tickets t JOIN clients c ON c.id = t.client_id JOIN members b ON b.id = t.opened_by
LEFT JOIN members o ON o.id = t.owner_id
"""
GET = f"SELECT {COLUMNS} {JOINS} WHERE t.id = %(id)s"
LOCK = "SELECT id FROM tickets WHERE id = %(id)s FOR UPDATE"
SHARE = "SELECT FROM tickets WHERE id = %(id)s FOR SHARE"
OPEN_OF_CLIENT = f"""
SELECT {COLUMNS} {JOINS} WHERE t.client_id = %(client_id)s AND t.state NOT IN ('resolved', 'closed')
ORDER BY t.updated_at DESC LIMIT %(limit)s
"""
OF_CLIENT = f"""
SELECT {COLUMNS} {JOINS} WHERE t.client_id = %(client_id)s ORDER BY t.updated_at DESC, t.id DESC LIMIT %(limit)s
"""
OF_MACHINE = f"""
SELECT {COLUMNS} {JOINS} WHERE t.machine_id = %(machine_id)s ORDER BY t.id DESC LIMIT %(limit)s
"""
MAY_ACT = """
SELECT EXISTS (SELECT FROM tickets WHERE id = %(ticket_id)s AND owner_id = %(member_id)s)
    OR EXISTS (SELECT FROM ticket_collaborators WHERE ticket_id = %(ticket_id)s AND member_id = %(member_id)s)
"""
INSERT = """
INSERT INTO tickets (client_id, site_id, machine_id, caller_name, caller_phone, title, symptom, impact, urgency,
    priority, state, owner_id, skill, departement, opened_by, follows_id, request_key, words, words_version)
VALUES (%(client_id)s, %(site_id)s, %(machine_id)s, %(caller_name)s, %(caller_phone)s, %(title)s, %(symptom)s,
    %(impact)s, %(urgency)s, %(priority)s, %(state)s, %(owner_id)s, %(skill)s, %(departement)s, %(opened_by)s,
    %(follows_id)s, %(request_key)s, %(words)s::tsvector, %(words_version)s)
ON CONFLICT ON CONSTRAINT tickets_request_key DO NOTHING
RETURNING id
"""
BY_KEY = "SELECT id, opened_by FROM tickets WHERE request_key = %(key)s"
# The one place where state and owner change: nothing happens unless the ticket is still as the member saw it.
MOVE = """
UPDATE tickets SET state = %(new)s, owner_id = %(owner_id)s, revision = revision + 1, updated_at = now(),
    closed_at = CASE WHEN %(new)s = 'closed' THEN now() END
WHERE id = %(id)s AND state = %(old)s AND owner_id IS NOT DISTINCT FROM %(old_owner_id)s AND revision = %(revision)s
"""
END_STATE = "UPDATE ticket_states SET left_at = now() WHERE ticket_id = %(id)s AND left_at IS NULL"
ENTER_STATE = """
INSERT INTO ticket_states (ticket_id, state, member_id, reason) VALUES (%(id)s, %(state)s, %(member_id)s, %(reason)s)
"""
STATES = """
SELECT s.id, s.state, s.entered_at, s.left_at, s.member_id, m.name AS member_name, s.reason
FROM ticket_states s JOIN members m ON m.id = s.member_id WHERE s.ticket_id = %(id)s ORDER BY s.id
"""
# The old title's words go with the next reading of all of them (tickets.listing.words).
EDIT = """
UPDATE tickets SET title = %(title)s, impact = %(impact)s, urgency = %(urgency)s, priority = %(priority)s,
    skill = %(skill)s, machine_id = %(machine_id)s, words = words || %(words)s::tsvector, words_version = 0,
    revision = revision + 1, updated_at = now()
WHERE id = %(id)s AND revision = %(revision)s AND state <> 'closed'
"""
# Without positions, and up to a bound: a tsvector holds 1 MB, a conversation may go on for ever.
TOUCH = """
UPDATE tickets SET updated_at = now(),
    words = CASE WHEN length(words) < 20000 THEN words || strip(%(words)s::tsvector) ELSE words END
WHERE id = %(id)s
"""
SET_SKILL = "UPDATE tickets SET skill = %(skill)s WHERE id = %(id)s AND skill IS NULL"
ADD_MESSAGE = """
INSERT INTO ticket_messages (ticket_id, member_id, visibility, body, request_key)
VALUES (%(ticket_id)s, %(member_id)s, %(visibility)s, %(body)s, %(request_key)s)
ON CONFLICT ON CONSTRAINT ticket_messages_request_key DO NOTHING
RETURNING id
"""
MESSAGES = """
SELECT * FROM (
    SELECT x.id, x.ticket_id, x.member_id, m.name AS member_name, x.visibility, x.body, x.created_at
    FROM ticket_messages x JOIN members m ON m.id = x.member_id WHERE x.ticket_id = %(id)s
    ORDER BY x.id DESC LIMIT %(limit)s
) newest ORDER BY id
"""
ADD_CHANGE = """
INSERT INTO ticket_changes (ticket_id, member_id, kind, details)
VALUES (%(ticket_id)s, %(member_id)s, %(kind)s, %(details)s)
"""
CHANGES = """
SELECT * FROM (
    SELECT x.id, x.kind, x.member_id, m.name AS member_name, x.details, x.created_at
    FROM ticket_changes x LEFT JOIN members m ON m.id = x.member_id WHERE x.ticket_id = %(id)s
    ORDER BY x.id DESC LIMIT %(limit)s
) newest ORDER BY id
"""
ADD_TIME = """
INSERT INTO ticket_time (ticket_id, member_id, minutes, note, request_key)
VALUES (%(ticket_id)s, %(member_id)s, %(minutes)s, %(note)s, %(request_key)s)
ON CONFLICT ON CONSTRAINT ticket_time_request_key DO NOTHING
RETURNING id
"""
TIMES = """
SELECT x.id, x.member_id, m.name AS member_name, x.minutes, x.note, x.created_at
FROM ticket_time x JOIN members m ON m.id = x.member_id WHERE x.ticket_id = %(id)s ORDER BY x.id LIMIT 500
"""
ADD_COLLABORATOR = """
INSERT INTO ticket_collaborators (ticket_id, member_id, added_by) VALUES (%(ticket_id)s, %(member_id)s, %(added_by)s)
ON CONFLICT DO NOTHING
"""
REMOVE_COLLABORATOR = "DELETE FROM ticket_collaborators WHERE ticket_id = %(ticket_id)s AND member_id = %(member_id)s"
COLLABORATORS = """
SELECT x.member_id, m.name, x.added_at FROM ticket_collaborators x JOIN members m ON m.id = x.member_id
WHERE x.ticket_id = %(id)s ORDER BY x.added_at, x.member_id
"""
SEEN = """
INSERT INTO ticket_presence (ticket_id, member_id, seen_at, typing_at)
VALUES (%(ticket_id)s, %(member_id)s, now(), CASE WHEN %(typing)s THEN now() END)
ON CONFLICT (ticket_id, member_id) DO UPDATE SET seen_at = now(),
    typing_at = CASE WHEN %(sent)s THEN NULL ELSE coalesce(EXCLUDED.typing_at, ticket_presence.typing_at) END
"""
PRESENT = """
SELECT p.member_id, m.name, coalesce(p.typing_at > now() - %(typing)s::interval, false) AS typing
FROM ticket_presence p JOIN members m ON m.id = p.member_id
WHERE p.ticket_id = %(id)s AND p.seen_at > now() - %(presence)s::interval ORDER BY m.name
"""


async def get(conn: Connection, ticket_id: int) -> Ticket | None:
    cursor = conn.cursor(row_factory=class_row(Ticket))
    return await (await cursor.execute(GET, {"id": ticket_id})).fetchone()


async def lock(conn: Connection, ticket_id: int) -> Ticket | None:
    """The ticket as it is now; nobody else changes it until the transaction ends."""
    await conn.execute(LOCK, {"id": ticket_id})
    return await get(conn, ticket_id)


async def share(conn: Connection, ticket_id: int) -> Ticket | None:
    """The ticket as it is now; nobody changes it until the transaction ends, others may read it the same way."""
    await conn.execute(SHARE, {"id": ticket_id})
    return await get(conn, ticket_id)


async def may_act(conn: Connection, ticket_id: int, member_id: int) -> bool:
    row = await (await conn.execute(MAY_ACT, {"ticket_id": ticket_id, "member_id": member_id})).fetchone()
    return bool(row and row[0])


async def open_of_client(conn: Connection, client_id: int, limit: int) -> list[Ticket]:
    cursor = conn.cursor(row_factory=class_row(Ticket))
    return await (await cursor.execute(OPEN_OF_CLIENT, {"client_id": client_id, "limit": limit})).fetchall()


async def of_client(conn: Connection, client_id: int, limit: int) -> list[Ticket]:
    cursor = conn.cursor(row_factory=class_row(Ticket))
    return await (await cursor.execute(OF_CLIENT, {"client_id": client_id, "limit": limit})).fetchall()


async def of_machine(conn: Connection, machine_id: int, limit: int) -> list[Ticket]:
    cursor = conn.cursor(row_factory=class_row(Ticket))
    return await (await cursor.execute(OF_MACHINE, {"machine_id": machine_id, "limit": limit})).fetchall()


async def insert(
    conn: Connection, new: NewTicket, *, state: str, priority: int, opened_by: int, words: str
) -> int | None:
    """The new ticket's number; None when this request key was used already."""
    values = {name: getattr(new, name) for name in NewTicket.__slots__}
    extra = {"state": state, "priority": priority, "opened_by": opened_by, "words": words}
    extra["words_version"] = VERSION
    row = await (await conn.execute(INSERT, {**values, **extra})).fetchone()
    return row[0] if row else None


async def by_key(conn: Connection, key: str) -> tuple[int, int] | None:
    """(ticket, who opened it)"""
    row = await (await conn.execute(BY_KEY, {"key": key})).fetchone()
    return (row[0], row[1]) if row else None


async def move(conn: Connection, ticket: Ticket, *, new: str, owner_id: int | None) -> bool:
    """Compare and set: False when the ticket is no longer as ``ticket`` says."""
    values = {
        "id": ticket.id,
        "old": ticket.state,
        "new": new,
        "old_owner_id": ticket.owner_id,
        "owner_id": owner_id,
        "revision": ticket.revision,
    }
    return (await conn.execute(MOVE, values)).rowcount == 1


async def enter_state(conn: Connection, ticket_id: int, state: str, member_id: int, reason: str) -> None:
    await conn.execute(END_STATE, {"id": ticket_id})
    values = {"id": ticket_id, "state": state, "member_id": member_id, "reason": reason}
    await conn.execute(ENTER_STATE, values)


async def states(conn: Connection, ticket_id: int) -> list[StateInterval]:
    cursor = conn.cursor(row_factory=class_row(StateInterval))
    return await (await cursor.execute(STATES, {"id": ticket_id})).fetchall()


async def edit(conn: Connection, values: Mapping[str, Any]) -> bool:
    return (await conn.execute(EDIT, values)).rowcount == 1


async def touch(conn: Connection, ticket_id: int, words: str = "") -> None:
    await conn.execute(TOUCH, {"id": ticket_id, "words": words})


async def set_skill(conn: Connection, ticket_id: int, skill: str) -> None:
    await conn.execute(SET_SKILL, {"id": ticket_id, "skill": skill})


async def add_message(conn: Connection, values: Mapping[str, Any]) -> int | None:
    row = await (await conn.execute(ADD_MESSAGE, values)).fetchone()
    return row[0] if row else None


async def messages(conn: Connection, ticket_id: int, limit: int) -> list[Message]:
    """The newest ``limit`` messages, oldest first."""
    cursor = conn.cursor(row_factory=class_row(Message))
    return await (await cursor.execute(MESSAGES, {"id": ticket_id, "limit": limit})).fetchall()


async def add_change(
    conn: Connection, ticket_id: int, member_id: int | None, kind: str, details: Mapping[str, Any]
) -> None:
    values = {"ticket_id": ticket_id, "member_id": member_id, "kind": kind, "details": Jsonb(dict(details))}
    await conn.execute(ADD_CHANGE, values)


async def changes(conn: Connection, ticket_id: int, limit: int) -> list[Change]:
    cursor = conn.cursor(row_factory=class_row(Change))
    return await (await cursor.execute(CHANGES, {"id": ticket_id, "limit": limit})).fetchall()


async def add_time(conn: Connection, values: Mapping[str, Any]) -> int | None:
    row = await (await conn.execute(ADD_TIME, values)).fetchone()
    return row[0] if row else None


async def times(conn: Connection, ticket_id: int) -> list[TimeEntry]:
    cursor = conn.cursor(row_factory=class_row(TimeEntry))
    return await (await cursor.execute(TIMES, {"id": ticket_id})).fetchall()


async def add_collaborator(conn: Connection, ticket_id: int, member_id: int, added_by: int) -> bool:
    values = {"ticket_id": ticket_id, "member_id": member_id, "added_by": added_by}
    return (await conn.execute(ADD_COLLABORATOR, values)).rowcount == 1


async def remove_collaborator(conn: Connection, ticket_id: int, member_id: int) -> bool:
    values = {"ticket_id": ticket_id, "member_id": member_id}
    return (await conn.execute(REMOVE_COLLABORATOR, values)).rowcount == 1


async def collaborators(conn: Connection, ticket_id: int) -> list[Collaborator]:
    cursor = conn.cursor(row_factory=class_row(Collaborator))
    return await (await cursor.execute(COLLABORATORS, {"id": ticket_id})).fetchall()


async def seen(conn: Connection, ticket_id: int, member_id: int, *, typing: bool, sent: bool = False) -> None:
    """``sent``: what was typed is sent, so nothing is being typed now; else typing ends by itself after a while."""
    values = {"ticket_id": ticket_id, "member_id": member_id, "typing": typing, "sent": sent}
    await conn.execute(SEEN, values)


async def present(conn: Connection, ticket_id: int, *, presence: Any, typing: Any) -> list[Present]:  # noqa: ANN401 - intervals
    cursor = conn.cursor(row_factory=class_row(Present))
    values = {"id": ticket_id, "presence": presence, "typing": typing}
    return await (await cursor.execute(PRESENT, values)).fetchall()
