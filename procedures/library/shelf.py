"""Reading the library: what every page and every other package asks of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

from compagnon.auth.model import Member, Role
from compagnon.db import Database
from compagnon.errors import NotFound
from compagnon.i18n import N_
from kb.search.model import Document, Filters
from procedures.library import indexing, review_store, store
from procedures.library.model import CODE_LIMIT, Comment, Listing, Query, Review, Summary, Verdict, Version, verdict

if TYPE_CHECKING:
    from kb.search.service import Search

BATCH = 100  # versions read at a time for the search index
SEARCHED = 100  # hits that the list orders by relevance


class Shelf:
    def __init__(self, db: Database, search: Search) -> None:
        self._db = db
        self._search = search

    async def list(self, query: Query) -> Listing:
        """A page of the library; ``query.text`` is searched by relevance among the published, by title elsewhere."""
        codes = await self._hits(query) if query.text and query.state == "published" else None
        async with self._db.connection() as conn:
            rows, facets, total = await store.listing(conn, query, codes)
        return Listing(query=query, rows=rows, total=total, facets=facets)

    async def _hits(self, query: Query) -> Sequence[str]:
        filters = Filters(
            kinds=("procedure", "environment"),
            environments=(query.environment,) if query.environment else (),
            skills=(query.skill,) if query.skill else (),
        )
        hits = await self._search.library(query.text, filters=filters, limit=SEARCHED, boosts={})
        return tuple(dict.fromkeys(indexing.split_id(hit.id)[0] for hit in hits))

    async def published(self, code: str, locale: str) -> Version:
        """The version in force, in ``locale`` where there is one. Raises NotFound."""
        async with self._db.connection() as conn:
            return found(await store.published(conn, code[:CODE_LIMIT], locale))

    async def latest(self, code: str, locale: str) -> Version:
        """The version in force, else the last one that was. Raises NotFound when none was ever published."""
        async with self._db.connection() as conn:
            known = await store.published(conn, code[:CODE_LIMIT], locale)
            return found(known or await store.latest(conn, code[:CODE_LIMIT], locale))

    async def version(self, code: str, locale: str, number: int) -> Version:
        async with self._db.connection() as conn:
            return found(await store.numbered(conn, code[:CODE_LIMIT], locale, number))

    async def get(self, version_id: int) -> Version:
        """Any version, whatever its state. Raises NotFound."""
        async with self._db.connection() as conn:
            return found(await store.get(conn, version_id))

    async def history(self, code: str, locale: str) -> Sequence[Summary]:
        """The numbered versions of one document, newest first."""
        async with self._db.connection() as conn:
            return await store.history(conn, code, locale)

    async def drafts_of(self, code: str) -> Sequence[Summary]:
        async with self._db.connection() as conn:
            return await store.open_of(conn, code)

    async def languages(self, code: str) -> tuple[str, ...]:
        async with self._db.connection() as conn:
            return await store.languages(conn, code)

    async def titles(self, codes: Sequence[str], locale: str) -> dict[str, str]:
        """Titles of published procedures by code."""
        async with self._db.connection() as conn:
            return await store.titles(conn, codes, locale)

    async def waiting_for(self, member: Member) -> Sequence[Summary]:
        """What is in review and waits for this member's word; empty for those who do not review."""
        if not member.role.covers(Role.REVIEWER):
            return ()
        async with self._db.connection() as conn:
            return await store.waiting(conn, member.id)

    async def open_for(self, member: Member) -> tuple[Sequence[Summary], Sequence[Summary]]:
        """The member's own drafts, and the others'."""
        async with self._db.connection() as conn:
            return await store.own_open(conn, member.id), await store.other_open(conn, member.id)

    async def reviews(self, version: Summary) -> tuple[Sequence[Review], Verdict]:
        async with self._db.connection() as conn:
            reviews = await review_store.reviews(conn, version.id)
        return reviews, verdict(version, reviews)

    async def comments(self, version_id: int) -> Sequence[Comment]:
        async with self._db.connection() as conn:
            return await review_store.comments(conn, version_id)

    async def base_of(self, version: Summary) -> Version | None:
        """What a draft is compared with: the published version of its document, if there is one."""
        async with self._db.connection() as conn:
            return await store.published(conn, version.code, version.locale, exact=True)

    async def documents(self, kind: str) -> AsyncIterator[Document]:
        """Every published procedure (or environment) as the search index sees it.

        Read in batches: no connection is held while the reader works on a document.
        """
        last = 0
        while True:
            async with self._db.connection() as conn:
                batch = await store.published_after(conn, last, BATCH)
                reviewed = await review_store.approved(conn, [version.id for version in batch])
            for version in batch:
                if indexing.kind_of(version) == kind:
                    yield indexing.document(version, reviewed.get(version.id))
            if len(batch) < BATCH:
                return
            last = batch[-1].id

    async def document(self, kind: str, id: str) -> Document | None:
        code, locale = indexing.split_id(id)
        async with self._db.connection() as conn:
            version = await store.published(conn, code, locale, exact=True)
            reviewed = await review_store.approved(conn, [version.id]) if version else {}
        if version is None or indexing.kind_of(version) != kind:
            return None
        return indexing.document(version, reviewed.get(version.id))


def found(version: Version | None) -> Version:
    if version is None:
        raise NotFound(N_("There is no such procedure or version."))
    return version
