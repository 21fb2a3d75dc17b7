"""Bringing documents of others into the knowledge base, once or again, and taking them out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import psycopg

from compagnon import audit
from compagnon.audit import Actor
from compagnon.auth.model import Member, Role
from compagnon.db import Connection
from compagnon.errors import Conflict, Forbidden, Invalid, NotFound
from compagnon.events import publish
from compagnon.i18n import N_
from compagnon.jobs import Jobs
from compagnon.kernel import Kernel
from kb.articles.service import Articles
from kb.imports import store
from kb.imports.archives import read_archive
from kb.imports.model import UPLOAD_LIMIT, Order, Removed, Run, RunKind, RunState, Skipped, Source
from kb.imports.plan import checked, planned
from kb.imports.reading import read_folder
from kb.imports.working import BUSY, TOPIC, Work

JOB = "imports.perform"
RUNS_SHOWN = 10
Progress = Callable[[int, int], None]
T = TypeVar("T")


class Imports:
    """Administrators only: what is imported is in force without a review, like a procedure published on import."""

    def __init__(self, kernel: Kernel, articles: Articles) -> None:
        self._db = kernel.db
        self._jobs = kernel.jobs
        self._members = kernel.members
        self._work = Work(kernel.db, articles)

    def register(self, jobs: Jobs) -> None:
        """The background job (Feature.tasks)."""
        jobs.task(JOB)(self.perform)

    # reading

    async def sources(self) -> Sequence[tuple[Source, Run | None]]:
        """All sources with their last import."""
        async with self._db.connection() as conn:
            last = await store.last_runs(conn)
            return [(source, last.get(source.id)) for source in await store.sources(conn)]

    async def source(self, source_id: int) -> Source:
        async with self._db.connection() as conn:
            return _found(await store.source(conn, source_id))

    async def runs(self, source_id: int) -> Sequence[Run]:
        """The last imports of a source, newest first."""
        async with self._db.connection() as conn:
            return await store.runs(conn, source_id, RUNS_SHOWN)

    async def skipped(self, run_id: int, limit: int = 1000) -> Sequence[Skipped]:
        async with self._db.connection() as conn:
            return await store.skips(conn, run_id, limit)

    async def removed(self, source_id: int, limit: int = 500) -> Sequence[Removed]:
        """The articles in force whose documents are no longer at the source."""
        async with self._db.connection() as conn:
            return await store.removed(conn, source_id, limit)

    async def article_of(self, source_id: int, path: str) -> int:
        """The id of the article that a document gave. Raises NotFound."""
        async with self._db.connection() as conn:
            found = await store.article(conn, source_id, path)
        if found is None:
            raise NotFound(N_("There is nothing here."))
        return found

    # importing

    async def from_folder(self, folder: Path, order: Order, member: Member, progress: Progress | None = None) -> Run:
        """Import a folder of this machine and wait for the end. Raises Invalid, Forbidden, or Conflict when busy."""
        _check_may(member)
        order = await self._checked(order)
        reading = await asyncio.to_thread(read_folder, folder)
        plan = await asyncio.to_thread(planned, reading, order)
        async with self._db.transaction() as conn:
            source_id = await store.add_source(conn, order.name, member_id=member.id, **plan.kept)
        async with self._work.alone(source_id):
            async with self._db.transaction() as conn:
                await store.update_source(conn, source_id, **plan.kept)
                run = await self._added(conn, source_id, RunKind.FOLDER, order.label, RunState.RUNNING, member)
            await self._work.take(run, plan, member, progress)
        return await self.run(run.id)

    async def upload(self, data: bytes, order: Order, member: Member) -> Run:
        """Keep an archive and import it in the background. It is read here once, to refuse what cannot be imported."""
        _check_may(member)
        if len(data) > UPLOAD_LIMIT:
            raise Invalid(N_("An archive has {limit} MB at most."), field="file", limit=UPLOAD_LIMIT // 1_000_000)
        order = await self._checked(order)
        plan = await asyncio.to_thread(lambda: planned(read_archive(data), order))
        async with self._db.transaction() as conn:
            source_id = await store.add_source(conn, order.name, member_id=member.id, **plan.kept)
            run = await self._queue(conn, source_id, RunKind.ARCHIVE, order.label, member, data)
            await store.update_source(conn, source_id, **plan.kept)
            return run

    async def withdraw(self, source_id: int, member: Member) -> Run:
        """Take all articles of a source out of force, in the background."""
        _check_may(member)
        async with self._db.transaction() as conn:
            source = _found(await store.source(conn, source_id))
            return await self._queue(conn, source.id, RunKind.WITHDRAWAL, "", member, None)

    async def run(self, run_id: int) -> Run:
        async with self._db.connection() as conn:
            return _found(await store.run(conn, run_id))

    async def perform(self, run_id: int) -> None:
        """Do a queued run, which a worker that was killed may have begun: what is done is not done twice."""
        run = await self.run(run_id)
        if not run.active:
            return
        try:
            member = await self._members.get(run.started_by)
            async with self._work.alone(run.source_id):
                await self._perform(run, member)
        except (Invalid, Conflict, Forbidden, NotFound) as error:
            await self._work.fail(run, error, Actor.member(run.started_by))

    async def _perform(self, run: Run, member: Member) -> None:
        async with self._db.transaction() as conn:
            await store.start(conn, run.id)
            await publish(conn, TOPIC, "progress")
        if run.kind == RunKind.WITHDRAWAL:
            return await self._work.withdraw(run, member)
        async with self._db.connection() as conn:
            source, data = _found(await store.source(conn, run.source_id)), await store.upload(conn, run.id)
        order = Order(name=source.name, format=source.format, locale=source.locale, licence=source.licence)
        plan = await asyncio.to_thread(lambda: planned(read_archive(data or b""), order))
        await self._work.take(run, plan, member, None)
        return None

    # inside

    async def _checked(self, order: Order) -> Order:
        async with self._db.connection() as conn:
            known = await store.source_named(conn, " ".join(order.name.split()))
        return checked(order, known)

    async def _added(
        self, conn: Connection, source_id: int, kind: RunKind, label: str, state: RunState, member: Member
    ) -> Run:
        label = label[-400:]
        run_id = await store.add_run(conn, source_id, kind=kind, label=label, state=state, member_id=member.id)
        await publish(conn, TOPIC, "started")
        details = {"run": run_id, "kind": str(kind), "label": label}
        await audit.record(
            conn, actor=Actor.member(member.id), action="import.started", subject=f"source:{source_id}", details=details
        )
        return _found(await store.run(conn, run_id))

    async def _queue(
        self, conn: Connection, source_id: int, kind: RunKind, label: str, member: Member, data: bytes | None
    ) -> Run:
        """One run at a time is queued or at work for a source; the others are refused."""
        if not await store.is_free(conn, source_id):
            raise Conflict(BUSY)
        await store.forget_lost(conn, source_id)
        try:
            run = await self._added(conn, source_id, kind, label, RunState.QUEUED, member)
        except psycopg.errors.UniqueViolation as error:
            if error.diag.constraint_name != "import_runs_one_queued":
                raise
            raise Conflict(BUSY) from None
        if data is not None:
            await store.add_upload(conn, run.id, data)
        await self._jobs.defer(conn, JOB, run_id=run.id)
        return run


def _check_may(member: Member) -> None:
    if not member.role.covers(Role.ADMINISTRATOR):
        raise Forbidden(N_("Only administrators may import articles: they are in force without a review."))


def _found(thing: T | None) -> T:
    if thing is None:
        raise NotFound(N_("There is nothing here."))
    return thing
