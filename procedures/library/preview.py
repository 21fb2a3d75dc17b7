"""A procedure or environment in short, beside the search results."""

from __future__ import annotations

from compagnon.auth.model import Member
from compagnon.web.feature import Panel
from kb.search.previews import Preview
from procedures.library import indexing, texts
from procedures.library.service import Library
from procedures.shown import Html
from procedures.words import WORDS


def previewer(library: Library) -> Preview:
    """Every member may read what is published; anything else has no preview."""

    async def preview(member: Member, id: str) -> Panel:
        code, locale = indexing.split_id(id)
        version = await library.published(code, locale or member.locale)
        context = {"version": version, "procedure": texts.parsed(version.text), "html": Html(), "words": WORDS}
        return Panel(template="procedures/preview.html", context={**context, "url": indexing.url(version)})

    return preview
