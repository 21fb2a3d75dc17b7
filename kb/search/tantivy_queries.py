"""From a question to tantivy's queries: the same fields, weights, readings and bonuses as our own scorer's."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from tantivy import Occur, Query, Schema, Searcher

from kb.search.model import Filters
from kb.search.question import Pair, Phrase, Question, Term, Word
from kb.search.scoring import EXPANSIONS, PAIR, PART, STOPPED_FIELDS
from kb.search.whoosh_format import FIELD_WEIGHTS, FILTERS

Clause = tuple[Occur, Query]


class Queries:
    """What is asked of one state of the index."""

    def __init__(self, schema: Schema, searcher: Searcher) -> None:
        self._schema = schema
        self._searcher = searcher
        self.total: int = searcher.num_docs

    def text(self, question: Question) -> Query:
        """Any word will do; neighbours earn a bonus."""
        weights = {id(word): weight for word, weight in self.weighted(question)}
        found = [(word, query) for word in question.words if id(word) in weights and (query := self.word(word))]
        clauses = [(Occur.Should, Query.boost_query(query, weights[id(word)])) for word, query in found]
        return Query.boolean_query([*clauses, *((Occur.Should, query) for query in self._pairs(question.pairs))])

    def demands(self, question: Question, filters: Filters) -> list[Clause]:
        """What a document must and must not hold, whatever it scores."""
        clauses = [(Occur.Must, self._phrase(phrase)) for phrase in question.phrases]
        clauses += [(Occur.Must, self.word(word) or Query.empty_query()) for word in question.words if word.fields]
        clauses += [(Occur.MustNot, query) for word in question.excluded if (query := self.word(word))]
        for name, column in FILTERS.items():
            if values := getattr(filters, name):
                clauses.append((Occur.Must, Query.term_set_query(self._schema, column, self._meant(column, values))))
        return [(occur, Query.const_score_query(query, 0.0)) for occur, query in clauses]

    def keys(self, keys: Iterable[str]) -> Query:
        return Query.const_score_query(Query.term_set_query(self._schema, "key", list(keys)), 0.0)

    def word(self, word: Word, *, synonyms: bool = True) -> Query | None:
        """The documents that hold a word in any of its readings; None when there are none."""
        terms = [term for term in word.terms if synonyms or not term.origin]
        found = []
        for name, weight in FIELD_WEIGHTS.items():
            if word.fields and name not in word.fields:
                continue
            if readings := [query for term in terms for query in self._reading(name, term)]:
                found.append((Occur.Should, Query.boost_query(Query.disjunction_max_query(readings), weight)))
        return Query.boolean_query(found) if found else None

    def weighted(self, question: Question) -> Iterator[tuple[Word, float]]:
        """Each different word once; parts of an identifier count little where the index knows the whole."""
        words = question.words
        seen = set()
        for word in words:
            known = word.inside >= 0 and self.frequency(words[word.inside]) > 0
            if (word.terms, word.fields) not in seen:
                seen.add((word.terms, word.fields))
                yield word, PART if known else 1.0

    def frequency(self, word: Word) -> int:
        """How many documents hold the word in the field where most do."""
        terms = [term for term in word.terms if not term.origin and not term.prefix]
        return max((self._searcher.doc_freq(name, term.text) for term in terms for name in FIELD_WEIGHTS), default=0)

    def idf(self, frequency: int) -> float:
        return math.log(1 + (self.total - min(frequency, self.total) + 0.5) / (frequency + 0.5))

    def _reading(self, name: str, term: Term) -> Iterator[Query]:
        if term.stop and name not in STOPPED_FIELDS:
            return
        if term.prefix:
            yield from self._begun(name, term)
        elif query := self._exact(name, term):
            yield Query.boost_query(self._spoken(query, term.locale), term.weight)

    def _exact(self, name: str, term: Term) -> Query | None:
        together = [term.text, *term.then]
        if not all(self._searcher.doc_freq(name, text) for text in together):
            return None
        if term.then:
            return Query.phrase_query(self._schema, name, [*together])
        return Query.term_query(self._schema, name, term.text, "freq")

    def _begun(self, name: str, term: Term) -> Iterator[Query]:
        """A beginning is worth what all the words it stands for are worth together: rare ones get no premium."""
        found = self._searcher.terms_with_prefix(name, term.text, limit=20 * EXPANSIONS)
        kept = sorted(found, key=lambda item: -item[1])[:EXPANSIONS]
        worth = term.weight * self.idf(sum(count for _, count in kept))
        for text, count in kept:
            query = Query.term_query(self._schema, name, text, "freq")
            yield Query.boost_query(query, worth / max(self.idf(count), 0.01))

    def _spoken(self, query: Query, locale: str) -> Query:
        if not locale:
            return query
        spoken = Query.const_score_query(Query.term_query(self._schema, "locale", locale, "basic"), 0.0)
        return Query.boolean_query([(Occur.Must, query), (Occur.Must, spoken)])

    def _pairs(self, pairs: Sequence[Pair]) -> Iterator[Query]:
        """Tantivy's phrases are worth both words; the bonus is a share of one."""
        for pair in pairs:
            for name, weight in FIELD_WEIGHTS.items():
                if query := self._exact(name, Term(pair.first, then=(pair.second,))):
                    yield Query.boost_query(self._spoken(query, pair.locale), weight * PAIR / 2)

    def _phrase(self, phrase: Phrase) -> Query:
        terms = [Term(sequence[0], then=sequence[1:]) for sequence in phrase]
        found = [query for term in terms for name in FIELD_WEIGHTS if (query := self._exact(name, term))]
        return Query.disjunction_max_query(found) if found else Query.empty_query()

    def _meant(self, column: str, values: Sequence[str]) -> list[str]:
        """An environment may be called by a word of its code (``debian``) where none has this very code."""
        if column != "environments":
            return list(values)
        known = [code for code, _ in self._searcher.terms_with_prefix(column, "")]
        loose = set(values) - set(known)
        return [code for code in known if code in values or loose & set(code.split("-"))]
