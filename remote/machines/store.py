"""All SQL about machines, their enrolment and their history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from compagnon.db import Connection
from remote.machines.model import (
    Arrival,
    EnrolmentCode,
    Machine,
    MachineEvent,
    MachineFilter,
    MachineState,
    Reported,
)

# A server that was killed leaves `online` behind: its machines are offline when it was not heard of for a while.
ONLINE = """
(m.online AND EXISTS (SELECT FROM agent_nodes n WHERE n.id = m.node AND n.alive_at > now() - interval '45 seconds'))
"""
COLUMNS = f"""
m.id, m.name, m.client_id, c.name AS client_name, m.site_id, m.environment, m.state,
coalesce(m.public_key, ''::bytea) AS public_key, m.kind, m.hostname, m.os,
m.agent_version, m.capabilities, {ONLINE} AS online,
greatest(m.last_seen_at, (SELECT n.alive_at FROM agent_nodes n WHERE m.online AND n.id = m.node)) AS last_seen_at,
m.checked_at, m.failing, m.waived, m.enrolled_at, m.approved_at, m.approved_by, m.revoked_at
"""  # noqa: S608 - constants
FROM = "FROM machines m JOIN clients c ON c.id = m.client_id"
GET = f"SELECT {COLUMNS} {FROM} WHERE m.id = %(id)s"
BY_KEY = f"SELECT {COLUMNS} {FROM} WHERE m.public_key = %(key)s"
FOR_CLIENT = f"""
SELECT {COLUMNS} {FROM} WHERE m.client_id = %(client_id)s AND m.state <> 'revoked' ORDER BY m.name, m.id LIMIT 500
"""
LIST = f"""
SELECT {COLUMNS} {FROM}
WHERE (%(client_id)s::bigint IS NULL OR m.client_id = %(client_id)s)
  AND (%(environment)s::text IS NULL OR m.environment = %(environment)s)
  AND (CASE WHEN %(state)s::text IS NULL THEN m.state <> 'revoked' ELSE m.state = %(state)s END)
  AND (NOT %(drifting)s OR m.failing > 0)
  AND (%(online)s::boolean IS NULL OR m.kind = 'agent' AND {ONLINE} IS NOT DISTINCT FROM %(online)s)
  AND (%(text)s = '' OR lower(m.name || ' ' || m.hostname) LIKE %(like)s OR lower(c.name) LIKE %(like)s)
  AND (%(after_name)s::text IS NULL OR (lower(m.name), m.id) > (%(after_name)s, %(after_id)s))
ORDER BY lower(m.name), m.id LIMIT %(limit)s
"""  # noqa: S608 - constants
COUNTS = f"""
SELECT count(*) FILTER (WHERE state = 'approved') AS approved,
       count(*) FILTER (WHERE state = 'pending') AS pending,
       count(*) FILTER (WHERE state = 'approved' AND failing > 0) AS drifting,
       count(*) FILTER (WHERE state = 'approved' AND kind = 'agent' AND NOT {ONLINE}) AS offline
FROM machines m
"""  # noqa: S608 - constants
REPORTED = "SELECT facts, facts_at, policy, audit_head, audit_head_at FROM machines WHERE id = %(id)s"
ADD = """
INSERT INTO machines (name, client_id, site_id, environment, public_key, hostname, os, agent_version, capabilities)
VALUES (%(name)s, %(client_id)s, %(site_id)s, %(environment)s, %(public_key)s, %(hostname)s, %(os)s, %(version)s,
        %(capabilities)s) RETURNING id
"""
APPROVE = """
UPDATE machines SET state = 'approved', approved_at = now(), approved_by = %(member_id)s, name = %(name)s,
       site_id = %(site_id)s, environment = %(environment)s
WHERE id = %(id)s AND state = 'pending'
"""
REVOKE = "UPDATE machines SET state = 'revoked', revoked_at = now() WHERE id = %(id)s AND state = %(old)s"
RENAME = "UPDATE machines SET name = %(name)s WHERE id = %(id)s AND name <> %(name)s AND state <> 'revoked'"
DECLARE = """
UPDATE machines SET environment = %(environment)s, failing = 0, waived = 0, checked_at = NULL
WHERE id = %(id)s AND state <> 'revoked' AND environment IS DISTINCT FROM %(environment)s
"""
# Whatever changes several machines locks them in the order of their ids: two of these never wait for each other.
ARRIVED = """
UPDATE machines m SET online = true, node = %(node)s, last_seen_at = now(), agent_version = r.version,
    capabilities = ARRAY(SELECT jsonb_array_elements_text(r.capabilities))
