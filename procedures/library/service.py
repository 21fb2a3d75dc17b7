"""What members do with procedures: write, submit, review, publish, withdraw, find."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from compagnon import audit, events
from compagnon.audit.model import Actor
from compagnon.auth.model import Member, Role
from compagnon.db import Connection
from compagnon.errors import Conflict, Forbidden, Invalid
from compagnon.i18n import N_
from compagnon.kernel import Kernel
from procedures.format.rules.case import Known
from procedures.library import article_links, indexing, review_store, store, texts
from procedures.library.article_links import ArticleLinks
from procedures.library.errors import EditConflict, NotReady
from procedures.library.model import (
    COMMENT_LIMIT,
    REASON_LIMIT,
    Decision,
    Summary,
    Version,
    VersionState,
    independent,
    verdict,
)
from procedures.library.shelf import Shelf, found

if TYPE_CHECKING:
    from kb.search.service import Search

CHANGED_MEANWHILE = N_("Somebody changed this version in the meantime. Please look at it again.")


class Library(Shelf):
    """The versions of all procedures. Members are passed whole: their role and name matter."""

    def __init__(self, kernel: Kernel, search: Search, articles: ArticleLinks | None = None) -> None:
        super().__init__(kernel.db, search)
        self._members = kernel.members
        self._articles = articles

    # writing

    async def create(self, text: str, member: Member, *, reason: str = "", article_id: int | None = None) -> Version:
        """A new draft from a text that says its own code and language; ``article_id``: the article it is made from.

        Raises Invalid (unreadable front matter), NotReady (the text cannot be read at all).
        """
        reading = texts.read(texts.clean(text))
        evidence = {"article": article_id} if article_id else {}
        async with self._db.transaction() as conn:
            version_id = await self._add(
                conn, reading, member, reason=_reason(reason, required=False), evidence=evidence
            )
            if article_id and self._articles:
                version = found(await store.get(conn, version_id))
                await self._articles.tie(article_id, article_links.made(version), member, conn=conn)
        return await self.get(version_id)

    async def save(
        self, version_id: int, text: str, member: Member, *, seen: str, reason: str | None = None
    ) -> Version:
        """Replace an open version's text, provided its digest is still ``seen``.

        A version in review whose new text has findings goes back to draft; approvals hold for one exact text anyway.
        Raises EditConflict with what is there now, Conflict when it is no longer open.
        """
        reading = texts.read(texts.clean(text))
        async with self._db.transaction() as conn:
            current = await self._open(conn, version_id)
            if current.digest != seen:
                raise EditConflict(current, reading.text)
            await self._write(conn, current, reading, member)
            if reason is not None:
                await store.set_reason(conn, version_id, _reason(reason, required=False))
        return await self.get(version_id)

    async def _write(self, conn: Connection, current: Version, reading: texts.Reading, member: Member) -> None:
        _same_document(current, reading)
        back = current.state == VersionState.IN_REVIEW and bool(reading.blocking)
        state = VersionState.DRAFT if back else current.state
        previous = {key: getattr(current, key) for key in ("title", "kind", "applies_to", "skills", "risk")}
        facts = texts.facts(reading, previous)
        if facts["digest"] == current.digest and facts["text"] == current.text:
            return
        if not await store.save(conn, current.id, facts=facts, member_id=member.id, seen=current.digest, state=state):
            raise Conflict(CHANGED_MEANWHILE)
        await _note(conn, member, "procedure.edited", current, digest=facts["digest"])

    async def propose_change(
        self,
        *,
        procedure_code: str | None,
        locale: str,
        member: Member,
        reason: str,
        evidence: Mapping[str, Any],
        text: str | None = None,
        conn: Connection | None = None,
    ) -> int:
        """A draft that starts from the published text (or from ``text``), with why and from where; its id.

        ``conn``: made in the caller's transaction, or not at all.

        ``evidence`` holds ids and short texts, such as ``{"ticket": 12, "run": 3, "steps": ["s4"]}``.
        ``procedure_code`` None, or one that is not published yet: a new procedure, ``text`` may then be left out too.
        """
        checked = _reason(reason, required=True)
        async with self._db.using(conn) as used, used.transaction():
            base = await store.published(used, procedure_code, locale) if procedure_code else None
            if text is None and base is None:
                text = texts.skeleton(procedure_code, locale, checked)
            reading = texts.read(texts.clean(text if text is not None else base.text if base else ""))
            return await self._add(used, reading, member, reason=checked, evidence=evidence)

    async def _add(
        self,
        conn: Connection,
        reading: texts.Reading,
        member: Member,
        *,
        reason: str = "",
        evidence: Mapping[str, Any] | None = None,
    ) -> int:
        if reading.procedure is None:
            raise NotReady(reading.findings)
        code, locale = texts.identity(reading.procedure)
        document_id = await store.document(conn, code, locale)
        base = await store.published(conn, code, locale, exact=True)
        version_id = await store.insert(
            conn,
            document_id,
            facts=texts.facts(reading),
            member_id=member.id,
            based_on=base.id if base else None,
            reason=reason,
            evidence=evidence or {},
        )
        await _note(conn, member, "procedure.drafted", found(await store.get(conn, version_id)))
        return version_id

    async def discard(self, version_id: int, member: Member, *, reason: str = "") -> None:
        """Give a draft up. Its author or a reviewer may."""
        async with self._db.transaction() as conn:
            version = await self._open(conn, version_id)
            if member.id != version.author_id and not member.role.covers(Role.REVIEWER):
                raise Forbidden(N_("Only its author or a reviewer may discard a draft."))
            if not await store.discard(conn, version_id, member.id, _reason(reason, required=False)):
                raise Conflict(CHANGED_MEANWHILE)
            await _note(conn, member, "procedure.discarded", version)

    async def rebase(self, version_id: int, member: Member) -> None:
        """Say that a draft takes the version published since into account."""
        async with self._db.transaction() as conn:
            version = await self._open(conn, version_id)
            current = found(await store.published(conn, version.code, version.locale, exact=True))
            if not await store.rebase(conn, version_id, old=version.based_on, based_on=current.id):
                raise Conflict(CHANGED_MEANWHILE)
            await _note(conn, member, "procedure.rebased", version, based_on=current.number)

    # review

    async def submit(self, version_id: int, member: Member, *, seen: str) -> None:
        """Ask for review. Raises NotReady while lint finds something, Conflict when the text is not ``seen``."""
        async with self._db.transaction() as conn:
            version = await self._open(conn, version_id, seen=seen)
            await self._check_ready(conn, version)
            if not await store.submit(conn, version_id, seen):
                raise Conflict(CHANGED_MEANWHILE)
            await _note(conn, member, "procedure.submitted", version)

    async def read(self, text: str) -> texts.Reading:
        """What a text says and what is to be mended in it, with the names that exist in the library. Raises Invalid."""
        cleaned = texts.clean(text)
        async with self._db.connection() as conn:
            return texts.read(cleaned, await self._names(conn))

    async def _names(self, conn: Connection) -> Known:
        codes = await store.names(conn)
        skills = {skill.name for skill in await self._members.all_skills(conn=conn)}
        environments = {code for code, is_environment in codes if is_environment}
        return Known(procedures={code for code, _ in codes}, environments=environments, skills=skills)

    async def _check_ready(self, conn: Connection, version: Version) -> None:
        blocking = texts.read(version.text, await self._names(conn)).blocking
        if blocking:
            raise NotReady(blocking)
        current = await store.published(conn, version.code, version.locale, exact=True)
        if current and current.id != version.based_on:
            raise Conflict(
                N_("Version {number} was published after this draft was begun. Compare with it first."),
                number=current.number,
            )
        if current and current.digest == version.digest:
            raise Conflict(N_("The text says exactly what the published version says."))

    async def approve(
        self, version_id: int, member: Member, *, password: str, seen: str, comment: str = "", address: str = ""
    ) -> None:
        """Approve exactly the text ``seen``; the password is asked again (ASVS 5.0 §7.5).

        Raises Forbidden for the author, the editors and those who do not review; Invalid(field="password") for a
        wrong password, TooMany after several (``address``: from where, for that count).
        """
        await self._members.confirm_password(member, password, address=address)
        await self._decide(version_id, member, Decision.APPROVE, seen, _comment(comment, required=False))

    async def request_changes(self, version_id: int, member: Member, *, seen: str, comment: str) -> None:
        """Send it back to its author with what has to change."""
        await self._decide(version_id, member, Decision.CHANGES, seen, _comment(comment, required=True))

    async def _decide(self, version_id: int, member: Member, decision: Decision, seen: str, comment: str) -> None:
        _check_reviewer(member)
        async with self._db.transaction() as conn:
            version = await self._open(conn, version_id, seen=seen)
            if not independent(version, member.id):
                raise Forbidden(N_("Whoever wrote or changed a text does not judge it."))
            if version.state != VersionState.IN_REVIEW:
                raise Conflict(N_("This version is not in review."))
            await review_store.review(conn, version_id, seen, member.id, decision, comment)
            if decision is Decision.CHANGES and not await store.back_to_draft(conn, version_id, seen):
                raise Conflict(CHANGED_MEANWHILE)
            action = "procedure.approved" if decision is Decision.APPROVE else "procedure.changes_requested"
            await _note(conn, member, action, version, digest=seen)

    async def comment(self, version_id: int, member: Member, body: str, *, step_id: str | None = None) -> int:
        """Say something about an open version, or about one of its steps."""
        body = _comment(body, required=True)
        async with self._db.transaction() as conn:
            version = await self._open(conn, version_id)
            comment_id = await review_store.comment(conn, version_id, (step_id or "")[:64] or None, member.id, body)
            await _note(conn, member, "procedure.commented", version, comment=comment_id, step=step_id)
        return comment_id

    async def resolve(self, version_id: int, comment_id: int, member: Member) -> None:
        async with self._db.transaction() as conn:
            version = await self._open(conn, version_id)
            if await review_store.resolve(conn, version_id, comment_id, member.id):
                await _note(conn, member, "procedure.comment_resolved", version, comment=comment_id)

    async def publish(self, version_id: int, member: Member, *, seen: str) -> Version:
        """Make it the version in force.

        Raises Conflict without two approvals of exactly this text, or with an objection.
        """
        _check_reviewer(member)
        async with self._db.transaction() as conn:
            version = await self._open(conn, version_id, seen=seen)
            if version.state != VersionState.IN_REVIEW:
                raise Conflict(N_("This version is not in review."))
            await self._check_ready(conn, version)
            judged = verdict(version, await review_store.reviews(conn, version_id))
            if not judged.settled:
                raise Conflict(N_("Two approvals by other reviewers are needed, and no open objection."))
            await self._put_in_force(conn, version, member, VersionState.IN_REVIEW, approvals=list(judged.approvals))
        return await self.get(version_id)

    async def _put_in_force(
        self, conn: Connection, version: Version, member: Member, old: VersionState, **details: object
    ) -> None:
        number = await store.publish(conn, version, member.id, old=old)
        if number is None:
            raise Conflict(CHANGED_MEANWHILE)
        await self._reindex(conn, version)
        if self._articles:
            await article_links.note_mentions(self._articles, conn, version)
        await _note(conn, member, "procedure.published", version, number=number, digest=version.digest, **details)

    async def withdraw(self, version_id: int, member: Member, *, reason: str) -> None:
        """Take a published version out of force; runs that follow it may finish."""
        _check_reviewer(member)
        checked = _reason(reason, required=True)
        async with self._db.transaction() as conn:
            version = found(await store.lock(conn, version_id))
            if not await store.withdraw(conn, version_id, member.id, checked):
                raise Conflict(N_("Only a published version can be withdrawn."))
            await self._reindex(conn, version)
            await _note(conn, member, "procedure.withdrawn", version, number=version.number, reason=checked[:500])

    # from the command line

    async def import_text(self, text: str, member: Member, publish: bool = False) -> Version:
        """Take a text in as a draft, or, without a review, as the next version in force (``publish``).

        Only an administrator publishes so, on the command line (``compagnon procedures import --publish``). A text that
        is already in force, or already a draft, is left alone. Raises NotReady, Forbidden.
        """
        if publish and not member.role.covers(Role.ADMINISTRATOR):
            raise Forbidden(N_("Only an administrator may publish without a review."))
        reading = texts.read(texts.clean(text))
        if reading.procedure is None or (publish and reading.blocking):
            raise NotReady(reading.blocking or reading.findings)
        code, locale = texts.identity(reading.procedure)
        async with self._db.transaction() as conn:
            known = await self._known(conn, code, locale, reading.digest)
            if known is None or (publish and known.number is None):
                known = found(await store.get(conn, await self._add(conn, reading, member, reason="import")))
                if publish:
                    await self._put_in_force(conn, known, member, VersionState.DRAFT, imported=True)
        return await self.get(known.id)

    async def _known(self, conn: Connection, code: str, locale: str, digest: str) -> Summary | None:
        current = await store.published(conn, code, locale, exact=True)
        if current and current.digest == digest:
            return current
        drafts = await store.open_of(conn, code)
        return next((draft for draft in drafts if draft.locale == locale and draft.digest == digest), None)

    # inside

    async def _reindex(self, conn: Connection, version: Summary) -> None:
        # Both kinds: a new version may have turned a procedure into an environment.
        for kind in indexing.KINDS:
            await self._search.changed(conn, kind, indexing.document_id(version))

    async def _open(self, conn: Connection, version_id: int, *, seen: str | None = None) -> Version:
        version = found(await store.lock(conn, version_id))
        if not version.open:
            raise Conflict(N_("This version is closed: it cannot change any more."))
        if seen is not None and version.digest != seen:
            raise Conflict(CHANGED_MEANWHILE)
        return version


def _check_reviewer(member: Member) -> None:
    if not member.role.covers(Role.REVIEWER):
        raise Forbidden(N_("Only reviewers may do this."))


def _same_document(version: Summary, reading: texts.Reading) -> None:
    if reading.procedure is None:
        return
    if (reading.procedure.id, reading.procedure.locale) != (version.code, version.locale):
        raise Invalid(
            N_("The text must keep its code and language: id: {code}, locale: {locale}."),
            field="text",
            code=version.code,
            locale=version.locale,
        )


def _reason(reason: str, *, required: bool) -> str:
    return _bounded(reason, REASON_LIMIT, "reason", required=required)


def _comment(comment: str, *, required: bool) -> str:
    return _bounded(comment, COMMENT_LIMIT, "comment", required=required)


def _bounded(value: str, limit: int, field: str, *, required: bool) -> str:
    value = value.replace("\r\n", "\n").replace("\x00", "").strip()
    if required and not value:
        raise Invalid(N_("Please fill this in."), field=field)
    if len(value) > limit:
        raise Invalid(N_("This is too long: {limit} characters at most."), field=field, limit=limit)
    return value


async def _note(conn: Connection, member: Member, action: str, version: Summary, **details: object) -> None:
    await events.publish(conn, f"procedure:{version.code}", action, {"version": version.id, "by": member.id})
    await audit.record(
        conn,
        actor=Actor.member(member.id),
        action=action,
        subject=f"procedure:{version.code}",
        details={"version": version.id, "locale": version.locale, **details},
    )
