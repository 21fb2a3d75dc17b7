"""Builds the library's index from the database and applies single changes to it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol, runtime_checkable

from compagnon import events
from compagnon.db import Connection, Database
from kb.search import store
from kb.search.engine import IndexBroken, SearchEngine
from kb.search.library_source import LibrarySource
from kb.search.model import Document, document_key
from kb.search.ports import Evidence

log = logging.getLogger(__name__)
TOPIC = "search:index"  # events "progress" and "ready"
BATCH = 1_000  # documents of one commit while building
MAX_QUERIES = 50  # past questions kept with one document
MAX_QUERY = 256  # characters of one
Report = Callable[[int, int], None]


@runtime_checkable
class Countable(Protocol):
    """A library source that knows how many documents it has gives a true progress bar."""

    async def count(self) -> int: ...


class Indexer:
    """Only the holder of the advisory lock (``store.try_lock``) may call its methods that write."""

    def __init__(self, db: Database, engine: SearchEngine, sources: Mapping[str, LibrarySource]) -> None:
        self._db = db
        self._engine = engine
        self._sources = sources
        self.evidence: Evidence | None = None

    async def usable(self) -> bool:
        """Whether the index on disk is whole and belongs to this database as it is now.

        A crash between the index's commit and the database's leaves the index one generation ahead, and the changes in
        the outbox: they are applied again. Anything else means that one of the two was restored from a backup.
        """
        try:
            await asyncio.to_thread(self._engine.open)
        except IndexBroken as error:
            log.info("the search index is built anew: %s", error)
            return False
        async with self._db.connection() as conn:
            state = await store.state(conn)
        ahead = self._engine.generation - state.generation
        return state.phase == "ready" and self._engine.stamp == state.stamp and ahead in {0, 1}

    async def rebuild(self, report: Report | None = None) -> int:
        """Build the whole index beside the present one, then swap. Returns the number of documents.

        Changes that were waiting when it began are in what was read, and done with it; later ones are applied after it.
        """
        total = await self._expected()
        async with self._db.connection() as conn:
            covered = await store.untried(conn)
        await self._say(store.begin, total)
        await asyncio.to_thread(self._engine.begin)
        try:
            done = await self._fill(total, report)
            await asyncio.to_thread(self._engine.finish)
            await asyncio.to_thread(self._engine.open)
        except BaseException:
            await asyncio.to_thread(self._engine.abandon)
            raise
        async with self._db.transaction() as conn:
            await store.ready(conn, self._engine.stamp, self._engine.generation, done)
            await store.done(conn, covered)
            await events.publish(conn, TOPIC, "ready")
        return done

    async def _fill(self, total: int, report: Report | None) -> int:
        done = 0
        async for read in self._batches():
            batch = await self._with_queries(read)
            await asyncio.to_thread(self._engine.add, batch)
            done += len(batch)
            await self._say(store.advance, done)
            if report:
                report(done, max(total, done))
        return done

    async def apply_changes(self) -> int:
        """Bring the changes that are due into the index. Returns how many were handled (0: nothing is due)."""
        async with self._db.connection() as conn:
            changes = await store.due(conn)
        if not changes:
            return 0
        documents, removed, failed = await self._read(changes)
        documents = await self._with_queries(documents)
        await asyncio.to_thread(self._engine.update, documents, removed)
        await asyncio.to_thread(self._engine.count)  # looks at the new generation
        async with self._db.transaction() as conn:
            await store.done(conn, [change.id for change in changes if change.id not in failed])
            await store.later(conn, sorted(failed))
            await store.committed(conn, self._engine.stamp, self._engine.generation)
        return len(changes)

    async def _read(self, changes: Sequence[store.Change]) -> tuple[list[Document], list[str], set[int]]:
        documents: list[Document] = []
        removed: list[str] = []
        failed: set[int] = set()
        for change in {(change.kind, change.ref): change for change in changes}.values():
            try:
                document = await self._document(change)
            except Exception:
                self._note_failure(change, failed)
                continue
            if document:
                documents.append(document)
            else:
                removed.append(document_key(change.kind, change.ref))
        return documents, removed, failed

    async def _document(self, change: store.Change) -> Document | None:
        source = self._sources.get(change.kind)
        return await source.document(change.ref) if source else None

    def _note_failure(self, change: store.Change, failed: set[int]) -> None:
        """One document that cannot be read must not hold up the others; it is tried again, later and later."""
        if change.attempts + 1 < store.ATTEMPTS:
            failed.add(change.id)
            log.warning(
                "%s %s cannot be read for the search index; tried again", change.kind, change.ref, exc_info=True
            )
        else:
            log.exception("%s %s is given up for the search index", change.kind, change.ref)

    async def _with_queries(self, documents: list[Document]) -> list[Document]:
        """With the past questions that each answered. Without them a document is found less well, but it is found."""
        if self.evidence is None or not documents:
            return documents
        try:
            known = await self.evidence.queries([document.key for document in documents])
        except Exception:
            log.exception("past questions are left out of the search index")
            return documents
        return [_with(document, known.get(document.key, ())) for document in documents]

    async def _expected(self) -> int:
        counts = [await source.count() for source in self._sources.values() if isinstance(source, Countable)]
        return sum(counts)

    async def _batches(self) -> AsyncIterator[list[Document]]:
        batch: list[Document] = []
        for source in self._sources.values():
            async for document in source.documents():
                batch.append(document)
                if len(batch) == BATCH:
                    yield batch
                    batch = []
        if batch:
            yield batch

    async def _say(self, write: Callable[[Connection, int], Awaitable[None]], number: int) -> None:
        async with self._db.transaction() as conn:
            await write(conn, number)
            await events.publish(conn, TOPIC, "progress")


def _with(document: Document, queries: Sequence[str]) -> Document:
    if not queries:
        return document
    kept = dict.fromkeys(query[:MAX_QUERY] for query in (*document.queries, *queries))
    return replace(document, queries=tuple(kept)[:MAX_QUERIES])
