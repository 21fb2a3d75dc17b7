"""All SQL about machines' networks and the attempts to wake them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from compagnon.db import Connection
from compagnon_agent.protocol.waking import WAKE
from remote.machines.store import ONLINE
from remote.waking.model import ASKING, LATE, PATIENCE, Attempt, Lan, Neighbour

FORGET_LANS = "DELETE FROM machine_lans WHERE machine_id = %(machine_id)s"
KEEP_LANS = """
INSERT INTO machine_lans (machine_id, name, mac, network, wired)
SELECT %(machine_id)s, r.name, r.mac, r.network, r.wired
FROM jsonb_to_recordset(%(rows)s) AS r(name text, mac macaddr, network cidr, wired boolean)
"""
LANS = """
SELECT name, mac::text, network::text, wired FROM machine_lans WHERE machine_id = %(machine_id)s
ORDER BY NOT wired, name, mac, network
"""
NEIGHBOURS = f"""
SELECT m.id, m.name, m.site_id, {ONLINE} AS online,
       %(wake)s = ANY(m.capabilities) AND coalesce(m.policy -> 'sheet' ? %(wake)s, false) AS able,
       bool_or(l.wired) AS wired, array_agg(DISTINCT l.network::text) AS networks
FROM machines m JOIN machine_lans l ON l.machine_id = m.id
WHERE m.client_id = (SELECT client_id FROM machines WHERE id = %(machine_id)s)
  AND m.id <> %(machine_id)s AND m.state = 'approved' AND m.kind = 'agent'
  AND l.network IN (SELECT network FROM machine_lans WHERE machine_id = %(machine_id)s)
GROUP BY m.id ORDER BY m.name, m.id LIMIT 500
"""  # noqa: S608 - constants
SETTLE = """
UPDATE machine_wakings SET state = 'over'
WHERE machine_id = %(machine_id)s
  AND (state = 'sent' AND asked_at <= now() - %(patience)s OR state = 'asked' AND asked_at <= now() - %(asking)s)
"""
FORGET = "DELETE FROM machine_wakings WHERE machine_id = %(machine_id)s AND asked_at < now() - interval '90 days'"
BEGIN = """
INSERT INTO machine_wakings (machine_id, ticket_id, member_id) VALUES (%(machine_id)s, %(ticket_id)s, %(member_id)s)
ON CONFLICT (machine_id) WHERE state IN ('asked', 'sent') DO NOTHING RETURNING id
"""
SENT = "UPDATE machine_wakings SET state = 'sent', through = %(through)s WHERE id = %(id)s AND state = 'asked'"
FAILED = "UPDATE machine_wakings SET state = 'failed', reason = %(reason)s WHERE id = %(id)s AND state = 'asked'"
LAST = """
SELECT w.id, w.machine_id, w.ticket_id, w.member_id, p.name AS member_name, w.state, w.through, w.reason, w.asked_at,
       w.arrived_at, ARRAY(
           SELECT coalesce(m.name, '?') FROM unnest(w.through) WITH ORDINALITY AS t(id, place)
           LEFT JOIN machines m ON m.id = t.id ORDER BY t.place
       ) AS names
FROM machine_wakings w JOIN members p ON p.id = w.member_id
WHERE w.machine_id = %(machine_id)s ORDER BY w.id DESC LIMIT 1
"""
AWAITED = """
SELECT DISTINCT machine_id FROM machine_wakings WHERE machine_id = ANY(%(ids)s) AND state IN ('asked', 'sent')
"""
ARRIVED = """
UPDATE machine_wakings SET state = 'arrived', arrived_at = now()
WHERE machine_id = %(machine_id)s AND state IN ('asked', 'sent') AND asked_at > now() - %(late)s
RETURNING ticket_id, extract(epoch FROM now() - asked_at)::integer
"""


async def keep_lans(conn: Connection, machine_id: int, lans: Sequence[Lan]) -> None:
    await conn.execute(FORGET_LANS, {"machine_id": machine_id})
    rows = Jsonb([asdict(lan) for lan in lans])
    await conn.execute(KEEP_LANS, {"machine_id": machine_id, "rows": rows})


async def lans(conn: Connection, machine_id: int) -> list[Lan]:
    """With a cable first."""
    async with conn.cursor(row_factory=class_row(Lan)) as cursor:
        await cursor.execute(LANS, {"machine_id": machine_id})
        return await cursor.fetchall()


async def neighbours(conn: Connection, machine_id: int) -> list[Neighbour]:
    """Machines of the same client in one of its networks, connected or not, by name."""
    async with conn.cursor(row_factory=class_row(Neighbour)) as cursor:
        await cursor.execute(NEIGHBOURS, {"machine_id": machine_id, "wake": WAKE})
        return await cursor.fetchall()


async def awaited(conn: Connection, machine_ids: Sequence[int]) -> set[int]:
    """Those of these machines that somebody woke and that have not come yet."""
    return {row[0] for row in await (await conn.execute(AWAITED, {"ids": list(machine_ids)})).fetchall()}


async def begin(conn: Connection, machine_id: int, *, ticket_id: int, member_id: int) -> int | None:
    """None where an attempt is under way. What was waited for in vain is over first."""
    await conn.execute(FORGET, {"machine_id": machine_id})
    await conn.execute(SETTLE, {"machine_id": machine_id, "patience": PATIENCE, "asking": ASKING})
    values = {"machine_id": machine_id, "ticket_id": ticket_id, "member_id": member_id}
    row = await (await conn.execute(BEGIN, values)).fetchone()
    return int(row[0]) if row else None


async def sent(conn: Connection, attempt_id: int, through: Sequence[int]) -> bool:
    """False when the machine came meanwhile."""
    return (await conn.execute(SENT, {"id": attempt_id, "through": list(through)})).rowcount == 1


async def failed(conn: Connection, attempt_id: int, reason: str) -> bool:
    return (await conn.execute(FAILED, {"id": attempt_id, "reason": reason[:500]})).rowcount == 1


async def last(conn: Connection, machine_id: int) -> Attempt | None:
    async with conn.cursor(row_factory=class_row(Attempt)) as cursor:
        await cursor.execute(LAST, {"machine_id": machine_id})
        return await cursor.fetchone()


async def arrived(conn: Connection, machine_id: int) -> tuple[int, int] | None:
    """The ticket and the seconds since it was asked for; None where nobody waits for the machine."""
    row = await (await conn.execute(ARRIVED, {"machine_id": machine_id, "late": LATE})).fetchone()
    return (int(row[0]), int(row[1])) if row else None
