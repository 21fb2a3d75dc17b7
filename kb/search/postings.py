"""Posting lists as numpy arrays: decoded once per segment, kept under a memory bound.

A segment of the index never changes once written, so its arrays stay valid when others are added: an update does not
empty the cache. Deletions and the corpus-wide statistics belong to the snapshot (``snapshot.py``), not to the segment.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray
from whoosh.matching.mcore import NullMatcher
from whoosh.reading import TermNotFound
from whoosh.util.numeric import byte_to_length

from kb.search.whoosh_format import POSITION, WORDS, Untyped

Ids = NDArray[np.int64]
Floats = NDArray[np.float32]
K1 = 1.2
B = 0.7
_LENGTHS = np.array([byte_to_length(byte) for byte in range(256)], np.float32)
AT_ONCE = 500  # words of the vocabulary read under one lock
WORTH_WARMING = 1_000  # documents of a segment; what is in smaller ones is read in no time
COMMON = 1 / 500  # of a segment's documents: a term that so many hold is read before it is asked for
FEW_VALUES = 16  # of a column, for each of which a mask of all documents is kept
_OVERHEAD = 300  # bytes of a cache entry beside its arrays
NOTHING: Ids = np.empty(0, np.int64)


class Postings:
    """The documents of a segment that hold a term: ``ids`` ascending, ``tf`` how often. Never changed."""

    __slots__ = ("_impact", "_impact_for", "ids", "tf")

    def __init__(self, ids: Ids, tf: Floats) -> None:
        self.ids = ids
        self.tf = tf
        self._impact: Floats | None = None
        self._impact_for = -1.0

    def impact(self, lengths: Floats, average: float) -> Floats:
        """The part of BM25 that does not depend on rarity: tf·(k₁+1) / (tf + k₁·(1 - b + b·length/average))."""
        if self._impact is None or self._impact_for != average:
            norm = K1 * (1 - B + B * lengths[self.ids] / average)
            # Threads may compute it twice, from the same numbers; the arrays themselves are never changed.
            self._impact, self._impact_for = (self.tf * (K1 + 1) / (self.tf + norm)).astype(np.float32), average
        return self._impact

    def only(self, kept: NDArray[np.bool_]) -> Postings | None:
        """The same without the documents that are not ``kept``."""
        mine = kept[self.ids]
        return Postings(self.ids[mine], self.tf[mine]) if mine.any() else None

    def holds(self, document: int) -> bool:
        at = int(np.searchsorted(self.ids, document))
        return at < len(self.ids) and int(self.ids[at]) == document

    @property
    def size(self) -> int:
        return self.ids.nbytes + 2 * self.tf.nbytes + _OVERHEAD


class Cache:
    """Least recently used entries go when ``limit`` bytes are passed. Entries may be None (known to be absent)."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._entries: OrderedDict[tuple[str, ...], tuple[Any, int]] = OrderedDict()
        self._lock = threading.Lock()
        self.size = 0

    def get(self, key: tuple[str, ...]) -> tuple[Any, int] | None:
        with self._lock:
            entry = self._entries.get(key)
            if entry is not None:
                self._entries.move_to_end(key)
            return entry

    def put(self, key: tuple[str, ...], value: object, size: int) -> None:
        with self._lock:
            previous = self._entries.pop(key, None)
            self._entries[key] = (value, size)
            self.size += size - (previous[1] if previous else 0)
            while self.size > self.limit and len(self._entries) > 1:
                _, (_, gone) = self._entries.popitem(last=False)
                self.size -= gone

    def keep_segments(self, names: set[str]) -> None:
        """Forget everything of segments that are no longer part of the index."""
        with self._lock:
            for key in [key for key in self._entries if key[0] not in names]:
                self.size -= self._entries.pop(key)[1]


@dataclass(frozen=True, slots=True)
class Column:
    """A facet of one segment: document ``ids[n]`` has the value ``values[numbers[n]]``."""

    values: tuple[str, ...]
    ids: Ids
    numbers: Ids
    _kept: list[NDArray[np.bool_]] = field(default_factory=list, repr=False, compare=False)

    def counts(self, wanted: NDArray[np.bool_]) -> dict[str, int]:
        """How many of the ``wanted`` documents have each value; in time that grows with the documents only."""
        if len(self.values) <= FEW_VALUES:
            each = np.array([np.count_nonzero(mask & wanted) for mask in self._masks(len(wanted))], np.int64)
        else:
            each = np.bincount(self.numbers[wanted[self.ids]], minlength=len(self.values))
        return {self.values[number]: int(each[number]) for number in np.flatnonzero(each)}

    def _masks(self, documents: int) -> list[NDArray[np.bool_]]:
        """Who has each value: counting two masks together is twenty times as fast as picking numbers out."""
        if len(self._kept) < len(self.values):
            masks = [np.zeros(documents, bool) for _ in self.values]
            for number, mask in enumerate(masks):
                mask[self.ids[self.numbers == number]] = True
            self._kept[:] = masks  # two threads may make them, of the same numbers
        return self._kept


