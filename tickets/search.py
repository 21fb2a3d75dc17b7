"""Tickets in the global search."""

from __future__ import annotations

from collections.abc import Sequence

from compagnon.auth.model import Member
from compagnon.db import Connection, Database
from compagnon.i18n import N_
from kb.search.model import Hit, Piece
from kb.search.records import RecordQuery
from tickets.listing import search_store as store
from tickets.listing.search_store import Found

TITLE_MINIMUM = 3  # characters; fewer make no trigram


class TicketRecords:
    """Implements ``kb.search.records.RecordSource``. Every member may read every ticket of the co-operative."""

    kind = "ticket"
    label = N_("Tickets")
    icon = "ticket"

    def __init__(self, db: Database) -> None:
        self._db = db

    async def search(self, member: Member, query: RecordQuery, limit: int) -> Sequence[Hit]:
        """By number, then by the words of title, symptom and messages, then by a piece of the title."""
        async with self._db.connection() as conn:
            rows = await self._rows(conn, query, limit)
        return [_hit(row, position) for position, row in enumerate(rows)]

    async def _rows(self, conn: Connection, query: RecordQuery, limit: int) -> list[Found]:
        found: dict[int, Found] = {}
        for way, asked in (
            (store.by_number, query.number is not None),
            (store.by_words, bool(query.tsquery)),
            (store.by_title, len(query.text) >= TITLE_MINIMUM),
        ):
            if asked and len(found) < limit:
                for row in await way(conn, query, limit):
                    found.setdefault(row.id, row)
        return list(found.values())[:limit]


def _hit(row: Found, position: int) -> Hit:
    return Hit(
        kind="ticket",
        id=str(row.id),
        title=f"#{row.id} {row.title}",
        url=f"/tickets/{row.id}",
        snippet=(Piece(f"{row.client_name} · {row.symptom}" if row.symptom else row.client_name),),
        score=1.0 / (1 + position),
    )
