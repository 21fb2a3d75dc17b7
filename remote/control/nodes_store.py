"""All SQL about the mail between server processes (who is alive: ``remote.machines.store``)."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg.rows import class_row

from compagnon.db import Connection

ALIVE = "SELECT id::text FROM agent_nodes WHERE alive_at > now() - interval '45 seconds'"
FORGET_MAIL = "DELETE FROM node_mail WHERE posted_at < now() - interval '10 minutes'"
POST = """
INSERT INTO node_mail (node, kind, machine_id, key, origin, body)
VALUES (%(node)s, %(kind)s, %(machine_id)s, %(key)s, %(origin)s, %(body)s)
"""
TAKE = """
WITH taken AS (
    DELETE FROM node_mail WHERE id IN (SELECT id FROM node_mail WHERE node = %(node)s ORDER BY id LIMIT 200)
    RETURNING id, kind, machine_id, key, origin::text, body
)
SELECT * FROM taken ORDER BY id
"""
WHERE_IS = """
SELECT m.node::text FROM machines m JOIN agent_nodes n ON n.id = m.node
WHERE m.id = %(machine_id)s AND m.state = 'approved' AND m.online AND n.alive_at > now() - interval '45 seconds'
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """``tell``: hand ``body`` to the agent of a machine; ``answer``: it answered ``key``; ``gone``: its connection was
    lost before it could; ``step``: a run is at a step. ``origin`` is the node that waits for an answer.
    """

    id: int
    kind: str
    machine_id: int
    key: str
    origin: str
    body: str


async def alive(conn: Connection) -> list[str]:
    rows = await (await conn.execute(ALIVE)).fetchall()
    return [row[0] for row in rows]


async def forget_old(conn: Connection) -> None:
    await conn.execute(FORGET_MAIL)


async def post(conn: Connection, values: dict[str, object]) -> None:
    await conn.execute(POST, values)


async def take(conn: Connection, node: str) -> list[Mail]:
    """What came for ``node``, oldest first, at most 200."""
    async with conn.cursor(row_factory=class_row(Mail)) as cursor:
        await cursor.execute(TAKE, {"node": node})
        return await cursor.fetchall()


async def where_is(conn: Connection, machine_id: int) -> str:
    """The node that has the machine's control connection; empty when none has."""
    row = await (await conn.execute(WHERE_IS, {"machine_id": machine_id})).fetchone()
    return row[0] if row else ""
