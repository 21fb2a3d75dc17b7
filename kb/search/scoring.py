"""Ranking by BM25 over numpy posting lists, field by field.

score = coverage · Σ fields weight · ( Σ words max over its terms (idf · impact)  +  PAIR · Σ neighbours side by side )

where coverage grows from 1 - COVERAGE to 1 with the share of the question's worth that the document holds in any field.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from kb.search.engine import SearchTimeout
from kb.search.model import Filters
from kb.search.postings import Floats, Postings, adjacent
from kb.search.question import Pair, Phrase, Question, Term, Word
from kb.search.snapshot import Mask, Part, Snapshot
from kb.search.whoosh_format import FIELD_WEIGHTS, FILTERS

PAIR = 0.7  # of the rarer word's worth, for two words of the question side by side
COVERAGE = 0.5  # of a score depends on how much of the question the document holds
PART = 0.3  # weight of an identifier's parts where the whole identifier is known
EXPANSIONS = 48  # most terms that a beginning of a word stands for
STOPPED_FIELDS = frozenset({"title", "symptoms", "queries"})  # fields that keep stop words


Sought = tuple[tuple[Term, ...], tuple[str, ...]]
"""What is looked up for a word: its terms, and the fields where (empty: all)."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An index term that a word stands for in one field: its worth (idf · weight) and its postings, part by part.

    ``origin``: of a synonym, what it stands for and itself.
    """

    worth: float
    postings: tuple[Postings | None, ...]
    origin: tuple[str, str] | None = None


class Scorer:
    """Scores one question against one snapshot. ``deadline`` is time.monotonic(); SearchTimeout past it."""

    def __init__(self, snapshot: Snapshot, question: Question, deadline: float) -> None:
        self._snapshot = snapshot
        self._question = question
        self._deadline = deadline
        self._fields = {name: weight for name, weight in FIELD_WEIGHTS.items() if snapshot.used[name]}
        # Keyed by terms: a word written twice, in whatever form, counts once.
        self._entries = {sought: self._look_up_word(*sought) for sought in dict.fromkeys(map(_sought, question.words))}
        self._held: dict[Sought, list[Mask]] = {}

    def scores(self) -> list[Floats]:
        """For each part of the snapshot the score of each of its documents (0: no word found)."""
        found = [np.zeros(part.documents, np.float32) for part in self._snapshot.parts]
        coverage = [np.zeros(part.documents, np.float32) for part in self._snapshot.parts]
        total = 0.0
        for word, weight in self._weighted_words():
            total += self._add_word(found, coverage, word, weight)
        for pair in self._question.pairs:
            for name, weight in self._fields.items():
                self._add_pair(found, name, pair, weight * PAIR)
        for scores, covered in zip(found, coverage, strict=True):
            scores *= 1 - COVERAGE + COVERAGE * covered / (total or 1.0)
        return found

    def allowed(self, index: int) -> Mask:
        """Which documents of a part hold every word where it was asked for, and none that is to be left out."""
        mask = np.ones(self._snapshot.parts[index].documents, bool)
        for word in self._question.words:
            if word.fields:
                mask &= self._held[_sought(word)][index]
        for word in self._question.excluded:
            for entries in self._look_up_word(word.terms, word.fields).values():
                for entry in entries:
                    if postings := entry.postings[index]:
                        mask[postings.ids] = False
        return mask

    def unknown(self) -> tuple[str, ...]:
        """The words of the question that no document of the index holds, as typed."""
        return tuple(word.text for word in self._question.words if not any(self._entries[_sought(word)].values()))

    def matched(self, part: int, document: int) -> tuple[list[str], list[tuple[str, str]]]:
        """The words of the question, as typed, that this document holds (parts of a found identifier are left out), and
        those that it holds only as a synonym, each with that synonym.
        """
        held = [bool(masks[part][document]) for masks in self._masks]
        shown: dict[str, None] = {}
        meant: dict[tuple[str, str], None] = {}
        for at, word, entries in self._telling:
            if not held[at] or (word.inside >= 0 and held[word.inside]):
                continue
            if origin := _synonym(entries, part, document):
                meant[origin] = None
            else:
                shown[word.text] = None
        return list(shown), list(meant)

    @cached_property
    def _masks(self) -> list[list[Mask]]:
        """Which documents hold each word of the question, in its order."""
        return [self._held[_sought(word)] for word in self._question.words]

    @cached_property
    def _telling(self) -> list[tuple[int, Word, list[Entry]]]:
        """The words that say why a document was found, with their place in the question and, of those that have
        synonyms, all that they stand for.
        """
        telling = [(at, word) for at, word in enumerate(self._question.words) if not word.stop]
        return [(at, word, self._meanings(word) if any(t.origin for t in word.terms) else []) for at, word in telling]

    def _meanings(self, word: Word) -> list[Entry]:
        return [entry for entries in self._entries[_sought(word)].values() for entry in entries]

    def _weighted_words(self) -> Iterator[tuple[Word, float]]:
        """Each different word once; parts of an identifier count little where the index knows the whole."""
        words = self._question.words
        weighted: dict[Sought, tuple[Word, float]] = {}
        for word in words:
            known = word.inside >= 0 and any(self._entries[_sought(words[word.inside])].values())
            weight = max(PART if known else 1.0, weighted.get(_sought(word), (word, 0.0))[1])
            weighted[_sought(word)] = (word, weight)
        yield from weighted.values()

    def _add_word(self, found: list[Floats], coverage: list[Floats], word: Word, weight: float) -> float:
        """Add what a word is worth in every field. Returns its share of the whole question's worth."""
        self._check_time()
        entries = self._entries[_sought(word)]
        every = self._meanings(word)
        known = [entry.worth for entry in every if not entry.origin] or [entry.worth for entry in every]
        share = 0.0 if word.stop or not known else weight * min(known)
        self._held[_sought(word)] = held = [np.zeros(part.documents, bool) for part in self._snapshot.parts]
        for index in range(len(found)):
            for name, fields in entries.items():
                self._add_best(found[index], held[index], index, name, fields)
            coverage[index] += held[index] * np.float32(share)
        return share

    def _add_best(self, scores: Floats, held: Mask, index: int, name: str, entries: Sequence[Entry]) -> None:
        """The best of a word's terms counts in a field, not their sum: they are readings of one word."""
        lists = [(postings, entry.worth) for entry in entries if (postings := entry.postings[index])]
        weight = self._fields[name]
        for postings, _ in lists:
            held[postings.ids] = True
        if len(lists) == 1:
            postings, worth = lists[0]
            scores[postings.ids] += weight * worth * self._impact(index, name, postings)
        elif lists:
            best = np.zeros_like(scores)
            for postings, worth in lists:
                best[postings.ids] = np.maximum(best[postings.ids], worth * self._impact(index, name, postings))
            scores += weight * best

    def _impact(self, index: int, name: str, postings: Postings) -> Floats:
        return postings.impact(self._snapshot.parts[index].postings.lengths(name), self._snapshot.average[name])

    def _look_up_word(self, terms: tuple[Term, ...], fields: tuple[str, ...]) -> dict[str, list[Entry]]:
        """What the word stands for, by field; fields without any are left out."""
        names = [name for name in self._fields if not fields or name in fields]
        found = {name: self._in_field(name, terms) for name in names}
        return {name: entries for name, entries in found.items() if entries}

    def _in_field(self, name: str, terms: tuple[Term, ...]) -> list[Entry]:
        own = [entry for term in terms if not term.origin for entry in self._look_up(name, term)]
        most = max((entry.worth for entry in own), default=math.inf)
        return [*own, *(entry for term in terms if term.origin for entry in self._look_up(name, term, most))]

    def _look_up(self, name: str, term: Term, most: float = math.inf) -> list[Entry]:
        """``most``: what the word itself is worth here; a synonym is never worth more, however rare."""
        if term.stop and name not in STOPPED_FIELDS:
            return []
        if term.prefix:
            return self._expand(name, term)
        postings = self._postings(name, term)
        worth = term.weight * min(most, self._idf(postings))
        return [Entry(worth, postings, term.origin)] if any(postings) else []

    def _postings(self, name: str, term: Term) -> tuple[Postings | None, ...]:
        if not term.then:
            return self._snapshot.postings(name, term.text, term.locale)
        together = (term.text, *term.then)
        return tuple(part.postings.sequence(name, together, term.locale) for part in self._snapshot.parts)

    def _expand(self, name: str, term: Term) -> list[Entry]:
        """A beginning is worth what all the words it stands for are worth together: rare ones get no premium."""
        counts: dict[str, int] = {}
        for part in self._snapshot.parts:
            for text, count in part.postings.beginning_with(name, term.text, EXPANSIONS):
                counts[text] = counts.get(text, 0) + count
        kept = sorted(counts, key=lambda text: -counts[text])[:EXPANSIONS]
        worth = term.weight * self._snapshot.idf(min(sum(counts[text] for text in kept), self._snapshot.total))
        return [Entry(worth, self._snapshot.postings(name, text)) for text in kept]

    def _add_pair(self, found: list[Floats], name: str, pair: Pair, weight: float) -> None:
        ahead = self._snapshot.postings(name, pair.first, pair.locale)
        behind = self._snapshot.postings(name, pair.second, pair.locale)
        worth = weight * min(self._idf(ahead), self._idf(behind))
        for index, scores in enumerate(found):
            if ahead[index] and behind[index]:
                self._check_time()
                self._add_places(scores, index, name, pair, worth)

    def _add_places(self, scores: Floats, index: int, name: str, pair: Pair, worth: float) -> None:
        postings = self._snapshot.parts[index].postings.sequence(name, (pair.first, pair.second), pair.locale)
        if postings:
            scores[postings.ids] += worth * self._impact(index, name, postings)

    def _idf(self, postings: Sequence[Postings | None]) -> float:
        return self._snapshot.idf(sum(len(each.ids) for each in postings if each))

    def _check_time(self) -> None:
        if time.monotonic() > self._deadline:
            raise SearchTimeout


