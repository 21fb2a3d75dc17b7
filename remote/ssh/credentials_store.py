"""All SQL about credentials and the keys that seal them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg.rows import class_row

from compagnon.db import Connection
from remote.ssh.model import Credential, CredentialKind
from remote.ssh.sealing import WrappedKey

COLUMNS = """
SELECT k.id, k.client_id, k.kind, k.name, k.public_key, p.name AS created_by_name, k.created_at,
       (SELECT count(*) FROM ssh_devices d JOIN machines m ON m.id = d.machine_id
        WHERE d.credential_id = k.id AND m.state <> 'revoked') AS devices
FROM ssh_credentials k JOIN members p ON p.id = k.created_by
"""
FOR_CLIENT = f"{COLUMNS} WHERE k.client_id = %(client_id)s AND k.removed_at IS NULL ORDER BY lower(k.name)"
GET = f"{COLUMNS} WHERE k.id = %(id)s AND k.removed_at IS NULL"
ADD = """
INSERT INTO ssh_credentials (client_id, kind, name, public_key, seal, data_key_id, sealed, created_by)
VALUES (%(client_id)s, %(kind)s, %(name)s, %(public_key)s, %(seal)s, %(data_key_id)s, %(sealed)s, %(member_id)s)
RETURNING id
"""
REMOVE = """
UPDATE ssh_credentials SET removed_at = now(), sealed = NULL, data_key_id = NULL
WHERE id = %(id)s AND removed_at IS NULL
"""
UNUSE = "UPDATE ssh_devices SET credential_id = NULL WHERE credential_id = %(id)s"
SEALED = """
SELECT id, client_id, kind, seal, data_key_id, sealed FROM ssh_credentials
WHERE removed_at IS NULL AND (id = %(id)s::bigint OR client_id = %(client_id)s::bigint) ORDER BY id FOR UPDATE
"""
RESEAL = """
UPDATE ssh_credentials SET sealed = %(sealed)s, data_key_id = %(data_key_id)s
WHERE id = %(id)s AND removed_at IS NULL
"""
DATA_KEY = "SELECT id, client_id, version, wrapped_by, wrapped FROM ssh_data_keys WHERE id = %(id)s"
NEWEST = """
SELECT id, client_id, version, wrapped_by, wrapped FROM ssh_data_keys WHERE client_id = %(client_id)s
ORDER BY version DESC LIMIT 1
"""
ADD_KEY = """
INSERT INTO ssh_data_keys (client_id, version, wrapped_by, wrapped)
VALUES (%(client_id)s, %(version)s, %(wrapped_by)s, %(wrapped)s)
RETURNING id, client_id, version, wrapped_by, wrapped
"""
FORGET_KEYS = """
DELETE FROM ssh_data_keys k WHERE k.client_id = %(client_id)s AND k.id <> %(keep)s
AND NOT EXISTS (SELECT FROM ssh_credentials c WHERE c.data_key_id = k.id)
"""
LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('ssh data key ' || %(client_id)s, 0))"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    id: int
    client_id: int
    kind: CredentialKind
    seal: UUID
    data_key_id: int
    sealed: bytes

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", CredentialKind(self.kind))


async def _keys(conn: Connection, query: str, values: dict[str, Any]) -> WrappedKey | None:
    async with conn.cursor(row_factory=class_row(WrappedKey)) as cursor:
        await cursor.execute(query, values)
        return await cursor.fetchone()


async def for_client(conn: Connection, client_id: int) -> list[Credential]:
    async with conn.cursor(row_factory=class_row(Credential)) as cursor:
        await cursor.execute(FOR_CLIENT, {"client_id": client_id})
        return await cursor.fetchall()


async def get(conn: Connection, credential_id: int) -> Credential | None:
    async with conn.cursor(row_factory=class_row(Credential)) as cursor:
        await cursor.execute(GET, {"id": credential_id})
        return await cursor.fetchone()


async def add(conn: Connection, values: dict[str, Any]) -> int:
    row = await (await conn.execute(ADD, values)).fetchone()
    assert row is not None
    return int(row[0])


async def remove(conn: Connection, credential_id: int) -> bool:
    """What was sealed is gone with it, and no device uses it any more."""
    await conn.execute(UNUSE, {"id": credential_id})
    return (await conn.execute(REMOVE, {"id": credential_id})).rowcount == 1


async def sealed(conn: Connection, *, credential_id: int | None = None, client_id: int | None = None) -> list[Sealed]:
    """One credential, or all of a client; locked until the transaction ends."""
    async with conn.cursor(row_factory=class_row(Sealed)) as cursor:
        await cursor.execute(SEALED, {"id": credential_id, "client_id": client_id})
        return await cursor.fetchall()


async def reseal(conn: Connection, credential_id: int, data_key_id: int, sealed_: bytes) -> None:
    await conn.execute(RESEAL, {"id": credential_id, "data_key_id": data_key_id, "sealed": sealed_})


async def data_key(conn: Connection, key_id: int) -> WrappedKey | None:
    return await _keys(conn, DATA_KEY, {"id": key_id})


async def newest_key(conn: Connection, client_id: int) -> WrappedKey | None:
    """The client's newest data key; nobody else makes one until the transaction ends."""
    await conn.execute(LOCK, {"client_id": client_id})
    return await _keys(conn, NEWEST, {"client_id": client_id})


async def add_key(conn: Connection, client_id: int, version: int, wrapped_by: str, wrapped: bytes) -> WrappedKey:
    values = {"client_id": client_id, "version": version, "wrapped_by": wrapped_by, "wrapped": wrapped}
    found = await _keys(conn, ADD_KEY, values)
    assert found is not None
    return found


async def forget_keys(conn: Connection, client_id: int, keep: int) -> None:
    """Data keys that seal nothing any more."""
    await conn.execute(FORGET_KEYS, {"client_id": client_id, "keep": keep})
