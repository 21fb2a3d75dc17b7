"""What happened to a machine: a line of its history, and an event for whoever looks at it now."""

from __future__ import annotations

from compagnon import events
from compagnon.db import Connection
from remote.machines import store


async def say(
    conn: Connection,
    machine_id: int,
    client_id: int,
    kind: str,
    *,
    member_id: int | None = None,
    subject: str = "",
    detail: str = "",
) -> None:
    """Written and published with the caller's transaction."""
    await store.add_event(conn, machine_id, kind, member_id=member_id, subject=subject, detail=detail)
    for topic in (f"machine:{machine_id}", f"client:{client_id}", "machines:all"):
        await events.publish(conn, topic, kind)