FROM jsonb_to_recordset(%(rows)s) AS r(id bigint, version text, capabilities jsonb)
WHERE m.id = r.id AND m.state <> 'revoked'
    AND m.id IN (SELECT id FROM machines WHERE id = ANY(%(ids)s) ORDER BY id FOR UPDATE)
RETURNING m.id, m.state
"""
MANY = f"SELECT {COLUMNS} {FROM} WHERE m.id = ANY(%(ids)s)"
DISCONNECTED = """
UPDATE machines SET online = false, last_seen_at = now()
WHERE id IN (SELECT id FROM machines WHERE id = ANY(%(ids)s) ORDER BY id FOR UPDATE) AND online AND node = %(node)s
RETURNING id
"""
ALIVE = """
INSERT INTO agent_nodes (id) VALUES (%(node)s) ON CONFLICT (id) DO UPDATE SET alive_at = now()
"""
# What a server that is gone has left behind, by one that is there; whoever just arrives somewhere is left to that.
LEFT_BEHIND = """
UPDATE machines m SET online = false, last_seen_at = greatest(m.last_seen_at, old.alive_at)
FROM (
    SELECT m.id, n.alive_at FROM machines m JOIN agent_nodes n ON n.id = m.node
    WHERE m.online AND n.alive_at < now() - interval '45 seconds' FOR UPDATE OF m SKIP LOCKED
) old WHERE m.id = old.id
"""
FORGET_NODES = """
DELETE FROM agent_nodes n WHERE alive_at < now() - interval '1 hour'
"""
GONE = """
WITH gone AS (DELETE FROM agent_nodes WHERE id = %(node)s)
UPDATE machines SET online = false, last_seen_at = now()
WHERE id IN (SELECT id FROM machines WHERE node = %(node)s AND online ORDER BY id FOR UPDATE)
"""
NOT_SEEN = f"""
SELECT count(*) FROM machines m WHERE m.state = 'approved' AND NOT {ONLINE}
    AND (m.last_seen_at IS NULL OR m.last_seen_at < %(since)s)
