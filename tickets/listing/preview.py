"""A ticket in short, beside the search results: the symptom and the last word said."""

from __future__ import annotations

from compagnon.auth.model import Member
from compagnon.db import Database
from compagnon.web.feature import Panel
from kb.search.previews import Preview
from tickets.desk.model import ID_LIMIT
from tickets.listing import search_store as store
from tickets.web import words


def previewer(db: Database) -> Preview:
    """Reads as the search does: who may not find a ticket has no preview of it."""

    async def preview(member: Member, id: str) -> Panel | None:
        if not (id.isascii() and id.isdigit()) or len(id) > len(str(ID_LIMIT)) or int(id) > ID_LIMIT:
            return None
        async with db.connection() as conn:
            found = await store.shown(conn, member.id, [int(id)])
            said = await store.said(conn, member.id, [int(id)]) if found else []
        if not found:
            return None
        context = {"ticket": found[0], "last": said[0] if said else None, **words()}
        return Panel(template="tickets/preview.html", context=context)

    return preview
