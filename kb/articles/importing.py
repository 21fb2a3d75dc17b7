"""Articles from collections of others: put in force as they are, updated, marked when their source drops them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from compagnon.audit.model import Actor
from compagnon.db import Connection
from compagnon.errors import Invalid
from compagnon.i18n import N_
from kb.articles import store, texts
from kb.articles.model import (
    LOCALES,
    Content,
    Import,
    ImportedArticle,
    ImportOutcome,
    Version,
    VersionState,
    digest,
)
from kb.articles.shelf import found
from kb.articles.writing import Writing


class Importing(Writing):
    async def imported(self, source: str) -> dict[str, str]:
        """What is known of a collection and still there: source id → digest of what was last taken."""
        async with self._db.connection() as conn:
            return await store.imported(conn, source)

    async def put_imported(self, article: ImportedArticle, *, actor: Actor, conn: Connection | None = None) -> Import:
        """Take one article of a collection; in ``conn``'s transaction where one is given.

        New: in force at once, without a review, under the licence it came with. The same digest changes nothing. A
        changed one becomes the next version, and a corrected language is taken over; where members have changed our
        text it goes to review instead. What was gone and is back loses its mark; what members withdrew stays
        withdrawn. Raises Invalid.
        """
        content = _checked(article)
        async with self._db.using(conn) as used, used.transaction():
            article_id = await self._known_or_new(used, article)
            await store.lock(used, article_id)
            current = await store.latest(used, article_id)
            outcome = await self._take(used, article_id, article, content, current)
            await self._recorded(used, actor, article_id, article, outcome)
            return Import(article_id=article_id, outcome=outcome)

    async def _known_or_new(self, conn: Connection, article: ImportedArticle) -> int:
        source, source_id = article.source, article.source_id
        known = await store.by_source(conn, source, source_id)
        if known is None:
            known = await store.add(
                conn, locale=article.locale, source=source, source_id=source_id, source_digest=article.digest
            )
        known = known or await store.by_source(conn, source, source_id)  # another import was faster
        assert known is not None, "an article that is not new is known"
        return known

    async def _take(
        self, conn: Connection, article_id: int, article: ImportedArticle, content: Content, current: Version | None
    ) -> ImportOutcome:
        if current is None:
            await self._force(conn, article_id, content)
            return ImportOutcome.ADDED
        if current.source_digest == article.digest and current.gone_since is None:
            return ImportOutcome.UNCHANGED
        news = await store.relabel(conn, article_id, article.locale) or current.gone_since is not None
        if current.state is VersionState.WITHDRAWN or current.digest == digest(content):
            await store.seen(conn, article_id, article.digest)
            await self._judge(conn, [article_id])
            return ImportOutcome.UPDATED if news else ImportOutcome.UNCHANGED
        if current.imported:
            await store.seen(conn, article_id, article.digest)
            await self._force(conn, article_id, content)
            return ImportOutcome.UPDATED
        return await self._propose(conn, current, article, content)

    async def _force(self, conn: Connection, article_id: int, content: Content) -> None:
        await store.put_in_force(conn, article_id, content)
        await self._in_force(conn, found(await store.published(conn, article_id)))

    async def _propose(
        self, conn: Connection, current: Version, article: ImportedArticle, content: Content
    ) -> ImportOutcome:
        """Members have made the text theirs: the source's new one waits for a review, or for their draft to end."""
        draft = await store.opened(conn, current.article_id)
        if draft is not None and not draft.imported:
            await store.seen(conn, current.article_id, current.source_digest)  # it is not gone
            await store.mark_changed(conn, current.article_id)
            await self._judge(conn, [current.article_id])
            return ImportOutcome.HELD
        await store.seen(conn, current.article_id, article.digest)
        if draft is None:
            await store.insert(conn, current.article_id, content, None, state="in_review")
        else:
            await store.save(conn, draft, content, None)
        await self._judge(conn, [current.article_id])
        return ImportOutcome.PROPOSED

    async def _recorded(
        self, conn: Connection, actor: Actor, article_id: int, article: ImportedArticle, outcome: ImportOutcome
    ) -> None:
        if outcome not in {ImportOutcome.UNCHANGED, ImportOutcome.HELD}:
            details = {"source": article.source, "source_id": article.source_id[:200], "outcome": str(outcome)}
            await self._note(conn, actor, "article.imported", article_id, **details)

    async def mark_gone(
        self, source: str, source_ids: Sequence[str], *, actor: Actor, conn: Connection | None = None
    ) -> int:
        """Say that a collection no longer has these: they stay in force, marked. How many were not marked before."""
        async with self._db.using(conn) as used, used.transaction():
            ids = await store.gone(used, source, source_ids)
            await self._judge(used, ids)
            for article_id in ids:
                await self._note(used, actor, "article.gone", article_id, source=source)
        return len(ids)


def _checked(article: ImportedArticle) -> Content:
    if article.locale not in LOCALES:
        raise Invalid(N_("Please choose one of the list."), field="locale")
    for field in ("source", "source_id", "digest"):
        if not texts.line(field, getattr(article, field), 300):
            raise Invalid(N_("Please fill this in."), field=field)
    content = texts.clean(replace(article.content, title=article.content.title[:200]))
    for field in ("licence", "source_name"):
        if not getattr(content, field):
            raise Invalid(N_("An imported article says its licence and where it comes from."), field=field)
    return content