class SegmentPostings:
    """Reads one segment's posting lists. Deleted documents are still in them."""

    def __init__(self, segment: Untyped, storage: Untyped, schema: Untyped, cache: Cache) -> None:
        self.name: str = segment.segment_id()
        self.documents: int = segment.doc_count_all()
        codec = segment.codec()
        files = segment.open_compound_file(storage) if segment.is_compound() else storage
        self._terms = codec.terms_reader(files, segment)
        self._columns = codec.per_document_reader(files, segment)
        self._schema = schema
        self._cache = cache
        self._lock = threading.Lock()  # Whoosh's files keep a reading position
        self._lengths: dict[str, Floats] = {}
        self._spoken: dict[str, NDArray[np.bool_]] = {}
        self._facets: dict[str, Column] = {}
        self._vocabulary: dict[str, int] | None = None
        self.field_length = {name: float(self._columns.field_length(name)) for name in schema.names()}

    def term(self, field: str, term: str, locale: str = "") -> Postings | None:
        """The term's postings; with ``locale`` only those of its documents."""
        key = (self.name, field, term, locale)
        cached = self._cache.get(key)
        if cached is not None:
            known: Postings | None = cached[0]
            return known
        with self._lock:
            postings = self._read(field, term)
        if postings and locale:
            postings = postings.only(self.spoken(locale))
        self._cache.put(key, postings, postings.size if postings else _OVERHEAD)
        return postings

    def positions(self, field: str, term: str) -> Ids:
        """Every place of the term in the segment as document·2³² + position, ascending."""
        key = (self.name, field, term, "*positions")
        cached = self._cache.get(key)
        if cached is not None:
            known: Ids = cached[0]
            return known
        with self._lock:
            places = self._read_positions(field, term)
        self._cache.put(key, places, places.nbytes + _OVERHEAD)
        return places

    def sequence(self, field: str, terms: tuple[str, ...], locale: str = "") -> Postings | None:
        """The documents that hold these terms side by side, and how often."""
        key = (self.name, field, " ".join(terms), f"*sequence {locale}")
        cached = self._cache.get(key)
        if cached is not None:
            known: Postings | None = cached[0]
            return known
        places = self.positions(field, terms[0])
        for term in terms[1:]:
            places = adjacent(places, self.positions(field, term)) + 1
        ids, times = np.unique(places >> 32, return_counts=True)
        postings = Postings(ids, times.astype(np.float32)) if len(ids) else None
        if postings and locale:
            postings = postings.only(self.spoken(locale))
        self._cache.put(key, postings, postings.size if postings else _OVERHEAD)
        return postings

    def spoken(self, locale: str) -> NDArray[np.bool_]:
        """Which documents are in this language."""
        known = self._spoken.get(locale)
        if known is None:
            known = np.zeros(self.documents, bool)
            if postings := self.term("locale", locale):
                known[postings.ids] = True
            self._spoken[locale] = known
        return known

    def lengths(self, field: str) -> Floats:
        """The number of terms of each document in this field (kept by Whoosh in one byte: about 5 % exact)."""
        known = self._lengths.get(field)
        if known is None:
            with self._lock:
                known = np.array(
                    [self._columns.doc_field_length(n, field) or 0 for n in range(self.documents)], np.float32
                )
            self._lengths[field] = known
        return known

    def beginning_with(self, field: str, prefix: str, limit: int) -> list[tuple[str, int]]:
        """The ``limit`` most frequent of the first 20 × limit terms with this prefix, with their document counts."""
        key = (self.name, field, prefix, f"*beginning {limit}")
        cached = self._cache.get(key)
        if cached is not None:
            known: list[tuple[str, int]] = cached[0]
            return known
        with self._lock:
            found = list(islice(self._counted(field, prefix), 20 * limit))
        most = sorted(found, key=lambda item: -item[1])[:limit]
        self._cache.put(key, most, _OVERHEAD + 100 * len(most))
        return most

    def frequency(self, field: str, term: str) -> int:
        """How many documents hold the term, without decoding its postings."""
        wanted = term.encode()
        with self._lock:
            return int(self._terms.doc_frequency(field, wanted)) if (field, wanted) in self._terms else 0

    def vocabulary(self) -> Mapping[str, int]:
        """Every word as written and how many documents hold it; read once, without blocking searches for long."""
        if self._vocabulary is None:
            found: dict[str, int] = {}
            after = ""
            while batch := self._some_counted(WORDS, after):
                found.update(batch)
                after = batch[-1][0] + "\0"
            self._vocabulary = found
        return self._vocabulary

    def warm(self, field: str, room: int) -> None:
        """Read the postings of the field's common terms, until the cache holds ``room`` bytes: who types the first
        letters of a word asks for twenty of them at once.
        """
        if self.documents < WORTH_WARMING:
            return
        after = ""
        while batch := self._some_counted(field, after):
            for term, count in batch:
                if self._cache.size >= room:
                    return
                if count >= self.documents * COMMON:
                    self.term(field, term)
            after = batch[-1][0] + "\0"

    def _some_counted(self, field: str, start: str) -> list[tuple[str, int]]:
        """The next terms of the lexicon from ``start`` on, few enough that nobody waits long for the lock."""
        with self._lock:
            return list(islice(self._counted(field, "", start), AT_ONCE))

    def column(self, field: str) -> Column:
        """The values of an unscored field and which documents have them; read once."""
        known = self._facets.get(field)
        if known is None:
            with self._lock:
                values = tuple(self._lexicon(field, ""))
                found = [self._read(field, value) for value in values]
            ids = [postings.ids if postings else NOTHING for postings in found]
            numbers = np.repeat(np.arange(len(values)), [len(each) for each in ids])
            known = Column(values, np.concatenate(ids) if ids else NOTHING, numbers)
            self._facets[field] = known
        return known

    def source(self, document: int) -> tuple[Any, ...]:
        with self._lock:
            source: tuple[Any, ...] = self._columns.stored_fields(document)["source"]
        return source

    def close(self) -> None:
        with self._lock:
            self._terms.close()
            self._columns.close()

    def _lexicon(self, field: str, prefix: str, start: str = "") -> Iterator[str]:
        wanted = prefix.encode()
        for name, text in self._terms.terms_from(field, max(wanted, start.encode())):
            if name != field or not text.startswith(wanted):
                return
            yield text.decode()

    def _counted(self, field: str, prefix: str, start: str = "") -> Iterator[tuple[str, int]]:
        """The terms with this prefix and how many documents hold each, in one walk over the lexicon."""
        wanted = prefix.encode()
        for (name, text), info in self._terms.items_from(field, max(wanted, start.encode())):
            if name != field or not text.startswith(wanted):
                return
            yield text.decode(), int(info.doc_frequency())

    def _matcher(self, field: str, term: str) -> Untyped:
        try:
            return self._terms.matcher(field, term.encode(), self._schema[field].format)
        except TermNotFound:
            return NullMatcher()

    def _read(self, field: str, term: str) -> Postings | None:
        ids: list[int] = []
        weights: list[float] = []
        for block_ids, block_weights, _ in _blocks(self._matcher(field, term), values=False):
            ids.extend(block_ids)
            weights.extend(block_weights)
        return Postings(np.array(ids, np.int64), np.array(weights, np.float32)) if ids else None

    def _read_positions(self, field: str, term: str) -> Ids:
        ids: list[int] = []
        values: list[bytes] = []
        for block_ids, _, block_values in _blocks(self._matcher(field, term), values=True):
            ids.extend(block_ids)
            values.extend(block_values)
        if not ids:
            return NOTHING
        counts = np.fromiter((len(value) for value in values), np.int64, len(values)) // POSITION.itemsize
        places = np.frombuffer(b"".join(values), POSITION).astype(np.int64)
        return (np.repeat(np.array(ids, np.int64), counts) << 32) | places


