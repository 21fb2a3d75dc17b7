"""The optional engine for very large libraries: tantivy, a Rust library, behind the same protocol.

It ranks by the same fields, weights and readings; its own BM25 has b = 0.75 where ours has 0.7, and the share of the
question that a document holds is weighed among its best candidates only.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import tantivy
from tantivy import DocAddress, Occur, Query

from kb.search import manifest, tantivy_format
from kb.search.analysis import LOCALES
from kb.search.engine import IndexBroken, Ranked, Ranking, SearchTimeout
from kb.search.index_folder import IndexFolder
from kb.search.model import MAX_FACET_VALUES, MAX_LIMIT, Document, Facets, Filters
from kb.search.question import Question, Word
from kb.search.scoring import COVERAGE
from kb.search.tantivy_queries import Queries
from kb.search.whoosh_format import FACETS, FIELD_WEIGHTS, WORDS

HEAP = 50_000_000  # bytes of a writer
CANDIDATES = 40  # documents whose share of the question is weighed
Place = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Opened:
    index: tantivy.Index
    searcher: tantivy.Searcher


class TantivyEngine(IndexFolder):
    """A SearchEngine. Any number of threads may search at once."""

    layout = tantivy_format.LAYOUT

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._schema = tantivy_format.schema()
        self._opened: Opened | None = None
        self._begun: Path | None = None
        self._writer: tantivy.IndexWriter | None = None
        self._added: set[str] = set()

    # reading

    def close(self) -> None:
        with self._lock:
            self._opened = None
            self._seen = ()

    def count(self) -> int:
        return int(self._searcher().num_docs)

    def search(
        self,
        question: Question,
        *,
        filters: Filters,
        limit: int,
        boosts: Mapping[str, float],
        timeout: float,
    ) -> Ranking:
        """See SearchEngine."""
        deadline = time.monotonic() + timeout
        searcher = self._searcher()
        limit = min(max(limit, 1), MAX_LIMIT)
        with _decoding():
            ranking = _Search(self._schema, searcher, question, filters, boosts, deadline).ranking(limit)
            if ranking.total or not question.phrases:
                return ranking
            loose = replace(question, phrases=())
            found = _Search(self._schema, searcher, loose, filters, boosts, deadline).ranking(limit)
            return replace(found, loosened=True)

    def document(self, key: str) -> Document | None:
        """See SearchEngine."""
        searcher = self._searcher()
        with _decoding():
            hits = searcher.search(Query.term_query(self._schema, "key", key, "basic"), 1).hits
            return tantivy_format.read(searcher.doc(hits[0][1])) if hits else None

    def frequencies(self, terms: Sequence[str]) -> Sequence[int]:
        """See SearchEngine."""
        searcher = self._searcher()
        with _decoding():
            return [max(searcher.doc_freq(name, term) for name in FIELD_WEIGHTS) for term in terms]

    def vocabulary(self) -> Mapping[str, int]:
        """See SearchEngine."""
        searcher = self._searcher()
        with _decoding():
            return dict(searcher.terms_with_prefix(WORDS, ""))

    def warm(self) -> None:
        """See SearchEngine. Its files are mapped: the system keeps what is read in memory."""

    def _searcher(self) -> tantivy.Searcher:
        with self._lock:
            self._refresh()
            if self._opened is None:
                self._take(self._current_folder())
            assert self._opened is not None
            return self._opened.searcher

    def _take(self, folder: Path) -> None:
        with _decoding():
            index = tantivy.Index.open(str(folder))
            index.config_reader("manual")
            index.reload()
            self._opened = Opened(index, index.searcher())

    # writing

    def update(self, documents: Iterable[Document], removed: Iterable[str] = ()) -> None:
        """See SearchEngine."""
        folder = self._current_folder()
        known = manifest.check(folder, self.layout)
        latest = {document.key: document for document in documents}
        try:
            writer = tantivy.Index.open(str(folder)).writer(HEAP, 1)
            for key in (*removed, *latest):
                writer.delete_documents_by_term("key", key)
            for document in latest.values():
                writer.add_document(tantivy_format.written(document))
            writer.commit()
            writer.wait_merging_threads()
        except ValueError as error:  # tantivy's own errors; a full disk is an OSError
            raise IndexBroken(f"the index cannot be written ({error})") from error
        self._note(folder, known["generation"] + 1)

    def begin(self) -> None:
        """See SearchEngine."""
        self.abandon()
        self._begun = self._new_folder()
        self._begun.mkdir(mode=0o700)
        self._writer = tantivy.Index(self._schema, path=str(self._begun)).writer(HEAP, 1)

    def add(self, documents: Iterable[Document]) -> None:
        """See SearchEngine."""
        if self._writer is None:
            raise RuntimeError("begin() comes first")
        for document in documents:
            if document.key not in self._added:
                self._added.add(document.key)
                self._writer.add_document(tantivy_format.written(document))

    def finish(self) -> None:
        """See SearchEngine."""
        if self._writer is None or self._begun is None:
            raise RuntimeError("begin() comes first")
        self._writer.commit()
        self._writer.wait_merging_threads()
        folder, self._begun, self._writer, self._added = self._begun, None, None, set()
        self._note(folder, 1)
        self._switch_to(folder)

    def abandon(self) -> None:
        """See SearchEngine."""
        if self._begun is not None:
            self._writer, self._added = None, set()
            shutil.rmtree(self._begun, ignore_errors=True)
            self._begun = None

    def _note(self, folder: Path, generation: int) -> None:
        if generation == 1:
            manifest.write(folder, self.layout, 0, ())
        files = [
            entry for entry in folder.iterdir() if entry.is_file() and not entry.name.startswith((".", "manifest"))
        ]
        manifest.write(folder, self.layout, generation, files, rewritten=("meta.json",))


@contextlib.contextmanager
def _decoding() -> Iterator[None]:
    try:
        yield
    except (SearchTimeout, IndexBroken):
        raise
    except Exception as error:  # whatever reading damaged files may raise
        raise IndexBroken(f"the index cannot be read ({type(error).__name__})") from error


class _Search:
    """One question to one state of the index."""

    def __init__(
        self, schema: tantivy.Schema, searcher: tantivy.Searcher, question: Question, filters: Filters,
        boosts: Mapping[str, float], deadline: float,
    ) -> None:  # fmt: skip
        self._searcher = searcher
        self._question = question
        self._queries = Queries(schema, searcher)
        self._deadline = deadline
        # A document in several languages has one key and an id per language (imp-001.fr).
        self._boosts = {each: weight for key, weight in boosts.items() for each in _languages(key)}
        wanted = [(Occur.Should, self._queries.text(question)), (Occur.Should, self._queries.keys(self._boosts))]
        self._demands = self._queries.demands(question, filters)
        self._query = Query.boolean_query([(Occur.Must, Query.boolean_query(wanted)), *self._demands])

    def ranking(self, limit: int) -> Ranking:
        result = self._searcher.search(self._query, max(limit, CANDIDATES))
        self._check_time()
        places = {(at.segment_ord, at.doc): (float(score), at) for score, at in result.hits}
        held = self._held({place: at for place, (_, at) in places.items()})
        scores = self._covered({place: score for place, (score, _) in places.items()}, held)
        addresses = {place: at for place, (_, at) in places.items()}
        self._add_boosts(scores, addresses)
        best = sorted((place for place in scores if scores[place] > 0), key=lambda place: (-scores[place], place))
        ranked = [self._ranked(place, addresses[place], scores[place], held) for place in best[:limit]]
        unknown = tuple(word.text for word in self._question.words if self._queries.word(word) is None)
        total = getattr(result, "count", len(best)) or 0
        return Ranking(ranked=tuple(ranked), total=total, facets=self._facets(), unknown=unknown)

    def _held(self, addresses: Mapping[Place, DocAddress]) -> dict[int, set[Place]]:
        """For each word of the question, by its index, the candidates that hold it."""
        keys = [str(self._searcher.doc(at).get_first("key")) for at in addresses.values()]
        among = (Occur.Must, self._queries.keys(keys))
        return {
            index: self._places(query, among)
            for index, word in enumerate(self._question.words)
            if keys and (query := self._queries.word(word))
        }

    def _places(self, query: Query, among: tuple[Occur, Query]) -> set[Place]:
        self._check_time()
        found = self._searcher.search(Query.boolean_query([(Occur.Must, query), among]), MAX_LIMIT * 2, count=False)
        return {(at.segment_ord, at.doc) for _, at in found.hits}

    def _covered(self, scores: dict[Place, float], held: Mapping[int, set[Place]]) -> dict[Place, float]:
        """Half of a score depends on how much of the question's worth the document holds."""
        words = self._question.words
        shares: dict[int, float] = {}
        for word, weight in self._queries.weighted(self._question):
            index = next(at for at, each in enumerate(words) if each is word)
            if not word.stop and index in held:
                shares[index] = weight * self._queries.idf(self._queries.frequency(word))
        total = sum(shares.values()) or 1.0
        return {
            place: score * (1 - COVERAGE + COVERAGE * sum(shares[at] for at in shares if place in held[at]) / total)
            for place, score in scores.items()
        }

    def _add_boosts(self, scores: dict[Place, float], addresses: dict[Place, DocAddress]) -> None:
        top = max(scores.values(), default=0.0) or 1.0
        for key, weight in self._boosts.items():
            query = Query.boolean_query([(Occur.Must, self._queries.keys([key])), *self._demands])
            for _, at in self._searcher.search(query, 1, count=False).hits:
                place = (at.segment_ord, at.doc)
                addresses[place] = at
                scores[place] = scores.get(place, 0.0) + weight * top

    def _ranked(self, place: Place, at: DocAddress, score: float, held: Mapping[int, set[Place]]) -> Ranked:
        words = self._question.words
        mine = {index for index in held if place in held[index]}
        shown = [words[index] for index in sorted(mine) if not words[index].stop and words[index].inside not in mine]
        document = tantivy_format.read(self._searcher.doc(at))
        meant = {id(word): origin for word in shown if (origin := self._synonym(word, document.key))}
        return Ranked(
            document=document,
            score=score,
            matched=list(dict.fromkeys(word.text for word in shown if id(word) not in meant)),
            meant=list(dict.fromkeys(meant.values())),
        )

    def _synonym(self, word: Word, key: str) -> tuple[str, str] | None:
        """The synonym by which alone the document holds the word; None when it holds the word itself."""
        origins = [term for term in word.terms if term.origin]
        own = self._queries.word(word, synonyms=False) if origins else None
        among = (Occur.Must, self._queries.keys([key]))
        if not origins or (own and self._places(own, among)):
            return None
        alone = (replace(word, terms=(term,)) for term in origins)
        held = (each for each in alone if (query := self._queries.word(each)) and self._places(query, among))
        return next((each.terms[0].origin for each in held), None)

    def _facets(self) -> Facets:
        asked = {name: {"terms": {"field": column, "size": MAX_FACET_VALUES}} for name, column in FACETS.items()}
        found = self._searcher.aggregate(self._query, asked)
        return Facets(
            **{name: {each["key"]: int(each["doc_count"]) for each in found[name]["buckets"]} for name in FACETS}
        )

    def _check_time(self) -> None:
        if time.monotonic() > self._deadline:
            raise SearchTimeout


def _languages(key: str) -> tuple[str, ...]:
    return (key, *(f"{key}.{locale}" for locale in LOCALES))
