"""Machines in the global search (implements ``kb.search.records.RecordSource``)."""

from __future__ import annotations

from compagnon.auth.model import Member
from compagnon.db import Database
from compagnon.i18n import N_
from kb.search.model import Found, Hit, Piece
from kb.search.records import RecordQuery
from remote.machines import store
from remote.machines.model import Machine

MINIMUM = 2  # characters


class MachineRecords:
    """Every member may help any client, so every member finds every machine."""

    kind = "machine"
    label = N_("Machines")
    icon = "device-desktop"

    def __init__(self, db: Database) -> None:
        self._db = db

    async def search(self, member: Member, query: RecordQuery, limit: int) -> Found:
        text = query.text.strip()[:80]
        if len(text) < MINIMUM:
            return Found()
        async with self._db.connection() as conn:
            found = await store.search(conn, text, limit)
        return Found(hits=[_hit(machine, position) for position, machine in enumerate(found)])


def _hit(machine: Machine, position: int) -> Hit:
    return Hit(
        kind="machine",
        id=str(machine.id),
        title=machine.name,
        url=machine.url,
        snippet=(Piece(text=f"{machine.client_name} · {machine.hostname} · {machine.os}"),),
        score=1.0 / (1 + position),
        badges=(machine.environment,) if machine.environment else (),
    )
