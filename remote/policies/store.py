"""All SQL about proposed consent policies."""

from __future__ import annotations

from typing import Any

from psycopg.rows import class_row

from compagnon.db import Connection
from remote.policies.model import PolicyVersion

COLUMNS = """
v.client_id, v.version, v.attendance, v.capabilities, v.procedures, v.hours, v.days, v.words, v.client_name, v.digest,
p.name AS created_by, v.created_at
"""
VERSIONS = f"""
SELECT {COLUMNS} FROM client_policies v JOIN members p ON p.id = v.created_by
WHERE v.client_id = %(client_id)s ORDER BY v.version DESC LIMIT 50
"""  # noqa: S608 - constant
ADD = """
INSERT INTO client_policies
    (client_id, version, attendance, capabilities, procedures, hours, days, words, client_name, digest, created_by)
VALUES (%(client_id)s, %(version)s, %(attendance)s, %(capabilities)s, %(procedures)s, %(hours)s, %(days)s, %(words)s,
    %(client_name)s, %(digest)s, %(member_id)s)
ON CONFLICT (client_id, version) DO NOTHING
"""
MACHINES = """
SELECT id, name, online, policy -> 'agreement' FROM machines
WHERE client_id = %(client_id)s AND state = 'approved' ORDER BY name, id LIMIT 200
"""


async def versions(conn: Connection, client_id: int) -> list[PolicyVersion]:
    """Newest first."""
    async with conn.cursor(row_factory=class_row(PolicyVersion)) as cursor:
        await cursor.execute(VERSIONS, {"client_id": client_id})
        return await cursor.fetchall()


async def add(conn: Connection, values: dict[str, object]) -> bool:
    """False when somebody else wrote this version meanwhile."""
    return (await conn.execute(ADD, values)).rowcount == 1


async def machines(conn: Connection, client_id: int) -> list[tuple[int, str, bool, dict[str, Any] | None]]:
    """Id, name, whether it is online, and what its agent told of an agreement."""
    return await (await conn.execute(MACHINES, {"client_id": client_id})).fetchall()
