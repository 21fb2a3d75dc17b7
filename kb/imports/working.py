"""The work of one import: document by document, in small transactions, alone on its source."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import psycopg

from compagnon import audit
from compagnon.audit import Actor
from compagnon.auth.model import Member
from compagnon.db import Connection, Database
from compagnon.errors import AppError, Conflict, Invalid, NotFound
from compagnon.events import publish
from compagnon.i18n import N_
from kb.articles.model import ImportedArticle, ImportOutcome
from kb.articles.service import Articles
from kb.imports import store
from kb.imports.model import Counts, Run, RunState, Skipped, SkipReason, Source
from kb.imports.plan import Plan, article

TOPIC = "imports:all"
BUSY = N_("This source is being imported at the moment: wait until that ends.")
BATCH = 10  # documents of one transaction: the audit log's lock is held for as long
WITHDRAWN = N_("All articles of the source “{name}” were withdrawn.")
TELL_EVERY = 0.5  # seconds between two signs of progress: open pages read themselves anew at each
TRIES, PAUSE = 5, 0.1  # times, seconds
COUNTED = {
    ImportOutcome.ADDED: "added",
    ImportOutcome.UPDATED: "changed",
    ImportOutcome.UNCHANGED: "unchanged",
    ImportOutcome.PROPOSED: "proposed",
    ImportOutcome.HELD: "proposed",
}
Progress = Callable[[int, int], None]


class Work:
    def __init__(self, db: Database, articles: Articles) -> None:
        self._db = db
        self._articles = articles
        self._told: dict[int, float] = {}  # when the progress of a run was last told

    @asynccontextmanager
    async def alone(self, source_id: int) -> AsyncIterator[None]:
        """Be the only one at work on a source; raises Conflict when another is.

        The lock is that of a connection of its own: however this process ends, PostgreSQL lets go of it.
        """
        conn = await psycopg.AsyncConnection.connect(self._db.url, autocommit=True, connect_timeout=10)
        try:
            if not await _locked(conn, source_id):
                raise Conflict(BUSY)
            try:
                yield
            finally:
                with contextlib.suppress(psycopg.Error):  # at once: PostgreSQL takes a moment to end a connection
                    await store.unlock(conn, source_id)
        finally:
            await conn.close()

    async def take(self, run: Run, plan: Plan, member: Member, progress: Progress | None) -> None:
        """Put every document in force, mark what is gone, say how it went."""
        source, total = await self._begin(run, len(plan.articles), plan.skipped), len(plan.articles)
        fresh = await self._fresh(source, plan)
        counts = Counts(done=total - len(fresh), unchanged=total - len(fresh))
        for at in range(0, max(len(fresh), 1), BATCH):
            counts = await self._batch(run, fresh[at : at + BATCH], counts, member)
            if progress:
                progress(counts.done, total)
        gone = sorted(set(await self._articles.imported(source.name)) - plan.kept_paths)
        for at in range(0, len(gone), BATCH):
            counts = await self._gone(run, source, gone[at : at + BATCH], counts, member)
        await self._end(run, counts, Actor.member(member.id))

    async def withdraw(self, run: Run, member: Member) -> None:
        """Take every article of the source out of force."""
        async with self._db.connection() as conn:
            ids = await store.in_force(conn, run.source_id)
        source, counts = await self._begin(run, len(ids), ()), Counts()
        for article_id in ids:
            counts = counts.plus(done=1, removed=await self._withdrawn(source, article_id, member))
            async with self._db.transaction() as conn:
                await self._progress(conn, run, counts)
        await self._end(run, counts, Actor.member(member.id))

    async def _withdrawn(self, source: Source, article_id: int, member: Member) -> int:
        current = await self._articles.get(article_id)
        try:
            reason = WITHDRAWN.format(name=source.name)
            await self._articles.withdraw(article_id, member, seen=current.digest, reason=reason)
        except Conflict:  # somebody was faster
            return 0
        return 1

    async def fail(self, run: Run, error: AppError, actor: Actor) -> None:
        """Say why an import could not be done."""
        async with self._db.transaction() as conn:
            params = {name: str(value)[:200] for name, value in error.params.items()}
            if await store.end(conn, run, RunState.FAILED, problem=error.message, params=params):
                await publish(conn, TOPIC, "failed")
                details = {"run": run.id, "problem": str(error)[:300]}
                await audit.record(
                    conn, actor=actor, action="import.failed", subject=f"source:{run.source_id}", details=details
                )

    async def _begin(self, run: Run, total: int, skipped: Sequence[Skipped]) -> Source:
        async with self._db.transaction() as conn:
            source = await store.source(conn, run.source_id)
            if source is None or not await store.begin(conn, run, total=total, skipped=skipped):
                raise NotFound(N_("There is nothing here."))
            await publish(conn, TOPIC, "progress")
        return source

    async def _fresh(self, source: Source, plan: Plan) -> Sequence[ImportedArticle]:
        """The documents that say something else than at the last import. Links may lead to every one that ever came."""
        async with self._db.connection() as conn:
            known = frozenset(await store.paths(conn, source.id)) | {one.path for one in plan.articles}
        same = await self._articles.imported(source.name)
        made = await asyncio.to_thread(lambda: [article(one, source, known) for one in plan.articles])
        return [one for one in made if same.get(one.source_id) != one.digest]

    async def _batch(self, run: Run, documents: Sequence[ImportedArticle], counts: Counts, member: Member) -> Counts:
        """A few documents in one transaction. One that is refused costs the others nothing."""
        async with self._db.transaction() as conn:
            refused = []
            for document in documents:
                outcome = await self._put(conn, document, Actor.member(member.id))
                if isinstance(outcome, Skipped):
                    refused.append(outcome)
                else:
                    counts = counts.plus(**{COUNTED[outcome]: 1})
            counts = counts.plus(done=len(documents))
            await store.add_refused(conn, run.id, refused)
            await self._progress(conn, run, counts)
        return counts

    async def _put(self, conn: Connection, document: ImportedArticle, actor: Actor) -> ImportOutcome | Skipped:
        try:
            return (await self._articles.put_imported(document, actor=actor, conn=conn)).outcome
        except Invalid as error:
            return Skipped(path=document.source_id, reason=SkipReason.REFUSED, detail=str(error)[:200])

    async def _gone(self, run: Run, source: Source, paths: Sequence[str], counts: Counts, member: Member) -> Counts:
        async with self._db.transaction() as conn:
            marked = await self._articles.mark_gone(source.name, paths, actor=Actor.member(member.id), conn=conn)
            counts = counts.plus(removed=marked)
            await self._progress(conn, run, counts)
        return counts

    async def _progress(self, conn: Connection, run: Run, counts: Counts) -> None:
        if not await store.progress(conn, run.id, counts):
            raise Conflict(N_("This import was ended from elsewhere."))
        now = time.monotonic()
        if now - self._told.get(run.id, 0.0) >= TELL_EVERY:
            self._told[run.id] = now
            await publish(conn, TOPIC, "progress")

    async def _end(self, run: Run, counts: Counts, actor: Actor) -> None:
        self._told.pop(run.id, None)
        async with self._db.transaction() as conn:
            await store.end(conn, run, RunState.DONE)
            await publish(conn, TOPIC, "done")
            details = {"run": run.id, **counts.told}
            await audit.record(
                conn, actor=actor, action="import.finished", subject=f"source:{run.source_id}", details=details
            )


async def _locked(conn: Connection, source_id: int) -> bool:
    """The order of an import holds the lock until just after its job can be seen: ask more than once."""
    for _ in range(TRIES):
        if await store.lock(conn, source_id):
            return True
        await asyncio.sleep(PAUSE)
    return False
