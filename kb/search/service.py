"""The search as the other packages use it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

import psycopg

from compagnon.auth.model import Member
from compagnon.db import Connection, Database
from compagnon.i18n import N_
from kb.search import analysis, store
from kb.search.engine import IndexBroken, Ranked, Ranking, SearchEngine, SearchTimeout
from kb.search.highlight import Highlighter
from kb.search.indexer import Indexer, Report
from kb.search.library_source import LibrarySource
from kb.search.model import (
    MAX_LIMIT,
    Answer,
    Boost,
    Filters,
    Found,
    Group,
    Hit,
    Progress,
    Reason,
)
from kb.search.outbox import Worker
from kb.search.question import Question, ask
from kb.search.records import RecordQuery, RecordSource, of_question
from kb.search.stopwords import STOP_WORDS
from kb.search.suggesting import adjusted

log = logging.getLogger(__name__)
TIMEOUT = 2.0  # seconds for the library, and for each kind of record
POLL = 0.2  # seconds between two looks at a build that another process does
KNOWN_KINDS = {
    "procedure": (N_("Procedures"), "list-check"),
    "environment": (N_("Standard environments"), "device-desktop-cog"),
    "article": (N_("Articles"), "book"),
}
WORDS = N_("Holds: {words}")
WORDS_SHOWN = 4
# Found in too much to say why a document was.
SAY_NOTHING = frozenset().union(*STOP_WORDS.values(), ("rien", "nothing", "depuis", "since"))
TOO_SLOW = N_("The library took too long to answer: please use fewer words.")
LOOSENED = N_("Nothing holds the quoted words side by side: these hold them anywhere.")
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

    # registration, while wiring

    def library_source(self, kind: str, source: LibrarySource, *, label: str = "", icon: str = "") -> None:
        """Register a kind of library document. ``label`` is an English msgid (plural noun), ``icon`` a Tabler icon."""
        known = KNOWN_KINDS.get(kind, (kind, "file"))
        self._shelves[kind] = Shelf(source=source, label=label or known[0], icon=icon or known[1])
        self._sources[kind] = source

    def record_source(self, source: RecordSource) -> None:
        """Register a kind of record; groups appear in the order of registration, after the library."""
        self._records[source.kind] = source

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
        return Worker(self._db.url, self._indexer).running()

    async def reindex(self, progress: Report | None = None) -> int:
        """Build the index anew from the database while the present one is searched. Returns its number of documents.

        Where a server is running it does the work and this waits. ``progress(done, total)`` is called as it goes.
        """
        conn = await psycopg.AsyncConnection.connect(self._db.url, autocommit=True, connect_timeout=10)
        async with conn:
            if await store.try_lock(conn):
                return await self._indexer.rebuild(progress)
            await store.broken(conn)
            return await _wait_for_build(conn, progress)

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
        typing: bool = False,
    ) -> Found:
        """As ``library``, with the total, the facets and notices for the person.

        ``typing``: the last word may be unfinished.
        """
        return await self._find(ask(text, typing=typing), filters or Filters(), limit, boosts or {})

    async def suggest(
        self,
        symptom: str,
        *,
        environment: str | None = None,
        locale: str | None = None,
        boosts: Mapping[str, Boost] | None = None,
        limit: int = 5,
    ) -> Sequence[Hit]:
        """The procedures that may cure ``symptom`` on a machine of ``environment``, each saying why.

        Without a symptom the evidence alone (``boosts``: failing checks, past cures) decides. One hit per procedure, in
        ``locale`` where there is one.
        """
        question = ask(symptom, typing=True)
        ranking, notices = await self._rank(question, Filters(kinds=("procedure",)), MAX_LIMIT // 2, boosts or {})
        if notices:
            log.info("suggestions are incomplete: %s", notices[0].message)
        ranked = adjusted(ranking.ranked, environment=environment, locale=locale)[:limit]
        return _hits(question, ranked, boosts or {}, environment=environment)

    async def everywhere(self, member: Member, text: str, limit: int = 5, *, typing: bool = False) -> Sequence[Group]:
        """Library and records, in groups of at most ``limit`` hits; groups without any are left out."""
        return (await self.answer(member, text, limit, typing=typing)).groups

    async def answer(
        self, member: Member, text: str, limit: int = 5, *, kind: str = "", filters: Filters | None = None,
        typing: bool = False,
    ) -> Answer:  # fmt: skip
        """Everything that ``member`` may find, with notices. ``kind``: only this one."""
        question = ask(text, typing=typing)
        if question.empty and not question.text:
            return Answer(notices=question.notices)
        shelves = [name for name in self._shelves if kind in {"", name}]
        asked = of_question(question)
        sources = [source for name, source in self._records.items() if kind in {"", name}]
        (groups, found), records = await asyncio.gather(
            self._library_groups(question, shelves, filters or Filters(), limit, member.locale),
            asyncio.gather(*(self._record_group(member, source, asked, limit) for source in sources)),
        )
        missed = (Reason(message=NO_ANSWER),) if None in records else ()
        return Answer(
            groups=(*groups, *(group for group in records if group and group.hits)),
            facets=found.facets,
            notices=(*found.notices, *missed),
        )

    # inside

    async def _library_groups(
        self, question: Question, shelves: Sequence[str], filters: Filters, limit: int, locale: str
    ) -> tuple[list[Group], Found]:
        if not shelves or question.empty:
            return [], Found(notices=question.notices)
        wanted = Filters(
            kinds=tuple(shelves), environments=filters.environments, locales=filters.locales, skills=filters.skills
        )
        ranking, notices = await self._rank(question, wanted, min(MAX_LIMIT, 2 * limit * len(shelves)), {})
        ranked = adjusted(ranking.ranked, locale=locale, weights={})
        groups = [self._group(question, name, ranked, limit) for name in shelves]
        return [group for group in groups if group.hits], Found(facets=ranking.facets, notices=notices)

    def _group(self, question: Question, kind: str, ranked: Sequence[Ranked], limit: int) -> Group:
        shelf = self._shelves[kind]
        mine = [item for item in ranked if item.document.kind == kind][:limit]
        return Group(kind=kind, label=shelf.label, icon=shelf.icon, hits=_hits(question, mine, {}))

    async def _record_group(self, member: Member, source: RecordSource, asked: RecordQuery, limit: int) -> Group | None:
        try:
            async with asyncio.timeout(TIMEOUT):
                hits = await source.search(member, asked, limit)
        except Exception:  # one kind that fails must not take the others with it
            log.exception("%s could not be searched", source.kind)
            return None
        return Group(kind=source.kind, label=source.label, icon=source.icon, hits=tuple(hits[:limit]))

    async def _find(self, question: Question, filters: Filters, limit: int, boosts: Mapping[str, Boost]) -> Found:
        ranking, notices = await self._rank(question, filters, limit, boosts)
        hits = _hits(question, ranking.ranked, boosts)
        return Found(hits=hits, total=ranking.total, facets=ranking.facets, notices=notices)

    async def _rank(
        self, question: Question, filters: Filters, limit: int, boosts: Mapping[str, Boost]
    ) -> tuple[Ranking, tuple[Reason, ...]]:
        if question.empty and not boosts:
            return Ranking(), question.notices
        weights = {key: boost.weight for key, boost in boosts.items()}

        def work() -> Ranking:
            return self._engine.search(question, filters=filters, limit=limit, boosts=weights, timeout=TIMEOUT)

        try:
            ranking = await asyncio.to_thread(work)
        except SearchTimeout:
            return Ranking(), (*question.notices, Reason(message=TOO_SLOW))
        except IndexBroken as error:
            return Ranking(), (*question.notices, await self._report_broken(error))
        loosened = (Reason(message=LOOSENED),) if ranking.loosened and ranking.total else ()
        return ranking, (*question.notices, *loosened)

    async def _report_broken(self, error: IndexBroken) -> Reason:
        """Ask for a new index, unless one is being built; the person is told how far it is."""
        async with self._db.connection() as conn:
            state = await store.state(conn)
            if state.phase == "ready":
                log.warning("the search index is damaged (%s): a new one is asked for", error)
                await store.broken(conn)
        return being_built(state.progress)


def being_built(progress: Progress) -> Reason:
    """What to tell a person while the library cannot be searched."""
    if not progress.total:
        return Reason(message=N_("The search index of the library is being built; its documents are not found yet."))
    return Reason(
        message=N_("The search index of the library is being built: {done} of {total} documents."),
        params={"done": str(progress.done), "total": str(progress.total)},
    )


def _hits(
    question: Question, ranked: Sequence[Ranked], boosts: Mapping[str, Boost], *, environment: str | None = None
) -> tuple[Hit, ...]:
    highlighter = Highlighter(question)
    return tuple(_hit(item, highlighter, boosts, environment) for item in ranked)


def _hit(item: Ranked, highlighter: Highlighter, boosts: Mapping[str, Boost], environment: str | None) -> Hit:
    document = item.document
    return Hit(
        kind=document.kind,
        id=document.id,
        title=document.title,
        url=document.url,
        snippet=highlighter.snippet(document),
        score=item.score,
        why=_why(item, boosts, environment),
        badges=document.environments,
    )


def _why(item: Ranked, boosts: Mapping[str, Boost], environment: str | None) -> tuple[Reason, ...]:
    document = item.document
    why = [_evidence(boost) for key in (document.key, document.family) if (boost := boosts.get(key))]
    if words := telling_words(item.matched):
        why.append(Reason(message=WORDS, params={"words": ", ".join(words)}))
    if environment and environment in document.environments:
        why.append(Reason(message=N_("Written for {environment}"), params={"environment": environment}))
    return tuple(dict.fromkeys(why))


def telling_words(matched: Iterable[str]) -> list[str]:
    """The words that say why: each once whatever its capitals and accents, no stop words, the first few."""
    told = {analysis.fold(word): word for word in reversed(list(matched))}
    return [word for key, word in reversed(told.items()) if key not in SAY_NOTHING][:WORDS_SHOWN]


def _evidence(boost: Boost) -> Reason:
    return boost.reason if isinstance(boost.reason, Reason) else Reason(message="{text}", params={"text": boost.reason})


async def _wait_for_build(conn: Connection, progress: Callable[[int, int], None] | None) -> int:
    while True:
        state = await store.state(conn)
        if state.phase == "ready":
            return state.done
        if progress and state.phase == "building":
            progress(state.done, state.total)
        await asyncio.sleep(POLL)
