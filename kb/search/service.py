"""The search as the other packages use it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace

import psycopg

from compagnon.auth.model import Member
from compagnon.db import Connection, Database
from compagnon.i18n import N_
from kb.search import analysis, store
from kb.search.engine import Ranked, SearchEngine
from kb.search.hits import hits
from kb.search.indexer import Indexer, Report
from kb.search.library import Library, Outcome
from kb.search.library_source import LibrarySource
from kb.search.model import MAX_LIMIT, Answer, Boost, Filters, Found, Group, Hit, Page, Progress, Reason, document_key
from kb.search.outbox import Worker
from kb.search.ports import Evidence, Synonyms
from kb.search.previews import Preview, Previews
from kb.search.question import Question, ask
from kb.search.records import RecordQuery, RecordSource, of_question
from kb.search.reranking import Reranker
from kb.search.suggesting import adjusted
from kb.search.syntax import narrowed

log = logging.getLogger(__name__)
TIMEOUT = 2.0  # seconds for each kind of record
FEW_RECORDS = 5  # of a kind, on a page of all kinds
POLL = 0.2  # seconds between two looks at a build that another process does
KNOWN_KINDS = {
    "procedure": (N_("Procedures"), "list-check"),
    "environment": (N_("Standard environments"), "device-desktop-cog"),
    "article": (N_("Articles"), "book"),
}
NO_ANSWER = N_("Some records could not be searched; please try again.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """A kind of library document."""

    source: LibrarySource
    label: str
    icon: str


class Search:
    """One search over the library (an index of its own) and the records (PostgreSQL, through their packages)."""

    def __init__(self, db: Database, engine: SearchEngine) -> None:
        self._db = db
        self._engine = engine
        self._shelves: dict[str, Shelf] = {}
        self._records: dict[str, RecordSource] = {}
        self._sources: dict[str, LibrarySource] = {}
        self._indexer = Indexer(db, engine, self._sources)
        self._library = Library(db, engine)
        self.previews = Previews()

    # registration, while wiring

    def library_source(self, kind: str, source: LibrarySource, *, label: str = "", icon: str = "") -> None:
        """Register a kind of library document. ``label`` is an English msgid (plural noun), ``icon`` a Tabler icon."""
        known = KNOWN_KINDS.get(kind, (kind, "file"))
        self._shelves[kind] = Shelf(source=source, label=label or known[0], icon=icon or known[1])
        self._sources[kind] = source

    def record_source(self, source: RecordSource) -> None:
        """Register a kind of record; groups appear in the order of registration, after the library."""
        self._records[source.kind] = source

    def synonyms(self, port: Synonyms) -> None:
        """Register the list of words that mean the same."""
        self._library.synonyms = port

    def evidence(self, port: Evidence) -> None:
        """Register what is known from the field: past questions go into the index, the rest into the ranking."""
        self._library.evidence = port
        self._indexer.evidence = port

    def rerank(self, reranker: Reranker | None) -> None:
        """Register what ranks the best documents anew; None: nothing does."""
        self._library.reranker = reranker

    def preview(self, kind: str, preview: Preview) -> None:
        """Register what is shown of a document or record beside the results."""
        self.previews.register(kind, preview)

    def in_library(self, kind: str) -> bool:
        return kind in self._shelves

    async def has(self, kind: str, id: str) -> bool:
        """Whether there is such a library document now; for any text that somebody sends."""
        shelf = self._shelves.get(kind)
        return shelf is not None and id.isprintable() and await shelf.source.document(id) is not None

    def kinds(self) -> Sequence[Group]:
        """Every kind that can be searched, as groups without hits, in the order in which they are shown."""
        known: dict[str, Shelf | RecordSource] = {**self._shelves, **self._records}
        return [Group(kind=kind, label=each.label, icon=each.icon, hits=()) for kind, each in known.items()]

    # writing

    async def changed(self, conn: Connection, kind: str, id: str | int) -> None:
        """Say, in the transaction of the change, that a library document was published, changed or withdrawn.

        It is found (or gone) within a second of the commit. Cheap; call it as often as something changed.
        """
        await store.add(conn, kind, str(id))

    def working(self) -> AbstractAsyncContextManager[None]:
        """The background work of a server process: keeps the index up to date, builds it where it is missing."""
        return Worker(self._db.url, self._indexer, self._library.prepare).running()

    async def reindex(self, progress: Report | None = None) -> int:
        """Build the index anew from the database while the present one is searched. Returns its number of documents.

        Where a server is running it does the work and this waits. ``progress(done, total)`` is called as it goes.
        """
        conn = await psycopg.AsyncConnection.connect(self._db.url, autocommit=True, connect_timeout=10)
        async with conn:
            if await store.try_lock(conn):
                return await self._indexer.rebuild(progress)
            await store.broken(conn)
            done = await _wait_for_build(conn, progress)
            return await self._indexer.rebuild(progress) if done is None else done

    async def progress(self) -> Progress:
        """Whether the index is ready or being built, and how far."""
        async with self._db.connection() as conn:
            return (await store.state(conn)).progress

    # asking

    def lexemes(self, text: str, locale: str = "fr") -> list[str]:
        """The terms of a text, as every search here understands it, without stop words."""
        return analysis.terms(text, locale)

    async def library(
        self,
        text: str,
        *,
        filters: Filters | None = None,
        limit: int = 10,
        boosts: Mapping[str, Boost] | None = None,
    ) -> Sequence[Hit]:
        """The best documents of the library for ``text``, at most ``limit`` (≤ 100).

        ``boosts``: document key (``procedure:imp-001``, every language, or ``procedure:imp-001.fr``) → evidence.
        """
        found = await self.find(text, filters=filters, limit=limit, boosts=boosts)
        return found.hits

    async def find(
        self,
        text: str,
        *,
        filters: Filters | None = None,
        limit: int = 10,
        boosts: Mapping[str, Boost] | None = None,
        environment: str | None = None,
        typing: bool = False,
        exact: bool = False,
    ) -> Found:
        """As ``library``, with the total, the facets, a correction and notices for the person.

        ``environment``: of the machine it is for; ``typing``: the last word may be unfinished; ``exact``: the words as
        typed, although another spelling may be offered.
        """
        question = ask(text, typing=typing)
        wanted = narrowed(filters or Filters(), question.filters)
        outcome = await self._library.rank(question, wanted, limit, boosts, environment=environment, exact=exact)
        return Found(
            hits=hits(outcome.question, outcome.ranking.ranked, outcome.boosts, environment=environment),
            total=outcome.ranking.total,
            facets=outcome.ranking.facets,
            notices=outcome.notices,
            corrected=outcome.corrected,
        )

    async def related(self, kind: str, id: str | int, limit: int = 5, locale: str = "") -> Sequence[Hit]:
        """Documents about the same things as this one, best first; neither itself nor its other languages.

        ``locale``: only in this language; empty: in its own. Nothing for a document that is not in the index.
        """
        outcome = await self._library.related(document_key(kind, id), locale, min(limit, MAX_LIMIT // 2))
        return hits(outcome.question, outcome.ranking.ranked, {})

    async def suggest(
        self,
        symptom: str,
        *,
        environment: str | None = None,
        locale: str | None = None,
        boosts: Mapping[str, Boost] | None = None,
        limit: int = 5,
        kinds: Sequence[str] = ("procedure",),
        printed: bool = False,
    ) -> Sequence[Hit]:
        """What may cure ``symptom`` on a machine of ``environment``: documents of these ``kinds``, each saying why.

        ``printed``: by a machine, not typed by a person: its words are whole, and spelled as they are meant.

        Without a symptom the evidence alone (``boosts``: failing checks, past cures) decides. One hit per document, in
        ``locale`` where there is one.
        """
        filters = Filters(kinds=tuple(kinds))
        outcome = await self._library.rank(
            ask(symptom, typing=not printed, signs=False),
            filters,
            MAX_LIMIT // 2,
            boosts,
            environment=environment,
            exact=printed,
        )
        if outcome.notices:
            log.info("suggestions are incomplete: %s", outcome.notices[0].message)
        ranked = adjusted(outcome.ranking.ranked, environment=environment, locale=locale)[:limit]
        return hits(outcome.question, ranked, outcome.boosts, environment=environment)

    async def everywhere(self, member: Member, text: str, limit: int = 5, *, typing: bool = False) -> Sequence[Group]:
        """Library and records, in groups of at most ``limit`` hits; groups without any are left out."""
        return (await self.answer(member, text, limit, typing=typing)).groups

    async def answer(
        self, member: Member, text: str, limit: int = 5, *, kind: str = "", filters: Filters | None = None,
        typing: bool = False, exact: bool = False,
    ) -> Answer:  # fmt: skip
        """Everything that ``member`` may find, with notices. ``kind``: only this one; ``exact``: as in ``find``."""
        question = ask(text, typing=typing)
        if question.empty and not question.text:
            return Answer(notices=question.notices)
        wanted = narrowed(filters or Filters(), question.filters)
        shelves = [name for name in self._shelves if kind in {"", name} and _kept(name, wanted)]
        asked = of_question(question)
        sources = [source for source in self._record_sources(wanted) if kind in {"", source.kind}]
        (groups, found), records = await asyncio.gather(
            self._library_groups(question, shelves, wanted, limit, member.locale, exact=exact),
            asyncio.gather(*(self._record_group(member, source, asked, limit) for source in sources)),
        )
        missed = (Reason(message=NO_ANSWER),) if None in records else ()
        return Answer(
            groups=(*groups, *(group for group in records if group and group.hits)),
            facets=found.facets,
            notices=(*found.notices, *missed),
            corrected=found.corrected,
        )

    async def page(
        self, member: Member, text: str, *, filters: Filters, first: int = 0, limit: int = 10, typing: bool = False,
        exact: bool = False,
    ) -> Page:  # fmt: skip
        """The library's hits ``first`` to ``limit`` in one list, and what records ``member`` may find.

        ``filters.kinds`` may name kinds of records too; any other filter leaves the records out.
        """
        question = ask(text, typing=typing)
        if question.empty and not question.text:
            return Page(notices=question.notices)
        filters = narrowed(filters, question.filters)
        sources = self._record_sources(filters)
        depth = limit if len(filters.kinds) == 1 else FEW_RECORDS
        library, groups = await asyncio.gather(
            self._library_page(question, filters, first, limit, member.locale, exact=exact),
            asyncio.gather(*(self._record_group(member, source, of_question(question), depth) for source in sources)),
        )
        missed = (Reason(message=NO_ANSWER),) if None in groups else ()
        start = first if len(filters.kinds) == 1 else 0
        records = [replace(group, hits=group.hits[start:]) for group in groups if group and group.hits[start:]]
        return Page(library=library, records=records, notices=(*library.notices, *missed))

    # inside

    def _record_sources(self, filters: Filters) -> list[RecordSource]:
        if replace(filters, kinds=()) != Filters():
            return []
        return [source for kind, source in self._records.items() if _kept(kind, filters)]

    async def _library_page(
        self, question: Question, filters: Filters, first: int, limit: int, locale: str, *, exact: bool
    ) -> Found:
        shelves = [kind for kind in self._shelves if _kept(kind, filters)]
        if not shelves or question.empty:
            return Found(notices=question.notices)
        wanted = replace(filters, kinds=tuple(shelves) if filters.kinds else ())
        environment = filters.environments[0] if len(filters.environments) == 1 else None
        depth = min(MAX_LIMIT, 2 * limit)
        outcome = await self._library.rank(question, wanted, depth, environment=environment, exact=exact)
        ranked = adjusted(outcome.ranking.ranked, locale=locale, weights={})[first:limit]
        return Found(
            hits=hits(outcome.question, ranked, outcome.boosts, environment=environment),
            total=outcome.ranking.total,
            facets=outcome.ranking.facets,
            notices=outcome.notices,
            corrected=outcome.corrected,
        )

    async def _library_groups(
        self, question: Question, shelves: Sequence[str], filters: Filters, limit: int, locale: str, *, exact: bool
    ) -> tuple[list[Group], Found]:
        if not shelves or question.empty:
            return [], Found(notices=question.notices)
        wanted = replace(filters, kinds=tuple(shelves))
        depth = min(MAX_LIMIT, 2 * limit * len(shelves))
        environment = filters.environments[0] if len(filters.environments) == 1 else None
        outcome = await self._library.rank(question, wanted, depth, environment=environment, exact=exact)
        ranked = adjusted(outcome.ranking.ranked, locale=locale, weights={})
        groups = [self._group(outcome, name, ranked, limit) for name in shelves]
        found = Found(facets=outcome.ranking.facets, notices=outcome.notices, corrected=outcome.corrected)
        return [group for group in groups if group.hits], found

    def _group(self, outcome: Outcome, kind: str, ranked: Sequence[Ranked], limit: int) -> Group:
        shelf = self._shelves[kind]
        mine = [item for item in ranked if item.document.kind == kind][:limit]
        return Group(kind=kind, label=shelf.label, icon=shelf.icon, hits=hits(outcome.question, mine, outcome.boosts))

    async def _record_group(self, member: Member, source: RecordSource, asked: RecordQuery, limit: int) -> Group | None:
        try:
            async with asyncio.timeout(TIMEOUT):
                found = await source.search(member, asked, limit)
        except TimeoutError:
            log.warning("%s took more than %s seconds to search", source.kind, TIMEOUT)
            return None
        except Exception:  # one kind that fails must not take the others with it
            log.exception("%s could not be searched", source.kind)
            return None
        best = tuple(found.hits[:limit])
        return Group(kind=source.kind, label=source.label, icon=source.icon, hits=best, notices=found.notices)


def _kept(kind: str, filters: Filters) -> bool:
    return not filters.kinds or kind in filters.kinds


async def _wait_for_build(conn: Connection, progress: Callable[[int, int], None] | None) -> int | None:
    """How many documents another process indexed; None when it is gone and the work is ours (we hold the lock)."""
    while True:
        state = await store.state(conn)
        if state.phase == "ready":
            return state.done
        if progress and state.phase == "building":
            progress(state.done, state.total)
        await asyncio.sleep(POLL)
        if await store.try_lock(conn):
            return None
