"""All SQL about releases of the agent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from psycopg.rows import class_row

from compagnon.db import Connection
from remote.releases.model import Offered, Outcome, Release, RolloutState, VersionCount

KEY = "SELECT public_key FROM agent_release_keys ORDER BY id DESC LIMIT 1"
ADD_KEY = "INSERT INTO agent_release_keys (public_key, trusted_by) VALUES (%(key)s, %(member_id)s)"
COLUMNS = """
r.id, r.counter, r.version, r.state, r.share, r.expires_at, r.published_at, p.name AS publisher,
count(o.machine_id) FILTER (WHERE o.state = 'trial') AS trying,
count(o.machine_id) FILTER (WHERE o.state = 'confirmed') AS confirmed,
count(o.machine_id) FILTER (WHERE o.state = 'refused') AS refused,
count(o.machine_id) FILTER (WHERE o.state = 'rolled_back') AS rolled_back
"""
FROM = """
FROM agent_releases r JOIN members p ON p.id = r.published_by LEFT JOIN agent_release_results o ON o.release_id = r.id
"""
LISTED = f"SELECT {COLUMNS} {FROM} GROUP BY r.id, p.name ORDER BY r.counter DESC LIMIT 50"
GET = f"SELECT {COLUMNS} {FROM} WHERE r.id = %(id)s GROUP BY r.id, p.name"
NEWEST = "SELECT coalesce(max(counter), 0) FROM agent_releases"
ADD = """
INSERT INTO agent_releases
    (counter, version, manifest, signature, sha256, content, share, expires_at, published_by)
VALUES (%(counter)s, %(version)s, %(manifest)s, %(signature)s, %(sha256)s, %(content)s, %(share)s, %(expires)s,
        %(member_id)s)
RETURNING id
"""
ROLL_OUT = """
UPDATE agent_releases SET state = %(state)s, share = %(share)s
WHERE id = %(id)s AND state = %(old_state)s AND share = %(old_share)s
"""
OFFERED = """
SELECT counter, share, manifest, signature FROM agent_releases
WHERE state = 'published' AND share > 0 AND counter > %(counter)s AND expires_at > now()
ORDER BY counter DESC LIMIT 20
"""
FILE = """
SELECT content FROM agent_releases WHERE sha256 = %(sha256)s AND state = 'published' AND expires_at > now() LIMIT 1
"""
RESULT = """
INSERT INTO agent_release_results AS old (release_id, machine_id, state, reason)
SELECT id, %(machine_id)s, %(state)s, %(reason)s FROM agent_releases WHERE counter = %(counter)s
ON CONFLICT (release_id, machine_id) DO UPDATE SET state = excluded.state, reason = excluded.reason, at = now()
    WHERE (old.state, old.reason) <> (excluded.state, excluded.reason)
RETURNING release_id
"""
OUTCOMES = """
SELECT o.machine_id, m.name AS machine_name, c.name AS client_name, m.agent_version, o.state, o.reason, o.at
FROM agent_release_results o JOIN machines m ON m.id = o.machine_id JOIN clients c ON c.id = m.client_id
WHERE o.release_id = %(id)s ORDER BY o.state = 'confirmed', o.at DESC LIMIT 200
"""
VERSIONS = """
SELECT agent_version AS version, count(*) AS machines FROM machines WHERE state = 'approved'
GROUP BY agent_version ORDER BY count(*) DESC, agent_version LIMIT 30
"""


async def key(conn: Connection) -> bytes | None:
    row = await (await conn.execute(KEY)).fetchone()
    return bytes(row[0]) if row else None


async def add_key(conn: Connection, public_key: bytes, member_id: int) -> None:
    await conn.execute(ADD_KEY, {"key": public_key, "member_id": member_id})


async def listed(conn: Connection) -> list[Release]:
    async with conn.cursor(row_factory=class_row(Release)) as cursor:
        await cursor.execute(LISTED)
        return await cursor.fetchall()


async def get(conn: Connection, release_id: int) -> Release | None:
    async with conn.cursor(row_factory=class_row(Release)) as cursor:
        await cursor.execute(GET, {"id": release_id})
        return await cursor.fetchone()


async def newest(conn: Connection) -> int:
    row = await (await conn.execute(NEWEST)).fetchone()
    return int(row[0]) if row else 0


async def add(conn: Connection, values: Mapping[str, Any]) -> int:
    row = await (await conn.execute(ADD, values)).fetchone()
    assert row is not None
    return int(row[0])


async def roll_out(conn: Connection, old: Release, *, state: RolloutState, share: int) -> bool:
    values = {"id": old.id, "state": state, "share": share, "old_state": old.state, "old_share": old.share}
    return (await conn.execute(ROLL_OUT, values)).rowcount == 1


async def offered(conn: Connection, counter: int) -> list[Offered]:
    async with conn.cursor(row_factory=class_row(Offered)) as cursor:
        await cursor.execute(OFFERED, {"counter": counter})
        return await cursor.fetchall()


async def file(conn: Connection, sha256: bytes) -> bytes | None:
    row = await (await conn.execute(FILE, {"sha256": sha256})).fetchone()
    return bytes(row[0]) if row else None


async def keep_result(conn: Connection, *, machine_id: int, counter: int, state: str, reason: str) -> int | None:
    """The release's id when this is news, None when it was known or there is no such release."""
    values = {"machine_id": machine_id, "counter": counter, "state": state, "reason": reason}
    row = await (await conn.execute(RESULT, values)).fetchone()
    return int(row[0]) if row else None


async def outcomes(conn: Connection, release_id: int) -> list[Outcome]:
    async with conn.cursor(row_factory=class_row(Outcome)) as cursor:
        await cursor.execute(OUTCOMES, {"id": release_id})
        return await cursor.fetchall()


async def versions(conn: Connection) -> list[VersionCount]:
    async with conn.cursor(row_factory=class_row(VersionCount)) as cursor:
        await cursor.execute(VERSIONS)
        return await cursor.fetchall()
