"""The index as it was at one commit: the segments that were alive, who was deleted, and the statistics of the whole."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kb.search.postings import Cache, Postings, SegmentPostings
from kb.search.whoosh_format import FIELD_WEIGHTS, Untyped

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One segment in a snapshot. ``alive`` is None when nothing of it was deleted."""

    postings: SegmentPostings
    alive: Mask | None

    @property
    def documents(self) -> int:
        return self.postings.documents


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    parts: Sequence[Part] = ()
    count: int = 0  # living documents
    average: dict[str, float] = field(default_factory=dict)  # terms per document, by field

    def idf(self, frequency: int) -> float:
        """ln(1 + (N - n + ½) / (n + ½)): never negative. Deleted documents count until their segment is merged."""
        total = max(self.total, frequency)
        return math.log(1 + (total - frequency + 0.5) / (frequency + 0.5))

    @property
    def total(self) -> int:
        return sum(part.documents for part in self.parts)

    @property
    def used(self) -> dict[str, bool]:
        """Whether any document has something in the field."""
        return {name: any(part.postings.field_length[name] for part in self.parts) for name in FIELD_WEIGHTS}

    def postings(self, name: str, term: str, locale: str = "") -> tuple[Postings | None, ...]:
        """The postings of a term in a field, part by part; of ``locale``'s documents only, unless it is empty."""
        return tuple(part.postings.term(name, term, locale) for part in self.parts)

    def frequency(self, term: str) -> int:
        """How many documents hold the term in the field where most do."""
        return max(sum(part.postings.frequency(name, term) for part in self.parts) for name in FIELD_WEIGHTS)

    def vocabulary(self) -> Mapping[str, int]:
        """The words as written and how many documents hold each; segments that were read before are not read again."""
        counts: Counter[str] = Counter()
        for part in self.parts:
            counts.update(part.postings.vocabulary())
        return counts

    def locate(self, key: str) -> Iterator[tuple[int, int]]:
        """Part and document number of the living document with this key."""
        for index, part in enumerate(self.parts):
            found = part.postings.term("key", key)
            for document in found.ids if found else ():
                if part.alive is None or part.alive[document]:
                    yield index, int(document)


def take(segments: Sequence[Untyped], storage: Untyped, schema: Untyped, cache: Cache, known: Snapshot) -> Snapshot:
    """The snapshot of these segments; what ``known`` has already opened is used again."""
    opened = {part.postings.name: part.postings for part in known.parts}
    parts = []
    for segment in segments:
        postings = opened.get(segment.segment_id()) or SegmentPostings(segment, storage, schema, cache)
        parts.append(Part(postings=postings, alive=_alive(segment)))
    cache.keep_segments({part.postings.name for part in parts})
    total = sum(part.documents for part in parts)
    lengths = {name: sum(part.postings.field_length[name] for part in parts) for name in FIELD_WEIGHTS}
    average = {name: max(length / max(total, 1), 1.0) for name, length in lengths.items()}
    return Snapshot(parts=tuple(parts), count=sum(segment.doc_count() for segment in segments), average=average)


def _alive(segment: Untyped) -> Mask | None:
    if not segment.has_deletions():
        return None
    alive = np.ones(segment.doc_count_all(), bool)
    alive[list(segment.deleted_docs())] = False
    return alive
