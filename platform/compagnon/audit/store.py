"""SQL of the audit log."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from compagnon.audit.model import Record
from compagnon.db import Connection

LOCK_HEAD = "SELECT seq, hash, clock_timestamp() FROM audit_head FOR UPDATE"
MOVE_HEAD = "UPDATE audit_head SET seq = %(seq)s, hash = %(hash)s"
INSERT = """
INSERT INTO audit_log (seq, at, actor, action, subject, details, previous, hash)
VALUES (%(seq)s, %(at)s, %(actor)s, %(action)s, %(subject)s, %(details)s, %(previous)s, %(hash)s)
"""
HEAD = "SELECT seq, hash FROM audit_head"
COLUMNS = "seq, at, actor, action, subject, details, previous, hash"
AFTER = f"SELECT {COLUMNS} FROM audit_log WHERE seq > %(seq)s ORDER BY seq LIMIT %(limit)s"  # noqa: S608 - constants
RECENT = f"""
SELECT {COLUMNS} FROM audit_log
WHERE (%(subject)s::text IS NULL OR subject = %(subject)s) AND (%(actor)s::text IS NULL OR actor = %(actor)s)
  AND (%(before)s::bigint IS NULL OR seq < %(before)s)
ORDER BY seq DESC LIMIT %(limit)s
"""  # noqa: S608 - constants


async def lock_head(conn: Connection) -> tuple[int, str, Any]:
    """The chain's last seq and hash, and the time now. Holds the chain until the transaction ends."""
    row = await (await conn.execute(LOCK_HEAD)).fetchone()
    assert row is not None, "audit_head has exactly one row"
    return row[0], row[1], row[2]


async def append(conn: Connection, record: Record) -> None:
    values = {name: getattr(record, name) for name in Record.__slots__}
    await conn.execute(INSERT, {**values, "details": Jsonb(dict(record.details))})
    await conn.execute(MOVE_HEAD, {"seq": record.seq, "hash": record.hash})


async def head(conn: Connection) -> tuple[int, str]:
    row = await (await conn.execute(HEAD)).fetchone()
    assert row is not None, "audit_head has exactly one row"
    return row[0], row[1]


async def every(conn: Connection, *, page: int = 1000) -> AsyncIterator[Record]:
    """All records in order, a page at a time."""
    seq = 0
    while True:
        cursor = conn.cursor(row_factory=class_row(Record))
        rows = await (await cursor.execute(AFTER, {"seq": seq, "limit": page})).fetchall()
        for record in rows:
            yield record
        if len(rows) < page:
            return
        seq = rows[-1].seq


async def recent(
    conn: Connection, *, subject: str | None, actor: str | None, before: int | None, limit: int
) -> list[Record]:
    cursor = conn.cursor(row_factory=class_row(Record))
    values = {"subject": subject, "actor": actor, "before": before, "limit": limit}
    return await (await cursor.execute(RECENT, values)).fetchall()
