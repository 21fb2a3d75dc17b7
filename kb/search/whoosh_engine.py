"""The engine of the library: a Whoosh index on disk, ranked by our own scorer over cached postings."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from kb.search.analysis import LOCALES
from kb.search.engine import IndexBroken, Ranked, Ranking, SearchTimeout
from kb.search.index_folder import RETRIES, IndexFolder
from kb.search.model import MAX_FACET_VALUES, MAX_LIMIT, Document, Facets, Filters
from kb.search.postings import Cache, Floats, SegmentPostings
from kb.search.question import Question
from kb.search.scoring import Scorer, best, filter_mask, phrase_mask
from kb.search.snapshot import Mask, Snapshot, take
from kb.search.whoosh_format import FACETS, FIELD_WEIGHTS, Untyped, document_of, fields_of
from kb.search.whoosh_index import LAYOUT, Holders, LibraryIndex

CACHE_BYTES = 128 * 1024 * 1024
Read = TypeVar("Read")


class WhooshEngine(IndexFolder):
    """A SearchEngine. Any number of threads may search at once."""

    layout = LAYOUT

    def __init__(self, root: Path, *, cache_bytes: int = CACHE_BYTES) -> None:
        super().__init__(root)
        self._cache = Cache(cache_bytes)
        self._snapshot = Snapshot()
        self._begun: LibraryIndex | None = None
        self._writer: Untyped = None
        self._added: set[str] = set()

    # reading

    def close(self) -> None:
        with self._lock:
            self._snapshot = Snapshot()
            self._cache.keep_segments(set())

    def count(self) -> int:
        return self._current_snapshot().count

    def search(
        self,
        question: Question,
        *,
        filters: Filters,
        limit: int,
        boosts: Mapping[str, float],
        timeout: float,
    ) -> Ranking:
        """See SearchEngine. Several threads may search at once."""
        deadline = time.monotonic() + timeout
        limit = min(max(limit, 1), MAX_LIMIT)

        def work(snapshot: Snapshot) -> Ranking:
            ranking = _rank(snapshot, question, filters, limit, boosts, deadline)
            if ranking.total or not question.phrases:
                return ranking
            loose = _rank(snapshot, replace(question, phrases=()), filters, limit, boosts, deadline)
            return replace(loose, loosened=True)

        return self._read(work)

    def document(self, key: str) -> Document | None:
        """See SearchEngine."""

        def work(snapshot: Snapshot) -> Document | None:
            for part, document in snapshot.locate(key):
                return document_of(snapshot.parts[part].postings.source(document))
            return None

        return self._read(work)

    def frequencies(self, terms: Sequence[str]) -> Sequence[int]:
        """See SearchEngine."""
        return self._read(lambda snapshot: [snapshot.frequency(term) for term in terms])

    def vocabulary(self) -> Mapping[str, int]:
        """See SearchEngine."""
        return self._read(Snapshot.vocabulary)

    def warm(self) -> None:
        """See SearchEngine. Half of the cache's room stays for what is really asked."""

        def work(snapshot: Snapshot) -> None:
            for part in snapshot.parts:
                for name in FIELD_WEIGHTS:
                    part.postings.warm(name, self._cache.limit // 2)

        self._read(work)

    def _read(self, work: Callable[[Snapshot], Read]) -> Read:
        """Do ``work`` on what is searched now; again when the writer has merged a file away that it had yet to open."""
        for attempt in range(RETRIES):
            try:
                return work(self._current_snapshot())
            except (SearchTimeout, IndexBroken):
                raise
            except FileNotFoundError as error:
                if attempt == RETRIES - 1:
                    raise IndexBroken("a file of the index is gone") from error
                time.sleep(0.02)
            except Exception as error:  # whatever decoding damaged bytes may raise
                raise IndexBroken(f"the index cannot be read ({type(error).__name__})") from error
        raise AssertionError("the last attempt returns or raises")

    def snapshot(self) -> Snapshot:
        """What is searched now (for tests and benches)."""
        return self._current_snapshot()

    def _current_snapshot(self) -> Snapshot:
        with self._lock:
            self._refresh()
            return self._snapshot

    def _take(self, folder: Path) -> None:
        index = LibraryIndex(folder)
        opened = index.open()
        segments = opened._segments()
        self._snapshot = take(segments, opened.storage, index.schema, self._cache, self._snapshot)

    # writing

    def update(self, documents: Iterable[Document], removed: Iterable[str] = ()) -> None:
        """See SearchEngine."""
        latest = {document.key: document for document in documents}
        gone = [key for key in removed if key not in latest]
        index = LibraryIndex(self._current_folder())
        index.write(latest.values(), gone, self._holders(index))

    def _holders(self, index: LibraryIndex) -> Holders:
        """Who has a key, by the segments that are open for searching anyway; one that is not is opened."""
        opened = {part.postings.name: part.postings for part in self._snapshot.parts}
        storage = index.open().storage

        def find(segment: Untyped, key: str) -> Sequence[int]:
            name = segment.segment_id()
            if name not in opened:
                opened[name] = SegmentPostings(segment, storage, index.schema, self._cache)
            found = opened[name].term("key", key)
            return found.ids.tolist() if found else []

        return find

    def begin(self) -> None:
        """See SearchEngine."""
        self.abandon()
        self._begun = LibraryIndex(self._new_folder())
        self._begun.create()
        self._writer = self._begun.start()

    def add(self, documents: Iterable[Document]) -> None:
        """See SearchEngine."""
        if self._begun is None:
            raise RuntimeError("begin() comes first")
        for document in documents:
            if document.key not in self._added:
                self._added.add(document.key)
                self._writer.add_document(**fields_of(document))

    def finish(self) -> None:
        """See SearchEngine."""
        if self._begun is None:
            raise RuntimeError("begin() comes first")
        self._begun.finish(self._writer)
        begun, self._begun, self._writer, self._added = self._begun, None, None, set()
        self._switch_to(begun.folder)

    def abandon(self) -> None:
        """See SearchEngine."""
        if self._begun is not None:
            if self._writer is not None:
                self._writer.cancel()
            self._writer, self._added = None, set()
            shutil.rmtree(self._begun.folder, ignore_errors=True)
            self._begun = None


def _rank(
    snapshot: Snapshot, question: Question, filters: Filters, limit: int, boosts: Mapping[str, float], deadline: float
) -> Ranking:
    scorer = Scorer(snapshot, question, deadline)
    scores = scorer.scores()
    masks = [_mask(snapshot, index, question, filters) & scorer.allowed(index) for index in range(len(scores))]
    for found, mask in zip(scores, masks, strict=True):
        found[~mask] = 0
    _add_boosts(snapshot, scores, masks, boosts)
    every = np.concatenate(scores) if scores else np.empty(0, np.float32)
    offsets = np.cumsum([0, *(part.documents for part in snapshot.parts)])
    ranked = []
    for index in best(every, limit):
        number = int(np.searchsorted(offsets, index, "right")) - 1
        document = index - int(offsets[number])
        source = document_of(snapshot.parts[number].postings.source(document))
        matched, meant = scorer.matched(number, document)
        ranked.append(Ranked(document=source, score=float(every[index]), matched=matched, meant=meant))
    return Ranking(
        ranked=tuple(ranked),
        total=int(np.count_nonzero(every > 0)),
        facets=_facets(snapshot, scores),
        unknown=scorer.unknown(),
    )


def _mask(snapshot: Snapshot, index: int, question: Question, filters: Filters) -> Mask:
    part = snapshot.parts[index]
    mask = filter_mask(part, filters)
    if part.alive is not None:
        mask &= part.alive
    for phrase in question.phrases:
        mask &= phrase_mask(part, phrase)
    return mask


def _add_boosts(snapshot: Snapshot, scores: list[Floats], masks: list[Mask], boosts: Mapping[str, float]) -> None:
    top = max((float(found.max()) for found in scores if len(found)), default=0.0) or 1.0
    for key, weight in boosts.items():
        # A document in several languages has one key and an id per language (imp-001.fr).
        for each in (key, *(f"{key}.{locale}" for locale in LOCALES)):
            for part, document in snapshot.locate(each):
                if masks[part][document]:
                    scores[part][document] += weight * top


def _facets(snapshot: Snapshot, scores: list[Floats]) -> Facets:
    counts: dict[str, Counter[str]] = {name: Counter() for name in FACETS}
    for part, found in zip(snapshot.parts, scores, strict=True):
        for name, column in FACETS.items():
            counts[name].update(part.postings.column(column).counts(found > 0))
    return Facets(**{name: dict(every.most_common(MAX_FACET_VALUES)) for name, every in counts.items()})
