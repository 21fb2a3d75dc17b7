"""Ranking by BM25 over numpy posting lists, field by field.

score = Σ fields weight · ( Σ words max over its terms (idf · impact)  +  PAIR · Σ neighbours found side by side )
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import numpy as np

from kb.search.engine import SearchTimeout
from kb.search.model import Filters
from kb.search.postings import K1, NOTHING, B, Floats, Ids, Postings
from kb.search.question import Phrase, Question, Term, Word
from kb.search.snapshot import Mask, Part, Snapshot
from kb.search.whoosh_format import FIELD_WEIGHTS

PAIR = 0.4  # of the rarer word's worth, for two words of the question side by side
PART = 0.3  # weight of an identifier's parts where the whole identifier is known
EXPANSIONS = 48  # most terms that a beginning of a word stands for
STOPPED_FIELDS = frozenset({"title", "symptoms", "queries"})  # fields that keep stop words


class Scorer:
    """Scores one question against one snapshot. ``deadline`` is time.monotonic(); SearchTimeout past it."""

    def __init__(self, snapshot: Snapshot, question: Question, deadline: float) -> None:
        self._snapshot = snapshot
        self._question = question
        self._deadline = deadline
        self._weights = _word_weights(snapshot, question)
        self._known: dict[tuple[str, Term], list[tuple[str, float]]] = {}

    def scores(self) -> list[Floats]:
        """For each part of the snapshot the score of each of its documents (0: no word found)."""
        found = [np.zeros(part.documents, np.float32) for part in self._snapshot.parts]
        for name, weight in FIELD_WEIGHTS.items():
            for word, worth in zip(self._question.words, self._weights, strict=True):
                self._add_word(found, name, word, weight * worth)
            for first, second in self._question.pairs:
                self._add_pair(found, name, first, second, weight * PAIR)
        return found

    def matched(self, part: Part, document: int) -> list[str]:
        """The words of the question, as typed, that this document holds; parts of a found identifier are left out."""
        held = [self._holds(word, part, document) for word in self._question.words]
        return [
            word.text
            for word, yes in zip(self._question.words, held, strict=True)
            if yes and not word.stop and not (word.inside >= 0 and held[word.inside])
        ]

    def _holds(self, word: Word, part: Part, document: int) -> bool:
        return any(
            (postings := part.postings.term(name, text)) is not None and _contains(postings.ids, document)
            for name in FIELD_WEIGHTS
            for term in word.terms
            for text, _ in self._texts(name, term)
        )

    def _add_word(self, found: list[Floats], name: str, word: Word, weight: float) -> None:
        terms = [item for term in word.terms for item in self._texts(name, term)]
        for part, scores in zip(self._snapshot.parts, found, strict=True):
            self._check_time()
            self._add_best(scores, part, name, terms, weight)

    def _add_best(
        self, scores: Floats, part: Part, name: str, terms: Sequence[tuple[str, float]], weight: float
    ) -> None:
        lists = [(postings, worth) for text, worth in terms if (postings := part.postings.term(name, text))]
        if len(lists) == 1:
            postings, worth = lists[0]
            scores[postings.ids] += weight * worth * self._impact(part, name, postings)
        elif lists:
            best = np.zeros_like(scores)
            for postings, worth in lists:
                best[postings.ids] = np.maximum(best[postings.ids], worth * self._impact(part, name, postings))
            scores += weight * best

    def _impact(self, part: Part, name: str, postings: Postings) -> Floats:
        return postings.impact(part.postings.lengths(name), self._snapshot.average[name])

    def _texts(self, name: str, term: Term) -> list[tuple[str, float]]:
        """The index terms that a term of the question stands for in a field, each with its worth (idf · weight)."""
        known = self._known.get((name, term))
        if known is None:
            known = self._known[(name, term)] = self._look_up(name, term)
        return known

    def _look_up(self, name: str, term: Term) -> list[tuple[str, float]]:
        if term.stop and name not in STOPPED_FIELDS:
            return []
        if term.prefix:
            return self._expand(name, term)
        frequency = self._snapshot.frequency(name, term.text)
        return [(term.text, term.weight * self._snapshot.idf(frequency))] if frequency else []

    def _expand(self, name: str, term: Term) -> list[tuple[str, float]]:
        """A beginning is worth what all the words it stands for are worth together: rare ones get no premium."""
        counts: dict[str, int] = {}
        for part in self._snapshot.parts:
            for text, count in part.postings.beginning_with(name, term.text, EXPANSIONS):
                counts[text] = counts.get(text, 0) + count
        kept = sorted(counts, key=lambda text: -counts[text])[:EXPANSIONS]
        worth = term.weight * self._snapshot.idf(min(sum(counts[text] for text in kept), self._snapshot.total))
        return [(text, worth) for text in kept]

    def _add_pair(self, found: list[Floats], name: str, first: Word, second: Word, weight: float) -> None:
        ahead, behind = self._exact(name, first), self._exact(name, second)
        if not ahead or not behind:
            return
        worth = weight * min(max(value for _, value in ahead), max(value for _, value in behind))
        for part, scores in zip(self._snapshot.parts, found, strict=True):
            self._check_time()
            places = _adjacent(_places(part, name, ahead), _places(part, name, behind))
            if len(places):
                documents, times = np.unique(places >> 32, return_counts=True)
                norm = K1 * (1 - B + B * part.postings.lengths(name)[documents] / self._snapshot.average[name])
                scores[documents] += (worth * times * (K1 + 1) / (times + norm)).astype(np.float32)

    def _exact(self, name: str, word: Word) -> list[tuple[str, float]]:
        return [item for term in word.terms if not term.prefix and not term.stop for item in self._texts(name, term)]

    def _check_time(self) -> None:
        if time.monotonic() > self._deadline:
            raise SearchTimeout


def phrase_mask(part: Part, phrase: Phrase) -> Mask:
    """The documents of a part that hold one of the sequences in one of the fields."""
    mask = np.zeros(part.documents, bool)
    for name in FIELD_WEIGHTS:
        for sequence in phrase:
            places = part.postings.positions(name, sequence[0])
            for text in sequence[1:]:
                places = _adjacent(places, part.postings.positions(name, text)) + 1
            mask[places >> 32] = True
    return mask


def filter_mask(part: Part, filters: Filters) -> Mask:
    mask = np.ones(part.documents, bool)
    wanted = (filters.kinds, filters.environments, filters.locales, filters.skills)
    for name, values in zip(("kind", "environments", "locale", "skills"), wanted, strict=True):
        if values:
            mask &= _any_of(part, name, values)
    return mask


def _any_of(part: Part, name: str, values: Sequence[str]) -> Mask:
    mask = np.zeros(part.documents, bool)
    for value in values:
        if postings := part.postings.term(name, value):
            mask[postings.ids] = True
    return mask


def best(scores: Floats, limit: int) -> Iterator[int]:
    """The indexes of the ``limit`` highest positive scores, best first, the earlier one first among equals."""
    positive = np.flatnonzero(scores > 0)
    if len(positive) > limit:
        least = np.partition(scores[positive], len(positive) - limit)[len(positive) - limit]
        positive = positive[scores[positive] >= least]
    order = positive[np.argsort(-scores[positive], kind="stable")]
    return iter(int(index) for index in order[:limit])


def _word_weights(snapshot: Snapshot, question: Question) -> list[float]:
    """Parts of an identifier count little where the index knows the whole."""
    known = {
        index
        for index, word in enumerate(question.words)
        if word.whole and any(snapshot.frequency(name, term.text) for term in word.terms for name in FIELD_WEIGHTS)
    }
    return [PART if word.inside in known else 1.0 for word in question.words]


def _places(part: Part, name: str, terms: Sequence[tuple[str, float]]) -> Ids:
    found = [places for text, _ in terms if len(places := part.postings.positions(name, text))]
    if len(found) < 2:
        return found[0] if found else NOTHING
    return np.unique(np.concatenate(found))


def _adjacent(ahead: Ids, behind: Ids) -> Ids:
    """The places of ``ahead`` that are followed at once by one of ``behind`` (both ascending)."""
    if len(ahead) > len(behind):
        return behind[_isin(behind - 1, ahead)] - 1
    return ahead[_isin(ahead + 1, behind)]


def _isin(wanted: Ids, sorted_places: Ids) -> Mask:
    if not len(sorted_places):
        return np.zeros(len(wanted), bool)
    at = np.searchsorted(sorted_places, wanted)
    at[at == len(sorted_places)] = 0
    return np.asarray(sorted_places[at] == wanted, bool)


def _contains(ids: Ids, document: int) -> bool:
    at = int(np.searchsorted(ids, document))
    return at < len(ids) and int(ids[at]) == document
