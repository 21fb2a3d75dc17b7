"""All SQL about devices, the keys they show, and the consents that members wrote down for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg.rows import class_row

from compagnon.db import Connection
from remote.ssh.model import Consent, Device, HostKey, HostKeyState

DEVICE = """
SELECT d.machine_id, m.name, m.client_id, c.name AS client_name, d.kind, d.host, d.port,
       d.username, d.via_machine_id, v.name AS via_name, d.credential_id, d.notes, d.answered_at, d.trouble
FROM ssh_devices d JOIN machines m ON m.id = d.machine_id JOIN clients c ON c.id = m.client_id
LEFT JOIN machines v ON v.id = d.via_machine_id
"""
GET = f"{DEVICE} WHERE d.machine_id = %(id)s"
FOR_CLIENT = f"{DEVICE} WHERE m.client_id = %(client_id)s AND m.state <> 'revoked' ORDER BY m.name, m.id LIMIT 500"
READY = "SELECT d.machine_id FROM ssh_devices d JOIN machines m ON m.id = d.machine_id WHERE m.state = 'approved'"
ADD_MACHINE = """
INSERT INTO machines (name, client_id, site_id, environment, kind, state, approved_at, approved_by, hostname, os,
                      agent_version, capabilities)
VALUES (%(name)s, %(client_id)s, %(site_id)s, %(environment)s, 'device', 'approved', now(), %(member_id)s, %(host)s, '',
        '', %(capabilities)s) RETURNING id
"""
ADD = """
INSERT INTO ssh_devices (machine_id, kind, host, port, username, via_machine_id, credential_id, notes)
VALUES (%(machine_id)s, %(kind)s, %(host)s, %(port)s, %(username)s, %(via_machine_id)s, %(credential_id)s, %(notes)s)
"""
CHANGE = """
UPDATE ssh_devices SET kind = %(kind)s, host = %(host)s, port = %(port)s, username = %(username)s,
       via_machine_id = %(via_machine_id)s, credential_id = %(credential_id)s, notes = %(notes)s
WHERE machine_id = %(machine_id)s
"""
RENAME = "UPDATE machines SET name = %(name)s, hostname = %(host)s WHERE id = %(machine_id)s AND state = 'approved'"
ANSWERED = "UPDATE ssh_devices SET answered_at = now(), trouble = '' WHERE machine_id = %(id)s"
TROUBLE = "UPDATE ssh_devices SET trouble = %(trouble)s WHERE machine_id = %(id)s AND trouble <> %(trouble)s"
KEY = """
SELECT k.id, k.machine_id, k.algorithm, k.public_key, k.state, k.seen_at, k.proposed_by, p.name AS proposed_by_name,
       k.proposed_at, k.reason, k.decided_by, d.name AS decided_by_name, k.decided_at
FROM ssh_host_keys k LEFT JOIN members p ON p.id = k.proposed_by LEFT JOIN members d ON d.id = k.decided_by
"""
KEYS = f"{KEY} WHERE k.machine_id = %(id)s ORDER BY k.id DESC LIMIT 50"
TRUSTED = f"{KEY} WHERE k.machine_id = %(id)s AND k.state = 'trusted'"
# The same key shown again changes nothing; another one takes the place of what was only seen.
FORGET_SEEN = """
DELETE FROM ssh_host_keys WHERE machine_id = %(machine_id)s AND state IN ('seen', 'proposed')
AND public_key <> %(public_key)s
"""
SEE = """
INSERT INTO ssh_host_keys (machine_id, algorithm, public_key, state)
VALUES (%(machine_id)s, %(algorithm)s, %(public_key)s, 'seen') ON CONFLICT DO NOTHING
"""
PROPOSE = """
UPDATE ssh_host_keys SET state = 'proposed', proposed_by = %(member_id)s, proposed_at = now(), reason = %(reason)s
WHERE id = %(id)s AND state = 'seen'
"""
REPLACE = "UPDATE ssh_host_keys SET state = 'replaced' WHERE machine_id = %(machine_id)s AND state = 'trusted'"
DECIDE = """
UPDATE ssh_host_keys SET state = %(new)s, decided_by = %(member_id)s, decided_at = now()
WHERE id = %(id)s AND state = %(old)s
"""
ADD_CONSENT = """
INSERT INTO ssh_consents (machine_id, ticket_id, kind, session_id, digest, values_digest, how, person, member_id, until)
VALUES (%(machine_id)s, %(ticket_id)s, %(kind)s, %(session_id)s, %(digest)s, %(values_digest)s, %(how)s, %(person)s,
        %(member_id)s, %(until)s)
