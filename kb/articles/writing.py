"""Writing, reviewing and publishing articles."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from compagnon import audit, events
from compagnon.audit.model import Actor
from compagnon.auth.model import Member, Role
from compagnon.db import Connection
from compagnon.errors import Conflict, Forbidden, Invalid, NotFound
from compagnon.i18n import N_
from compagnon.jobs import Jobs
from compagnon.kernel import Kernel
from kb.articles import indexing, link_store, store, texts
from kb.articles.errors import EditConflict, NotReady
from kb.articles.model import (
    FEW_WORDS,
    LOCALES,
    NOTE_LIMIT,
    Content,
    Link,
    Version,
    VersionState,
    digest,
    independent,
    lacks,
    mentioned,
    prose,
)
from kb.articles.shelf import NOTHING, Shelf, found, key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kb.search.service import Search

CHANGED_MEANWHILE = N_("Somebody changed this text in the meantime. Please look at it again.")
KEY_LIMIT = 64


class Writing(Shelf):
    """Members are passed whole: their role and name matter."""

    def __init__(self, kernel: Kernel, search: Search) -> None:
        super().__init__(kernel.db, search)

    # writing

    async def create(
        self,
        content: Content,
        locale: str,
        member: Member,
        *,
        translates_id: int | None = None,
        origin: Link | None = None,
        request_key: str | None = None,
    ) -> Version:
        """A new draft. ``origin``: the ticket it is written from; the same ``request_key`` makes one article.

        Raises Invalid (``field``), EditConflict when the request was made before and others wrote since or when a first
        draft of this ``origin`` is open already, NotFound when there is nothing of which it is a translation.
        """
        checked, request_key = texts.clean(content), (request_key or "")[:KEY_LIMIT] or None
        if locale not in LOCALES:
            raise Invalid(N_("Please choose one of the list."), field="locale")
        if translates_id is not None:
            translates_id = (await self.present(translates_id)).article_id
        async with self._db.transaction() as conn:
            if origin and (begun := await self._begun(conn, origin, checked, request_key)):
                return begun
            article_id = await store.add(
                conn, locale=locale, translates_id=translates_id, request_key=request_key
            ) or await store.by_key(conn, request_key or "")
            assert article_id is not None, "only a known key is not taken again"
            await self._begin(conn, article_id, checked, member, origin)
            return found(await store.opened(conn, article_id) or await store.latest(conn, article_id))

    async def _begun(self, conn: Connection, origin: Link, content: Content, request_key: str | None) -> Version | None:
        """The same text, begun from this origin before; None when there is no open draft of it but this request's."""
        await link_store.lock_origin(conn, origin)
        if request_key and await store.by_key(conn, request_key):
            return None
        known = await link_store.draft_from(conn, origin.kind, origin.ref)
        if known and known.digest != digest(content):
            raise EditConflict(known, content)
        return known

    async def _begin(
        self, conn: Connection, article_id: int, content: Content, member: Member, origin: Link | None
    ) -> None:
        """The first draft; sent again from the same form, what was typed since replaces it."""
        known = await store.opened(conn, article_id) or await store.latest(conn, article_id)
        if known is None:
            await store.insert(conn, article_id, content, member.id)
            if origin:
                await link_store.add(conn, article_id, origin)
            await self._note(conn, Actor.member(member.id), "article.drafted", article_id, title=content.title)
        elif known.digest == digest(content):
            return
        elif known.open and list(known.editor_ids) == [member.id]:
            await self._write(conn, known, content, member)
        else:
            raise EditConflict(known, content)

    async def save(self, article_id: int, content: Content, member: Member, *, seen: str) -> Version:
        """Keep what was typed as the article's one open draft, provided the text is still ``seen`` (its digest).

        Without an open draft one begins that leaves the text in force where it is. Saving what is there already changes
        nothing. Raises EditConflict with what is there now, Invalid.
        """
        checked = texts.clean(content)
        async with self._db.transaction() as conn:
            current = await self._locked(conn, article_id)
            if current.digest == digest(checked):
                return current
            if current.digest != seen:
                raise EditConflict(current, checked)
            await self._write(conn, current, checked, member)
            return found(await store.opened(conn, article_id))

    async def _write(self, conn: Connection, current: Version, content: Content, member: Member) -> None:
        if not current.open:
            await store.insert(conn, current.article_id, content, member.id)
        elif not await store.save(conn, current, content, member.id):
            raise Conflict(CHANGED_MEANWHILE)
        action = "article.edited" if current.open else "article.drafted"
        await self._note(conn, Actor.member(member.id), action, current.article_id, digest=digest(content))

    async def discard(self, article_id: int, member: Member, *, seen: str) -> None:
        """Give a draft up: whoever wrote in it may, and reviewers."""
        async with self._db.transaction() as conn:
            draft = await self._open(conn, article_id, seen)
            if independent(draft, member.id) and not member.role.covers(Role.REVIEWER):
                raise Forbidden(N_("Only whoever wrote in it, or a reviewer, may discard a draft."))
            if not await store.discard(conn, draft, member.id):
                raise Conflict(CHANGED_MEANWHILE)
            await self._note(conn, Actor.member(member.id), "article.discarded", article_id, version=draft.id)

    # review

    async def submit(self, article_id: int, member: Member, *, seen: str) -> None:
        """Ask another member to review it. Raises NotReady, Conflict when the text is not ``seen`` or says nothing new.

        Asking again changes nothing.
        """
        async with self._db.transaction() as conn:
            draft = await self._open(conn, article_id, seen)
            if draft.state is VersionState.IN_REVIEW:
                return
            await self._check_ready(conn, draft)
            if not await store.submit(conn, draft):
                raise Conflict(CHANGED_MEANWHILE)
            await self._note(conn, Actor.member(member.id), "article.submitted", article_id, digest=seen)

    async def _check_ready(self, conn: Connection, draft: Version) -> None:
        if lacks(draft):
            raise NotReady(lacks(draft))
        current = await store.published(conn, draft.article_id)
        if current and current.id != draft.based_on:
            message = N_("Version {number} was published after this draft was begun. Compare with it first.")
            raise Conflict(message, number=current.number)
        if current and current.digest == draft.digest:
            raise Conflict(N_("The text says exactly what the published version says."))

    async def take_into_account(self, article_id: int, member: Member, *, seen: str) -> None:
        """Say that a draft takes the version that was published since into account."""
        async with self._db.transaction() as conn:
            draft = await self._open(conn, article_id, seen)
            current = found(await store.published(conn, article_id))
            if draft.based_on == current.id:
                return
            if not await store.rebase(conn, draft, current.id):
                raise Conflict(CHANGED_MEANWHILE)
            await self._note(conn, Actor.member(member.id), "article.rebased", article_id, based_on=current.number)

    async def send_back(self, article_id: int, member: Member, *, seen: str, remark: str) -> None:
        """Ask the author for changes."""
        remark = texts.text("remark", remark, NOTE_LIMIT)
        if not remark:
            raise Invalid(N_("Please fill this in."), field="remark")
        async with self._db.transaction() as conn:
            draft = await self._to_judge(conn, article_id, member, seen)
            if not await store.send_back(conn, draft, remark):
                raise Conflict(CHANGED_MEANWHILE)
            await self._note(conn, Actor.member(member.id), "article.sent_back", article_id, digest=seen)

    async def publish(self, article_id: int, member: Member, *, seen: str) -> Version:
        """The yes of one other member puts exactly the text ``seen`` in force.

        Raises Forbidden for whoever wrote or changed it, NotReady, Conflict.
        """
        async with self._db.transaction() as conn:
            current = await self._locked(conn, article_id)
            if not current.open and current.state is VersionState.PUBLISHED and current.digest == seen:
                return current  # the button was pressed twice
            draft = await self._to_judge(conn, article_id, member, seen)
            await self._check_ready(conn, draft)
            number = await store.publish(conn, draft, member.id)
            if number is None:
                raise Conflict(CHANGED_MEANWHILE)
            await self._in_force(conn, draft)
            await self._note(conn, Actor.member(member.id), "article.published", article_id, number=number, digest=seen)
            return found(await store.published(conn, article_id))

    async def _in_force(self, conn: Connection, version: Version) -> None:
        """What follows from a new text in force: a new review date, its mentions, the search index."""
        await store.reviewed(conn, version.article_id)
        await self.mentions(
            conn, "article", str(version.article_id), text=prose(version), label=version.title,
            url=f"/articles/{version.article_id}", replace=True,
        )  # fmt: skip
        await self._judge(conn, [version.article_id])

    async def confirm(self, article_id: int, member: Member, *, seen: str) -> None:
        """Say that the text in force was looked at today and is still right."""
        async with self._db.transaction() as conn:
            await self._lock(conn, article_id)
            current = found(await store.published(conn, article_id))
            if current.digest != seen:
                raise Conflict(CHANGED_MEANWHILE)
            await store.reviewed(conn, article_id)
            await self._judge(conn, [article_id])
            await self._note(conn, Actor.member(member.id), "article.confirmed", article_id, number=current.number)

    async def withdraw(self, article_id: int, member: Member, *, seen: str, reason: str) -> None:
        """Take the text out of force, with a reason. Reviewers may."""
        if not member.role.covers(Role.REVIEWER):
            raise Forbidden(N_("Only reviewers may do this."))
        reason = texts.text("reason", reason, NOTE_LIMIT)
        if not reason:
            raise Invalid(N_("Please fill this in."), field="reason")
        async with self._db.transaction() as conn:
            await self._lock(conn, article_id)
            current = found(await store.latest(conn, article_id))
            if not await store.withdraw(conn, current, member.id, reason):
                raise Conflict(N_("Only the published version can be withdrawn."))
            await link_store.forget_mentions(conn, "article", str(article_id))
            await self._search.changed(conn, indexing.KIND, article_id)
            details = {"number": current.number, "reason": reason[:500]}
            await self._note(conn, Actor.member(member.id), "article.withdrawn", article_id, **details)

    # what is to be looked after

    def register(self, jobs: Jobs) -> None:
        """Once an hour, while the application runs."""

        @jobs.periodic("articles.look_after", cron="23 * * * *")
        async def look_after(timestamp: int) -> None:
            await self.look_after()

    async def look_after(self) -> int:
        """Judge all articles anew: time passes, environments change. How many changed. Cheap; run it now and then."""
        environments = await self._environments()
        async with self._db.transaction() as conn:
            ids = await store.refresh_stale(conn, environments, FEW_WORDS)
            for article_id in ids:
                await self._search.changed(conn, indexing.KIND, article_id)
        return len(ids)

    async def _judge(self, conn: Connection, ids: Sequence[int]) -> None:
        """The same for a few articles of which something changed, which also go to the search index anew."""
        await store.refresh_stale(conn, None, FEW_WORDS, ids)
        for article_id in ids:
            await self._search.changed(conn, indexing.KIND, article_id)

    async def _environments(self) -> Mapping[str, datetime] | None:
        return await self.procedures.environments_in_force() if self.procedures else None

    # what names what

    async def mentions(
        self, conn: Connection, kind: str, ref: str, *, text: str, label: str, url: str, replace: bool = False
    ) -> None:
        """Note, in the transaction of the change, which articles a text names by their address (``/articles/12``).

        ``kind`` "article", "ticket" or "procedure"; ``replace``: the text is all that it says, so that what it no
        longer names is forgotten.
        """
        named = [one for one in mentioned(text) if (kind, ref) != ("article", str(one))]
        if replace:
            await link_store.forget_mentions(conn, kind, ref)
        await link_store.mention(conn, named, kind=kind, ref=ref, label=label, url=url)

    # inside

    async def _to_judge(self, conn: Connection, article_id: int, member: Member, seen: str) -> Version:
        draft = await self._open(conn, article_id, seen)
        if not independent(draft, member.id):
            raise Forbidden(N_("Whoever wrote or changed a text does not judge it."))
        if draft.state is not VersionState.IN_REVIEW:
            raise Conflict(N_("This text is not in review."))
        return draft

    async def _open(self, conn: Connection, article_id: int, seen: str) -> Version:
        await self._lock(conn, article_id)
        draft = await store.opened(conn, article_id)
        if draft is None or draft.digest != seen:
            raise Conflict(CHANGED_MEANWHILE)
        return draft

    async def _locked(self, conn: Connection, article_id: int) -> Version:
        """The open draft, else what is or was in force; nobody else changes the article meanwhile."""
        await self._lock(conn, article_id)
        return found(await store.opened(conn, article_id) or await store.latest(conn, article_id))

    async def _lock(self, conn: Connection, article_id: int) -> None:
        if not await store.lock(conn, key(article_id)):
            raise NotFound(NOTHING)

    async def _note(self, conn: Connection, actor: Actor, action: str, article_id: int, **details: object) -> None:
        await events.publish(conn, f"article:{article_id}", action)
        await events.publish(conn, "articles:all", action, {"article": article_id})
        await audit.record(conn, actor=actor, action=action, subject=f"article:{article_id}", details=details)
