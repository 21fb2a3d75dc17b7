"""What the knowledge base adds to the application: the search and the articles."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from compagnon.auth.model import Member
from compagnon.kernel import Kernel
from compagnon.web.feature import Feature
from kb.articles.indexing import KIND as ARTICLE
from kb.articles.service import Articles
from kb.search import web
from kb.search.directory_source import DirectorySource
from kb.search.members_source import MembersSource
from kb.search.service import Search
from kb.search.whoosh_engine import WhooshEngine


@dataclass(frozen=True, slots=True, kw_only=True)
class Kb:
    feature: Feature
    search: Search
    articles: Articles


def build(kernel: Kernel) -> Kb:
    """The other packages register their sources with ``search`` while they are built."""
    search = Search(kernel.db, WhooshEngine(kernel.settings.data_dir / "search"))
    search.record_source(DirectorySource(kernel.directory))
    search.record_source(MembersSource(kernel.members))
    articles = Articles(kernel, search)
    search.library_source(ARTICLE, articles)
    feature = Feature(
        package="kb",
        handlers=web.HANDLERS,
        dependencies={"search": search, "articles": articles},
        topics={"search": _everyone()},
        lifespan=(search.working,),
    )
    return Kb(feature=feature, search=search, articles=articles)


def _everyone() -> Callable[[Member, str], Awaitable[bool]]:
    """How far the index is concerns every member and says nothing about any record."""

    async def guard(member: Member, key: str) -> bool:
        return key == "index"

    return guard