"""  # noqa: S608 - constants
CHANGE_KEY = (
    "UPDATE machines SET public_key = %(new)s WHERE id = %(id)s AND public_key = %(old)s AND state = 'approved'"
)
DECIDED = """
SELECT id FROM machines WHERE greatest(approved_at, revoked_at) > now() - interval '5 minutes' ORDER BY id LIMIT 10000
"""
FACTS = "UPDATE machines SET facts = %(facts)s, facts_at = %(at)s WHERE id = %(id)s"
POLICY = "UPDATE machines SET policy = %(policy)s WHERE id = %(id)s AND policy <> %(policy)s"

ADD_CODE = """
INSERT INTO enrolment_codes (digest, client_id, site_id, environment, created_by, expires_at)
VALUES (%(digest)s, %(client_id)s, %(site_id)s, %(environment)s, %(member_id)s, %(expires_at)s)
"""
TAKE_CODE = """
UPDATE enrolment_codes SET used_at = now()
WHERE digest = %(digest)s AND used_at IS NULL AND expires_at > now()
RETURNING id, client_id, site_id, environment, created_by, created_at, expires_at, used_at, machine_id
"""
# The answer to an enrolment may be lost on its way: the same agent with the same code is then told again.
REPEATED = """
SELECT m.id FROM enrolment_codes e JOIN machines m ON m.id = e.machine_id
WHERE e.digest = %(digest)s AND m.public_key = %(public_key)s AND e.expires_at > now() AND m.state = 'pending'
"""
CODE_MACHINE = "UPDATE enrolment_codes SET machine_id = %(machine_id)s WHERE id = %(id)s"
FORGET_CODES = "DELETE FROM enrolment_codes WHERE used_at IS NULL AND expires_at < now() - interval '1 day'"
FAILED = "INSERT INTO enrolment_failures (address) VALUES (%(address)s)"
FORGET_FAILURES = "DELETE FROM enrolment_failures WHERE at < now() - interval '15 minutes'"
FAILURES = """
SELECT count(*) FILTER (WHERE address = %(address)s), count(*) FROM enrolment_failures
WHERE at > now() - interval '15 minutes'
"""
ADD_EVENT = """
INSERT INTO machine_events (machine_id, kind, member_id, subject, detail)
VALUES (%(machine_id)s, %(kind)s, %(member_id)s, %(subject)s, %(detail)s)
"""
EVENTS = """
SELECT e.id, e.at, e.kind, e.member_id, p.name AS member_name, e.subject, e.detail
FROM machine_events e LEFT JOIN members p ON p.id = e.member_id
WHERE e.machine_id = %(machine_id)s AND starts_with(e.kind, 'fact_') = %(facts)s ORDER BY e.id DESC LIMIT %(limit)s
"""


async def get(conn: Connection, machine_id: int) -> Machine | None:
    return await _one(conn, GET, {"id": machine_id})


async def by_key(conn: Connection, public_key: bytes) -> Machine | None:
    return await _one(conn, BY_KEY, {"key": public_key})


async def _one(conn: Connection, query: str, values: Mapping[str, Any]) -> Machine | None:
    async with conn.cursor(row_factory=class_row(Machine)) as cursor:
        await cursor.execute(query, values)
        return await cursor.fetchone()


async def _many(conn: Connection, query: str, values: Mapping[str, Any]) -> list[Machine]:
    async with conn.cursor(row_factory=class_row(Machine)) as cursor:
        await cursor.execute(query, values)
        return await cursor.fetchall()


async def for_client(conn: Connection, client_id: int) -> list[Machine]:
    return await _many(conn, FOR_CLIENT, {"client_id": client_id})


async def listed(conn: Connection, wanted: MachineFilter) -> list[Machine]:
    after_name, after_id = wanted.after or (None, None)
    values = {
        "client_id": wanted.client_id,
        "environment": wanted.environment,
        "state": wanted.state,
        "drifting": wanted.drifting,
        "online": wanted.online,
        "text": wanted.text,
        "like": like(wanted.text),
        "after_name": after_name,
        "after_id": after_id,
        "limit": wanted.limit,
    }
    return await _many(conn, LIST, values)


def like(text: str) -> str:
    """A pattern that finds ``text`` anywhere, its own wildcards taken literally."""
    escaped = text.lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


async def counts(conn: Connection) -> dict[str, int]:
    row = await (await conn.execute(COUNTS)).fetchone()
    return dict(zip(("approved", "pending", "drifting", "offline"), row or (0, 0, 0, 0), strict=True))


async def reported(conn: Connection, machine_id: int) -> Reported | None:
    async with conn.cursor(row_factory=class_row(Reported)) as cursor:
        await cursor.execute(REPORTED, {"id": machine_id})
        return await cursor.fetchone()


async def add(conn: Connection, values: Mapping[str, Any]) -> int:
    row = await (await conn.execute(ADD, values)).fetchone()
    assert row is not None
    return int(row[0])


async def approve(
    conn: Connection, machine_id: int, *, member_id: int, name: str, site_id: int | None, environment: str | None
) -> bool:
    values = {"id": machine_id, "member_id": member_id, "name": name, "site_id": site_id, "environment": environment}
    return (await conn.execute(APPROVE, values)).rowcount == 1


async def revoke(conn: Connection, machine_id: int, old: MachineState) -> bool:
    return (await conn.execute(REVOKE, {"id": machine_id, "old": old})).rowcount == 1


async def rename(conn: Connection, machine_id: int, name: str) -> bool:
    return (await conn.execute(RENAME, {"id": machine_id, "name": name})).rowcount == 1


async def declare(conn: Connection, machine_id: int, environment: str | None) -> bool:
    return (await conn.execute(DECLARE, {"id": machine_id, "environment": environment})).rowcount == 1


async def many(conn: Connection, machine_ids: Sequence[int]) -> dict[int, Machine]:
    return {machine.id: machine for machine in await _many(conn, MANY, {"ids": list(machine_ids)})}


async def arrived(conn: Connection, node: str, arrivals: Sequence[Arrival]) -> dict[int, MachineState]:
    """Their agents are connected to this node. Each one's state; machines that are revoked are not among them."""
    rows = [{"id": one.id, "version": one.version, "capabilities": list(one.capabilities)} for one in arrivals]
    values = {"node": node, "rows": Jsonb(rows), "ids": [one.id for one in arrivals]}
    found = await (await conn.execute(ARRIVED, values)).fetchall()
    return {machine_id: MachineState(state) for machine_id, state in found}


