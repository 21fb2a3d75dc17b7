"""SQL of the events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg.types.json import Jsonb

from compagnon.db import Connection

INSERT = "INSERT INTO events (topic, kind, payload) VALUES (%(topic)s, %(kind)s, %(payload)s)"
SINCE = """
SELECT id, topic, kind FROM events WHERE topic = ANY(%(topics)s) AND id > %(id)s ORDER BY id LIMIT 500
"""
MOVED = """
SELECT EXISTS (SELECT FROM events WHERE topic = ANY(%(topics)s) AND at > now() - make_interval(secs => %(seconds)s))
"""
FORGET = "DELETE FROM events WHERE at < now() - interval '1 hour'"


async def publish(conn: Connection, topic: str, kind: str, payload: Mapping[str, Any] | None = None) -> None:
    """Tell all who listen to ``topic`` (``noun:id``) when this transaction commits. The payload holds ids only."""
    await conn.execute(INSERT, {"topic": topic, "kind": kind, "payload": Jsonb(dict(payload or {}))})


async def publish_all(conn: Connection, topics: Sequence[str], kind: str) -> None:
    """The same about many things, in one go."""
    async with conn.cursor() as cursor:
        rows = [{"topic": topic, "kind": kind, "payload": Jsonb({})} for topic in topics]
        await cursor.executemany(INSERT, rows)


async def since(conn: Connection, topics: Sequence[str], event_id: int) -> list[tuple[int, str, str]]:
    """What happened on these topics after ``event_id``, oldest first, at most 500."""
    return await (await conn.execute(SINCE, {"topics": list(topics), "id": event_id})).fetchall()


async def moved(conn: Connection, topics: Sequence[str], seconds: float) -> bool:
    """Whether anything happened on these topics in the last ``seconds``."""
    row = await (await conn.execute(MOVED, {"topics": list(topics), "seconds": seconds})).fetchone()
    return bool(row and row[0])


async def forget_old(conn: Connection) -> None:
    await conn.execute(FORGET)