"""
CONSENTS = """
SELECT id, machine_id, ticket_id, kind, session_id, digest, values_digest, how, person, member_id, until
FROM ssh_consents WHERE machine_id = %(machine_id)s AND ticket_id = %(ticket_id)s AND until > now() ORDER BY until DESC
"""


async def _devices(conn: Connection, query: str, values: Mapping[str, Any]) -> list[Device]:
    async with conn.cursor(row_factory=class_row(Device)) as cursor:
        await cursor.execute(query, values)
        return await cursor.fetchall()


async def get(conn: Connection, machine_id: int) -> Device | None:
    found = await _devices(conn, GET, {"id": machine_id})
    return found[0] if found else None


async def for_client(conn: Connection, client_id: int) -> list[Device]:
    return await _devices(conn, FOR_CLIENT, {"client_id": client_id})


async def ready(conn: Connection) -> list[int]:
    """The machines of all devices in use."""
    return [int(row[0]) for row in await (await conn.execute(READY)).fetchall()]


async def add(conn: Connection, machine: Mapping[str, Any], device: Mapping[str, Any]) -> int:
    row = await (await conn.execute(ADD_MACHINE, machine)).fetchone()
    assert row is not None
    await conn.execute(ADD, {**device, "machine_id": row[0]})
    return int(row[0])


async def change(conn: Connection, values: Mapping[str, Any]) -> bool:
    """False when the device is no longer in use."""
    if (await conn.execute(RENAME, values)).rowcount != 1:
        return False
    await conn.execute(CHANGE, values)
    return True


async def answered(conn: Connection, machine_id: int) -> None:
    await conn.execute(ANSWERED, {"id": machine_id})


async def troubled(conn: Connection, machine_id: int, trouble: str) -> bool:
    """Whether this is news."""
    return (await conn.execute(TROUBLE, {"id": machine_id, "trouble": trouble})).rowcount == 1


async def keys(conn: Connection, machine_id: int) -> list[HostKey]:
    """Newest first."""
    async with conn.cursor(row_factory=class_row(HostKey)) as cursor:
        await cursor.execute(KEYS, {"id": machine_id})
        return await cursor.fetchall()


async def trusted(conn: Connection, machine_id: int) -> HostKey | None:
    async with conn.cursor(row_factory=class_row(HostKey)) as cursor:
        await cursor.execute(TRUSTED, {"id": machine_id})
        return await cursor.fetchone()


async def see(conn: Connection, machine_id: int, algorithm: str, public_key: bytes) -> bool:
    """Keep a key that the device showed; False when it waits for a decision already."""
    values = {"machine_id": machine_id, "algorithm": algorithm, "public_key": public_key}
    await conn.execute(FORGET_SEEN, values)
    return (await conn.execute(SEE, values)).rowcount == 1


async def propose(conn: Connection, key_id: int, member_id: int, reason: str) -> bool:
    return (await conn.execute(PROPOSE, {"id": key_id, "member_id": member_id, "reason": reason})).rowcount == 1


async def trust(conn: Connection, key: HostKey, member_id: int) -> bool:
    """Compare-and-set; what was trusted before is replaced."""
    await conn.execute(REPLACE, {"machine_id": key.machine_id})
    return await decide(conn, key, member_id, HostKeyState.TRUSTED)


async def decide(conn: Connection, key: HostKey, member_id: int, new: HostKeyState) -> bool:
    values = {"id": key.id, "old": key.state, "new": new, "member_id": member_id}
    return (await conn.execute(DECIDE, values)).rowcount == 1


async def add_consent(conn: Connection, values: Mapping[str, Any]) -> None:
    await conn.execute(ADD_CONSENT, values)


async def consents(conn: Connection, machine_id: int, ticket_id: int) -> Sequence[Consent]:
    """Those that hold, the longest first."""
    async with conn.cursor(row_factory=class_row(Consent)) as cursor:
        await cursor.execute(CONSENTS, {"machine_id": machine_id, "ticket_id": ticket_id})
        return await cursor.fetchall()
