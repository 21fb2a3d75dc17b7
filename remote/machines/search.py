"""Machines in the global search (implements ``kb.search.records.RecordSource``)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from compagnon.auth.model import Member
from compagnon.db import Database
from compagnon.i18n import N_
from kb.search.analysis import fold
from kb.search.model import Found, Hit, Piece
from kb.search.records import RecordQuery
from remote.machines import search_store
from remote.machines.search_store import TERMS, FoundMachine

MINIMUM = 2  # characters
LIMIT = 80  # characters of the question that are used
_MAC = re.compile(r"[0-9a-f]{2}(?:[-:.]?[0-9a-f]{2}){5}")


class MachineRecords:
    """By name, host name, serial, system, address or client; who may find what is ``search_store.READABLE``."""

    kind = "machine"
    label = N_("Machines")
    icon = "device-desktop"

    def __init__(self, db: Database) -> None:
        self._db = db

    async def search(self, member: Member, query: RecordQuery, limit: int) -> Found:
        """See RecordSource. Every word must stand in what is known of the machine or of its client."""
        words = terms(query.text)
        if len("".join(words)) < MINIMUM:
            return Found()
        async with self._db.connection() as conn:
            found = await search_store.search(conn, member.id, words, limit)
        return Found(hits=[_hit(machine, position) for position, machine in enumerate(found)])


def terms(text: str) -> Sequence[str]:
    """The words of a question as ``machines.search`` has them; a MAC address is one, however it is written."""
    words = [fold(word) for word in text[:LIMIT].split()]
    return [re.sub("[-:.]", "", word) if _MAC.fullmatch(word) else word for word in words][:TERMS]


def _hit(machine: FoundMachine, position: int) -> Hit:
    about = (machine.client_name, machine.hostname, machine.os, machine.serial, machine.addresses)
    return Hit(
        kind="machine",
        id=str(machine.id),
        title=machine.name,
        url=f"/machines/{machine.id}",
        snippet=(Piece(text=" · ".join(part for part in about if part)),),
        score=1.0 / (1 + position),
        badges=(machine.environment,) if machine.environment else (),
    )