def _blocks(matcher: Untyped, *, values: bool) -> Iterator[tuple[list[int], list[float], list[bytes]]]:
    """A posting list block by block where the codec's matcher can (128 at a time), else one by one: same content."""
    by_block = all(hasattr(matcher, name) for name in ("_read_ids", "_read_weights", "_read_values", "_next_block"))
    while matcher.is_active():
        if by_block:
            matcher._read_ids()
            matcher._read_weights()
            if values:
                matcher._read_values()
            yield matcher._ids, matcher._weights, matcher._values if values else []
            matcher._next_block()
        else:
            yield [matcher.id()], [matcher.weight()], [matcher.value()] if values else []
            matcher.next()


def adjacent(ahead: Ids, behind: Ids) -> Ids:
    """The places of ``ahead`` that are followed at once by one of ``behind`` (both ascending)."""
    if len(ahead) > len(behind):
        return behind[_isin(behind - 1, ahead)] - 1
    return ahead[_isin(ahead + 1, behind)]


def _isin(wanted: Ids, sorted_places: Ids) -> NDArray[np.bool_]:
    if not len(sorted_places):
        return np.zeros(len(wanted), bool)
    at: Ids = np.searchsorted(sorted_places, wanted)
    at[at == len(sorted_places)] = 0
    return np.asarray(sorted_places[at] == wanted, bool)