def _synonym(entries: Sequence[Entry], part: int, document: int) -> tuple[str, str] | None:
    """The synonym by which alone the document holds the word that ``entries`` are of; None when it holds the word."""
    found = None
    for entry in entries:
        if (postings := entry.postings[part]) and postings.holds(document):
            if not entry.origin:
                return None
            found = found or entry.origin
    return found


def _sought(word: Word) -> Sought:
    return word.terms, word.fields


def phrase_mask(part: Part, phrase: Phrase) -> Mask:
    """The documents of a part that hold one of the sequences in one of the fields."""
    mask = np.zeros(part.documents, bool)
    for name in FIELD_WEIGHTS:
        for sequence in phrase:
            places = part.postings.positions(name, sequence[0])
            for text in sequence[1:]:
                places = adjacent(places, part.postings.positions(name, text)) + 1
            mask[places >> 32] = True
    return mask


def filter_mask(part: Part, filters: Filters) -> Mask:
    mask = np.ones(part.documents, bool)
    for name, column in FILTERS.items():
        if values := getattr(filters, name):
            mask &= _any_of(part, column, values)
    return mask


def _any_of(part: Part, name: str, values: Sequence[str]) -> Mask:
    """An environment may be called by a word of its code (``debian``) where none has this very code."""
    mask = np.zeros(part.documents, bool)
    column = part.postings.column(name)
    wanted = set(values)
    loose = wanted - set(column.values) if name == "environments" else set()
    chosen = [value in wanted or bool(loose and loose & set(value.split("-"))) for value in column.values]
    mask[column.ids[np.array(chosen, bool)[column.numbers]]] = True
    return mask


def best(scores: Floats, limit: int) -> Iterator[int]:
    """The indexes of the ``limit`` highest positive scores, best first, the earlier one first among equals."""
    positive = np.flatnonzero(scores > 0)
    if len(positive) > limit:
        least = np.partition(scores[positive], len(positive) - limit)[len(positive) - limit]
        positive = positive[scores[positive] >= least]
    order = positive[np.argsort(-scores[positive], kind="stable")]
    return iter(int(index) for index in order[:limit])
