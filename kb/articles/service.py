"""What members do with articles beside writing them: say whether they helped, tie them to things, attach files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import psycopg

from compagnon.audit.model import Actor
from compagnon.auth.model import Member
from compagnon.db import Connection
from compagnon.errors import Conflict, Invalid, NotFound
from compagnon.i18n import N_
from compagnon.kept_files import KeptFiles
from compagnon.kernel import Kernel
from kb.articles import files, helped_store, link_store, store, texts
from kb.articles.importing import Importing
from kb.articles.indexing import KIND
from kb.articles.model import FOLLOWED_OFTEN, ID_LIMIT, NOTE_LIMIT, Feedback, File, Link, Version
from kb.articles.shelf import NOTHING, found, key
from kb.search.model import MAX_QUERY_CHARACTERS, Filters, Hit

if TYPE_CHECKING:
    from kb.search.service import Search

ALIKE = (KIND, "procedure")
SIMILAR = 5  # shown while somebody writes
ALIKE_SHARE = 0.25  # of the best hit's score: what shares a common word only is not about the same
NO_TICKET = N_("There is no such ticket.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """An article with all that its page shows. ``titles`` are of the procedures it names and that exist."""

    version: Version
    draft: Version | None
    history: Sequence[Version]
    translations: Sequence[Version]
    feedback: Sequence[Feedback]
    links: Sequence[Link]
    files: Sequence[File]
    titles: Mapping[str, str] = field(default_factory=dict)

    @property
    def solved(self) -> int:
        return sum(word.solved for word in self.feedback)

    @property
    def unsolved(self) -> int:
        return len(self.feedback) - self.solved

    @property
    def wants_procedure(self) -> bool:
        """Followed often, and no procedure does it yet."""
        made = self.version.procedures or any(link.kind == "procedure" for link in self.links)
        return self.solved >= FOLLOWED_OFTEN and not made and self.version.state == "published"

    def word_of(self, member_id: int, ticket_id: int | None) -> Feedback | None:
        words = (word for word in self.feedback if (word.member_id, word.ticket_id) == (member_id, ticket_id))
        return next(words, None)


class Articles(Importing):
    """All use cases: reading (``Shelf``), writing and review (``Writing``), imports (``Importing``), and those here."""

    def __init__(self, kernel: Kernel, search: Search) -> None:
        super().__init__(kernel, search)
        self._kept = KeptFiles(kernel.settings.data_dir / "articles")

    async def sheet(self, article_id: int, locale: str, *, number: int | None = None) -> Sheet:
        """The text in force (or version ``number``) and all around it; ``locale`` is of the procedures' titles."""
        version = await (self.get(article_id) if number is None else self.version(article_id, number))
        async with self._db.connection() as conn:
            sheet = Sheet(
                version=version,
                draft=await store.opened(conn, article_id),
                history=await store.history(conn, article_id),
                translations=await store.translations(conn, article_id),
                feedback=await helped_store.told(conn, article_id),
                links=await link_store.of(conn, article_id),
                files=await helped_store.files(conn, article_id),
            )
        return replace(sheet, titles=await self._titles(sheet, locale))

    async def _titles(self, sheet: Sheet, locale: str) -> Mapping[str, str]:
        codes = list(sheet.version.procedures)
        return await self.procedures.titles(codes, locale) if self.procedures and codes else {}

    async def similar(self, title: str, condition: str, *, but: int = 0) -> Sequence[Hit]:
        """What there is already about the same: articles and procedures, the article ``but`` left out."""
        words = f"{title} {condition}"[:MAX_QUERY_CHARACTERS].strip()
        if not words:
            return ()
        hits = await self._search.library(words, filters=Filters(kinds=ALIKE), limit=SIMILAR + 1)
        best = max((hit.score for hit in hits), default=0.0)
        others = [hit for hit in hits if (hit.kind, hit.id) != (KIND, str(but))]
        return [hit for hit in others if hit.score >= best * ALIKE_SHARE][:SIMILAR]

    async def environment_codes(self) -> Sequence[str]:
        """The standard environments in force."""
        return sorted(await self._environments() or ())

    # whether it helped

    async def tell(
        self, article_id: int, member: Member, *, solved: bool, note: str = "", ticket_id: int | None = None
    ) -> None:
        """Say that the text in force solved it or did not; the same member's later word (for this ticket) replaces it.

        Raises NotFound while nothing is in force, Invalid for a ticket that is not there.
        """
        note = texts.text("note", note, NOTE_LIMIT)
        try:
            news = await self._tell(article_id, member, solved=solved, note=note, ticket_id=ticket_id)
        except psycopg.errors.ForeignKeyViolation:
            raise Invalid(NO_TICKET, field="ticket") from None
        if news and self.lessons:
            await self.lessons.feedback(member, KIND, str(article_id), solved=solved)

    async def _tell(self, article_id: int, member: Member, *, solved: bool, note: str, ticket_id: int | None) -> bool:
        async with self._db.transaction() as conn:
            version = found(await store.published(conn, key(article_id)))
            assert version.number is not None, "what is in force has a number"
            news = await helped_store.tell(
                conn, article_id, member.id, ticket_id, number=version.number, solved=solved, note=note
            )
            if news:
                await self._judge(conn, [article_id])
                action = "article.solved" if solved else "article.not_solved"
                await self._note(conn, Actor.member(member.id), action, article_id, ticket=ticket_id)
        return news

    # what belongs to it

    async def of(self, kind: str, ref: str) -> Sequence[Version]:
        """The articles that belong to a ticket or procedure: those in force, and drafts of which nothing is yet."""
        async with self._db.connection() as conn:
            return await link_store.named_by(conn, kind, ref)

    async def draft_from(self, kind: str, ref: str) -> Version | None:
        """The open draft of the article that was written from a ticket, while nothing of it is in force."""
        async with self._db.connection() as conn:
            return await link_store.draft_from(conn, kind, ref)

    async def written_from(self, article_id: int, kind: str, ref: str) -> Version | None:
        """What an editor goes on with of an article that was written from a ticket; None when it was not."""
        async with self._db.connection() as conn:
            return await link_store.written_from(conn, article_id, kind, ref)

    async def tie(self, article_id: int, link: Link, member: Member, *, conn: Connection) -> None:
        """Note, in the caller's transaction, that something belongs to an article; once is enough. Raises NotFound."""
        if await store.latest(conn, key(article_id)) is None:
            raise NotFound(NOTHING)
        if await link_store.add(conn, article_id, link):
            details = {"kind": link.kind, "ref": link.ref}
            await self._note(conn, Actor.member(member.id), "article.linked", article_id, **details)

    # files

    async def attach(self, article_id: int, member: Member, name: str, data: bytes) -> None:
        """Keep a picture, PDF or text with the article; the same file twice is kept once. Raises Invalid, Conflict."""
        media_type = files.checked_type(data)
        await self.present(article_id)
        sha256 = await self._kept.keep(data)
        async with self._db.transaction() as conn:
            await self._lock(conn, article_id)
            if len(await helped_store.files(conn, article_id)) >= files.FILES_LIMIT:
                raise Conflict(N_("An article has {limit} files at most."), limit=files.FILES_LIMIT)
            added = await helped_store.add_file(
                conn, article_id, sha256=sha256, name=files.safe_name(name), media_type=media_type, size=len(data),
                member_id=member.id,
            )  # fmt: skip
            if added:
                await self._note(conn, Actor.member(member.id), "article.file_added", article_id, sha256=sha256)

    async def detach(self, article_id: int, file_id: int, member: Member) -> None:
        """Take a file off the list; versions that show it go on showing it."""
        async with self._db.transaction() as conn:
            await self._lock(conn, article_id)
            if await helped_store.remove_file(conn, article_id, file_id):
                await self._note(conn, Actor.member(member.id), "article.file_removed", article_id, file=file_id)

    async def files_of(self, article_id: int) -> Sequence[File]:
        async with self._db.connection() as conn:
            return await helped_store.files(conn, key(article_id))

    async def file(self, article_id: int, file_id: int) -> tuple[File, bytes]:
        """Raises NotFound."""
        async with self._db.connection() as conn:
            known = await helped_store.file(conn, key(article_id), file_id) if 1 <= file_id <= ID_LIMIT else None
        if known is None:
            raise NotFound(N_("There is no such file."))
        return known, await self._kept.read(known.sha256)
