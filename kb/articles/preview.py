"""An article in short, beside the search results: the condition and what mends it."""

from __future__ import annotations

from markupsafe import Markup

from compagnon.auth.model import Member
from compagnon.markup.html import markdown_html
from compagnon.web.feature import Panel
from kb.articles.model import ID_LIMIT
from kb.articles.service import Articles
from kb.search.previews import Preview
from kb.search.words import STATES

SHOWN = 1_500  # characters of one part


def previewer(articles: Articles) -> Preview:
    """Every member may read what is in force; anything else has no preview."""

    async def preview(_member: Member, id: str) -> Panel | None:
        if not (id.isascii() and id.isdigit()) or len(id) > len(str(ID_LIMIT)) or int(id) > ID_LIMIT:
            return None
        version = await articles.published(int(id))
        return (
            Panel(
                template="kb/article_preview.html",
                context={"version": version, "states": STATES, "markdown": _beginning},
            )
            if version
            else None
        )

    return preview


def _beginning(text: str) -> Markup:
    """A text as HTML; of a long one, whole paragraphs up to :data:`SHOWN` characters."""
    if len(text) <= SHOWN:
        return markdown_html(text)
    cut = text[:SHOWN].rpartition("\n\n")[0] or text[:SHOWN]
    return markdown_html(f"{cut} …")
