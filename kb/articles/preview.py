"""An article in short, beside the search results: the condition and what mends it."""

from __future__ import annotations

from compagnon.auth.model import Member
from compagnon.web.feature import Panel
from kb.articles.model import ID_LIMIT
from kb.articles.service import Articles
from kb.search.previews import Preview
from kb.search.words import STATES


def previewer(articles: Articles) -> Preview:
    """Every member may read what is in force; anything else has no preview."""

    async def preview(_member: Member, id: str) -> Panel | None:
        if not (id.isascii() and id.isdigit()) or len(id) > len(str(ID_LIMIT)) or int(id) > ID_LIMIT:
            return None
        version = await articles.published(int(id))
        return (
            Panel(template="kb/article_preview.html", context={"version": version, "states": STATES})
            if version
            else None
        )

    return preview
