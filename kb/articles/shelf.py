"""Reading articles: what every page, the search index and other packages ask of them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

from compagnon.auth.model import Member
from compagnon.db import Database
from compagnon.errors import NotFound
from compagnon.i18n import N_
from kb.articles import indexing, store
from kb.articles.model import ID_LIMIT, Listing, Query, Version
from kb.articles.ports import Lessons, Procedures
from kb.search.model import Document, Filters

if TYPE_CHECKING:
    from kb.search.service import Search

BATCH = 200  # versions read at a time for the search index
SEARCHED = 100  # hits that the list orders by relevance
_ID = re.compile(r"[1-9][0-9]{0,18}")


class Shelf:
    """``procedures`` and ``lessons`` are set while wiring; without them nothing is known of what is above."""

    def __init__(self, db: Database, search: Search) -> None:
        self._db = db
        self._search = search
        self.procedures: Procedures | None = None
        self.lessons: Lessons | None = None

    async def list(self, query: Query) -> Listing:
        """A page of articles; ``query.text`` is searched by relevance among those in force, by title elsewhere."""
        ids = await self._hits(query) if query.text and query.state == "published" else None
        async with self._db.connection() as conn:
            rows, total = await store.listing(conn, query, ids)
        return Listing(query=query, rows=rows, total=total)

    async def _hits(self, query: Query) -> Sequence[int]:
        filters = Filters(
            kinds=(indexing.KIND,),
            environments=(query.environment,) if query.environment else (),
            skills=(query.skill,) if query.skill else (),
        )
        return [int(hit.id) for hit in await self._search.library(query.text, filters=filters, limit=SEARCHED)]

    async def get(self, article_id: int) -> Version:
        """The version in force, else the last one that was. Raises NotFound while there is none."""
        async with self._db.connection() as conn:
            return found(await store.published(conn, key(article_id)) or await store.latest(conn, key(article_id)))

    async def draft(self, article_id: int) -> Version | None:
        """The draft or the version in review."""
        async with self._db.connection() as conn:
            return await store.opened(conn, key(article_id))

    async def present(self, article_id: int) -> Version:
        """What an editor begins with: the open draft, else what ``get`` gives."""
        return await self.draft(article_id) or await self.get(article_id)

    async def published(self, article_id: int) -> Version | None:
        async with self._db.connection() as conn:
            return await store.published(conn, key(article_id))

    async def version(self, article_id: int, number: int) -> Version:
        if not 1 <= number <= 2**31 - 1:
            raise NotFound(NOTHING)
        async with self._db.connection() as conn:
            return found(await store.numbered(conn, key(article_id), number))

    async def history(self, article_id: int) -> Sequence[Version]:
        """The published versions, newest first."""
        async with self._db.connection() as conn:
            return await store.history(conn, key(article_id))

    async def translations(self, article_id: int) -> Sequence[Version]:
        """The same article in force in other languages."""
        async with self._db.connection() as conn:
            return await store.translations(conn, key(article_id))

    async def waiting_for(self, member: Member) -> Sequence[Version]:
        """What is in review and this member may review."""
        async with self._db.connection() as conn:
            return await store.waiting(conn, member.id)

    async def own_drafts(self, member: Member) -> Sequence[Version]:
        async with self._db.connection() as conn:
            return await store.own(conn, member.id)

    # for the search index

    async def count(self) -> int:
        async with self._db.connection() as conn:
            return await store.count(conn)

    async def documents(self) -> AsyncIterator[Document]:
        """Every article in force. Read in batches: no connection is held while the reader works on a document."""
        last = 0
        while True:
            async with self._db.connection() as conn:
                batch = await store.published_after(conn, last, BATCH)
            for version in batch:
                yield indexing.document(version)
            if len(batch) < BATCH:
                return
            last = batch[-1].article_id

    async def document(self, id: str) -> Document | None:
        """None for every other text as well: whoever follows a link may name what never was."""
        version = await self.published(int(id)) if _ID.fullmatch(id) and int(id) <= ID_LIMIT else None
        return indexing.document(version) if version else None


NOTHING = N_("There is no such article or version.")


def found(version: Version | None) -> Version:
    if version is None:
        raise NotFound(NOTHING)
    return version


def key(article_id: int) -> int:
    """An id that the database can look for. Raises NotFound."""
    if not 1 <= article_id <= ID_LIMIT:
        raise NotFound(NOTHING)
    return article_id