async def disconnected(conn: Connection, machine_ids: Sequence[int], node: str) -> list[int]:
    """Those of them that are not connected to another node by now."""
    rows = await (await conn.execute(DISCONNECTED, {"ids": list(machine_ids), "node": node})).fetchall()
    return sorted(row[0] for row in rows)


async def alive(conn: Connection, node: str) -> None:
    """Vouch for this node and every machine that is connected to it; whom others left behind is offline."""
    await conn.execute(ALIVE, {"node": node})
    await conn.execute(LEFT_BEHIND)
    await conn.execute(FORGET_NODES)


async def gone(conn: Connection, node: str) -> None:
    """The node stops."""
    await conn.execute(GONE, {"node": node})


async def not_seen_since(conn: Connection, since: datetime) -> int:
    row = await (await conn.execute(NOT_SEEN, {"since": since})).fetchone()
    return int(row[0]) if row else 0


async def change_key(conn: Connection, machine_id: int, *, old: bytes, new: bytes) -> bool:
    """False when the machine is not known by the old key any more. Raises UniqueViolation (machines_public_key)."""
    return (await conn.execute(CHANGE_KEY, {"id": machine_id, "old": old, "new": new})).rowcount == 1


async def decided(conn: Connection) -> set[int]:
    """Machines that were approved or revoked in the last minutes, by whichever server process."""
    return {row[0] for row in await (await conn.execute(DECIDED)).fetchall()}


async def keep_facts(conn: Connection, machine_id: int, facts: Mapping[str, Any], at: datetime) -> None:
    await conn.execute(FACTS, {"id": machine_id, "facts": Jsonb(dict(facts)), "at": at})


async def keep_policy(conn: Connection, machine_id: int, policy: Mapping[str, Any]) -> bool:
    """True when it is not the one that was known."""
    return (await conn.execute(POLICY, {"id": machine_id, "policy": Jsonb(dict(policy))})).rowcount == 1


async def add_code(conn: Connection, values: Mapping[str, Any]) -> None:
    await conn.execute(FORGET_CODES)
    await conn.execute(ADD_CODE, values)


async def take_code(conn: Connection, digest: bytes) -> EnrolmentCode | None:
    """Use a code up; None when it is unknown, used or out of time."""
    async with conn.cursor(row_factory=class_row(EnrolmentCode)) as cursor:
        await cursor.execute(TAKE_CODE, {"digest": digest})
        return await cursor.fetchone()


async def enrolled_already(conn: Connection, digest: bytes, public_key: bytes) -> int | None:
    row = await (await conn.execute(REPEATED, {"digest": digest, "public_key": public_key})).fetchone()
    return int(row[0]) if row else None


async def code_machine(conn: Connection, code_id: int, machine_id: int) -> None:
    await conn.execute(CODE_MACHINE, {"id": code_id, "machine_id": machine_id})


async def failed(conn: Connection, address: str) -> None:
    await conn.execute(FORGET_FAILURES)
    await conn.execute(FAILED, {"address": address[:64]})


async def failures(conn: Connection, address: str) -> tuple[int, int]:
    """Wrong codes in the last 15 minutes: from this address, from everywhere."""
    row = await (await conn.execute(FAILURES, {"address": address[:64]})).fetchone()
    return (int(row[0]), int(row[1])) if row else (0, 0)


async def add_event(
    conn: Connection, machine_id: int, kind: str, *, member_id: int | None = None, subject: str = "", detail: str = ""
) -> None:
    values = {"machine_id": machine_id, "kind": kind, "member_id": member_id}
    await conn.execute(ADD_EVENT, values | {"subject": subject[:300], "detail": detail[:1000]})


async def events(conn: Connection, machine_id: int, limit: int, *, facts: bool) -> list[MachineEvent]:
    """``facts``: those about what changed by itself (their kinds begin with ``fact_``), or all others."""
    async with conn.cursor(row_factory=class_row(MachineEvent)) as cursor:
        await cursor.execute(EVENTS, {"machine_id": machine_id, "limit": limit, "facts": facts})
        return await cursor.fetchall()
