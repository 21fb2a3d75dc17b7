"""Asking the library: the engine, and what is laid around it (synonyms, evidence, what to tell when it fails)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from compagnon.db import Database
from compagnon.i18n import N_
from kb.search import freshness, relating, store
from kb.search.correcting import corrected, offered
from kb.search.engine import IndexBroken, Ranked, Ranking, SearchEngine, SearchTimeout
from kb.search.expanding import Thesaurus
from kb.search.model import MAX_LIMIT, Boost, Correction, Document, Filters, Found, Progress, Reason
from kb.search.ports import Evidence, Synonyms
from kb.search.question import Question, ask
from kb.search.reranking import Reranker
from kb.search.spelling import Speller

log = logging.getLogger(__name__)
TIMEOUT = 2.0  # seconds
POOR = 3  # documents: when no more are found, another spelling of rare words is offered
WEIGHED = 50  # best documents that evidence is asked for
EVIDENCE_TIMEOUT = 0.5  # seconds; evidence that is late is left out
TOO_SLOW = N_("The library took too long to answer: please use fewer words.")
LOOSENED = N_("Nothing holds the quoted words side by side: these hold them anywhere.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the library answered: the ``question`` as it was finally asked, and the ``boosts`` that were applied."""

    question: Question
    ranking: Ranking = field(default_factory=Ranking)
    notices: tuple[Reason, ...] = ()
    boosts: Mapping[str, Boost] = field(default_factory=dict)
    corrected: Correction | None = None


