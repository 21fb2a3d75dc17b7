"""Recordings in the global search: what stood on a client's terminal, and where in the replay."""

from __future__ import annotations

from collections.abc import Sequence

from compagnon.auth.model import Member
from compagnon.db import Database
from compagnon.i18n import N_
from kb.search.highlight import Highlighter
from kb.search.model import Found, Hit, Piece
from kb.search.records import RECORD_LOCALE, RecordQuery
from remote.recordings import store
from remote.recordings.model import Excerpt

AFTER = 1  # seconds: moments are whole ones, and the words stand there at the end of theirs


class RecordingRecords:
    """Implements ``kb.search.records.RecordSource``; who may find what is ``store.READABLE``."""

    kind = "transcript"
    label = N_("Recordings")
    icon = "video"

    def __init__(self, db: Database) -> None:
        self._db = db

    async def search(self, member: Member, query: RecordQuery, limit: int) -> Found:
        """See RecordSource. The newest come first; a hit leads to the moment of the replay."""
        if not query.tsquery:
            return Found()
        async with self._db.connection() as conn:
            rows = await store.search(conn, member.id, query.tsquery, needles(query), limit)
        highlighter = Highlighter(query.question)
        return Found(hits=[_hit(row, highlighter, place) for place, row in enumerate(rows)])


def needles(query: RecordQuery) -> Sequence[str]:
    """What to look for in the text, the most telling first: all as typed, the longest words, then their stems."""
    words = sorted((word for word in query.question.words if not word.stop), key=lambda word: -len(word.text))
    stems = [term.text for word in words for term in word.terms]
    return list(dict.fromkeys([query.text.lower(), *(word.text.lower() for word in words), *stems]))


def _hit(row: Excerpt, highlighter: Highlighter, place: int) -> Hit:
    second = None if row.second is None else row.second + AFTER
    pieces = highlighter.stretch([row.text], RECORD_LOCALE).pieces
    clock = () if row.second is None else (f"{row.second // 60}:{row.second % 60:02}",)
    return Hit(
        kind="transcript",
        id=row.session_id,
        title=f"{row.machine_name} · {row.reason}",
        url=f"/recordings/{row.session_id}" + ("" if second is None else f"?t={second}"),
        snippet=(Piece(f"{row.client_name} · "), *pieces),
        score=1.0 / (1 + place),
        badges=(f"#{row.ticket_id}", *clock),
    )
