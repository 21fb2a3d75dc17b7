"""SQL of the sign-ins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from psycopg.rows import class_row

from compagnon.auth.model import Member, SignIn
from compagnon.auth.store import COLUMNS
from compagnon.db import Connection

SIGN_IN = "s.id, s.member_id, s.created_at, s.last_seen_at, s.expires_at, s.address, s.browser"
ALIVE = "s.expires_at > now() AND s.last_seen_at > now() - make_interval(mins => %(idle)s)"
OPEN = """
INSERT INTO sign_ins (token_hash, member_id, expires_at, address, browser)
VALUES (%(hash)s, %(member)s, now() + make_interval(hours => %(hours)s), %(address)s, %(browser)s)
"""
RESOLVE = f"""
SELECT {COLUMNS}, s.id, s.member_id, s.created_at, s.last_seen_at, s.expires_at, s.address, s.browser,
       s.last_seen_at < now() - interval '1 minute' AS stale
FROM sign_ins s JOIN members m ON m.id = s.member_id
WHERE s.token_hash = %(hash)s AND m.active AND {ALIVE}
"""  # noqa: S608 - constants
SEEN = "UPDATE sign_ins SET last_seen_at = now() WHERE id = %(id)s"
CLOSE = "DELETE FROM sign_ins WHERE token_hash = %(hash)s RETURNING member_id"
CLOSE_ONE = "DELETE FROM sign_ins WHERE id = %(id)s AND member_id = %(member)s"
CLOSE_ALL = "DELETE FROM sign_ins WHERE member_id = %(member)s"
FORGET = """
DELETE FROM sign_ins s WHERE s.expires_at <= now() OR s.last_seen_at <= now() - make_interval(mins => %(idle)s)
"""
LIST = f"SELECT {SIGN_IN} FROM sign_ins s WHERE s.member_id = %(member)s AND {ALIVE} ORDER BY s.last_seen_at DESC"  # noqa: S608
MEMBER_COLUMNS = len(Member.__slots__)


async def open_(conn: Connection, values: Mapping[str, Any]) -> None:
    await conn.execute(OPEN, values)


async def resolve(conn: Connection, token_hash: bytes, idle: int) -> tuple[Member, SignIn] | None:
    """Who holds this token, if anyone; notes at most once a minute that they were here."""
    cursor = await conn.execute(RESOLVE, {"hash": token_hash, "idle": idle})
    row = await cursor.fetchone()
    if row is None:
        return None
    names = [column.name for column in cursor.description or ()]
    member = Member(**dict(zip(names[:MEMBER_COLUMNS], row[:MEMBER_COLUMNS], strict=True)))
    sign_in = SignIn(**dict(zip(names[MEMBER_COLUMNS:-1], row[MEMBER_COLUMNS:-1], strict=True)))
    if row[-1]:
        await conn.execute(SEEN, {"id": sign_in.id})
    return member, sign_in


async def close(conn: Connection, token_hash: bytes) -> int | None:
    row = await (await conn.execute(CLOSE, {"hash": token_hash})).fetchone()
    return row[0] if row else None


async def close_one(conn: Connection, sign_in_id: int, member_id: int) -> bool:
    return (await conn.execute(CLOSE_ONE, {"id": sign_in_id, "member": member_id})).rowcount == 1


async def close_all(conn: Connection, member_id: int) -> int:
    return (await conn.execute(CLOSE_ALL, {"member": member_id})).rowcount


async def forget_old(conn: Connection, idle: int) -> None:
    await conn.execute(FORGET, {"idle": idle})


async def listed(conn: Connection, member_id: int, idle: int) -> list[SignIn]:
    cursor = conn.cursor(row_factory=class_row(SignIn))
    return await (await cursor.execute(LIST, {"member": member_id, "idle": idle})).fetchall()