class Library:
    def __init__(self, db: Database, engine: SearchEngine) -> None:
        self._db = db
        self._engine = engine
        self._thesaurus = Thesaurus()
        self._speller = Speller(engine)
        self.synonyms: Synonyms | None = None
        self.evidence: Evidence | None = None
        self.reranker: Reranker | None = None

    async def prepare(self) -> None:
        """Open the index that is there and read its words: a second or two that no question should wait for."""

        def work() -> None:
            self._engine.open()
            self._speller.dictionary()

        with contextlib.suppress(IndexBroken):  # whoever writes it will see that, and say so
            await asyncio.to_thread(work)

    async def rank(
        self,
        question: Question,
        filters: Filters,
        limit: int,
        boosts: Mapping[str, Boost] | None = None,
        *,
        environment: str | None = None,
        exact: bool = False,
    ) -> Outcome:
        """The best documents. ``boosts``: evidence that the caller has; more is asked for those that are found.

        ``exact``: another spelling is offered, never taken. Never raises for a question: what went wrong is a notice.
        """
        boosts = boosts or {}
        if question.empty and not boosts:
            return Outcome(question=question, notices=question.notices)

        def work() -> Outcome:
            return self._corrected(question, filters, max(limit, WEIGHED), boosts, exact=exact)

        try:
            outcome = await asyncio.to_thread(work)
        except SearchTimeout:
            return Outcome(question=question, notices=(*question.notices, Reason(message=TOO_SLOW)))
        except IndexBroken as error:
            return Outcome(question=question, notices=(*question.notices, await self._report_broken(error)))
        ranking = outcome.ranking
        known = await self._evidence(ranking.ranked, environment)
        loosened = (Reason(message=LOOSENED),) if ranking.loosened and ranking.total else ()
        return replace(
            outcome,
            ranking=replace(ranking, ranked=weighed(ranking.ranked, known)[:limit]),
            notices=(*question.notices, *loosened),
            boosts={**known, **boosts},
        )

    async def related(self, key: str, locale: str, limit: int) -> Outcome:
        """Documents that are about the same things as ``key``, without itself in any language."""

        def work() -> tuple[Question, Document | None]:
            document = self._engine.document(key)
            if document is None:
                return Question(), None
            return relating.question(document, self._engine.frequencies, self._engine.count()), document

        try:
            question, document = await asyncio.to_thread(work)
        except IndexBroken as error:
            return Outcome(question=Question(), notices=(await self._report_broken(error),))
        if document is None:
            return Outcome(question=question)
        found = await self.rank(question, Filters(locales=(locale or document.locale,)), limit + 2)
        others = [item for item in found.ranking.ranked if item.document.family != document.family]
        return replace(found, ranking=replace(found.ranking, ranked=others[:limit]))

    def _expanded(self, question: Question) -> Question:
        groups = self.synonyms.groups() if self.synonyms else ()
        if groups is not self._thesaurus.groups and groups != self._thesaurus.groups:
            self._thesaurus = Thesaurus(groups)
        return self._thesaurus.expand(question)

    def _corrected(
        self, question: Question, filters: Filters, limit: int, boosts: Mapping[str, Boost], *, exact: bool
    ) -> Outcome:
        """What is found as typed, or, where a word is nowhere in the library, with that word respelt."""
        asked = self._outcome(question, filters, limit, boosts)
        unknown = asked.ranking.unknown
        if not unknown and (exact or asked.ranking.total > POOR):
            return asked
        dictionary = self._speller.dictionary()
        text = corrected(question, unknown, dictionary) if unknown else offered(question, dictionary)
        if not text:
            return asked
        automatic = bool(unknown) and not exact and not question.phrases
        respelt = self._outcome(ask(text, typing=question.typing), filters, limit, boosts)
        if not respelt.ranking.total:
            return asked
        return replace(
            respelt if automatic else asked,
            corrected=Correction(asked=question.text, text=text, automatic=automatic),
        )

    def _outcome(self, question: Question, filters: Filters, limit: int, boosts: Mapping[str, Boost]) -> Outcome:
        expanded = self._expanded(question)
        weights = {key: boost.weight for key, boost in boosts.items()}
        ranking = self._engine.search(
            expanded, filters=filters, limit=min(limit, MAX_LIMIT), boosts=weights, timeout=TIMEOUT
        )
        if self.reranker and not question.empty:
            ranking = replace(ranking, ranked=self.reranker.reranked(question.plain, ranking.ranked))
        return Outcome(question=expanded, ranking=ranking)

    async def _evidence(self, ranked: Sequence[Ranked], environment: str | None) -> Mapping[str, Boost]:
        """Without it the text alone ranks: it must never cost a person the answer."""
        keys = [item.document.key for item in ranked]
        if self.evidence is None or not keys:
            return {}
        try:
            async with asyncio.timeout(EVIDENCE_TIMEOUT):
                return await self.evidence.boosts(keys, environment=environment)
        except TimeoutError:
            log.warning("evidence took more than %s seconds: it is left out", EVIDENCE_TIMEOUT)
            return {}
        except Exception:
            log.exception("evidence is left out")
            return {}

    async def _report_broken(self, error: IndexBroken) -> Reason:
        """Ask for a new index, unless one is being built; the person is told how far it is."""
        async with self._db.connection() as conn:
            state = await store.state(conn)
            if state.phase == "ready":
                log.warning("the search index is damaged (%s): a new one is asked for", error)
                await store.broken(conn)
        return being_built(state.progress)


def weighed(ranked: Sequence[Ranked], boosts: Mapping[str, Boost]) -> list[Ranked]:
    """Ranked anew: each document gains its evidence's share of the best text score, and a little for a fresh review."""
    top = max((item.score for item in ranked), default=0.0)
    today = datetime.now(UTC).date()

    def gain(document: Document) -> float:
        boost = boosts.get(document.key)
        return (boost.weight if boost else 0.0) + freshness.weight(document.reviewed, today)

    gained = [replace(item, score=item.score + gain(item.document) * top) for item in ranked]
    return sorted(gained, key=lambda item: -item.score)


def being_built(progress: Progress) -> Reason:
    """What to tell a person while the library cannot be searched."""
    if not progress.total:
        return Reason(message=N_("The search index of the library is being built; its documents are not found yet."))
    return Reason(
        message=N_("The search index of the library is being built: {done} of {total} documents."),
        params={"done": str(progress.done), "total": str(progress.total)},
    )


def as_asked(found: Found) -> bool:
    """Whether what was found holds the quoted words side by side."""
    return all(notice.message != LOOSENED for notice in found.notices)
