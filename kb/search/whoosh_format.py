"""How the library's index is laid out: the Whoosh schema, its fields and the format of their postings."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import fields
from typing import Any

import numpy as np
from whoosh.fields import ID, STORED, FieldType, Schema
from whoosh.formats import Format

from kb.search.analysis import tokens
from kb.search.model import Document

VERSION = 3  # raise it with any change here: existing indexes are then rebuilt
POSITION = np.dtype("<u4")
Analysed = list[tuple[str, int]]
Untyped = Any  # an object of Whoosh, which is typed in parts only

# Each field is scored by itself and the scores are summed with these weights: the title and what people call the
# trouble say more than the body. Measured on labelled queries (bench/search.py).
FIELD_WEIGHTS = {
    "title": 1.65,
    "symptoms": 1.5,
    "identifiers": 1.2,
    "steps": 1.0,
    "body": 1.0,
    "queries": 1.2,
    "lead": 0.3,  # the first sentences of the body once more: they say what it is about
}
LEAD = 400  # characters
_WORD = re.compile(r"(?<![^\W_])[^\W\d_]{3,32}(?![^\W_])")
WORDS = "words"  # the words as written, for spelling
# Facets.<name> counts, and Filters.<name> keeps, the values of a column.
FACETS = {
    "kind": "kind",
    "environment": "environments",
    "locale": "locale",
    "skill": "skills",
    "os": "os",
    "state": "state",
}
FILTERS = {
    "kinds": "kind",
    "environments": "environments",
    "locales": "locale",
    "skills": "skills",
    "os": "os",
    "states": "state",
}


# Our fields are given analysed terms: Whoosh has nothing to analyse.
_ANALYSED: Untyped = None


class PackedPositions(Format):
    """Where a term stands in a document, as little-endian 32-bit numbers: numpy reads a whole posting list at once.

    The value given for indexing is a list of (term, position): our own analysis was already done.
    """

    def word_values(
        self, value: Analysed, analyzer: object, **options: object
    ) -> Iterator[tuple[Any, int, float, bytes]]:
        places: dict[str, list[int]] = {}
        for term, position in value:
            places.setdefault(term, []).append(position)
        for term, positions in places.items():
            yield term, len(positions), float(len(positions)), self.encode(positions)

    def encode(self, positions: Iterable[int]) -> bytes:
        return np.fromiter(positions, POSITION).tobytes()

    def decode_positions(self, value: bytes) -> list[int]:
        return [int(position) for position in np.frombuffer(value, POSITION)]

    def decode_frequency(self, value: bytes) -> int:
        return len(value) // POSITION.itemsize

    def decode_weight(self, value: bytes) -> float:
        return float(self.decode_frequency(value))

    def combine(self, values: Iterable[bytes]) -> bytes:
        return self.encode(sorted({position for value in values for position in self.decode_positions(value)}))


class Terms(FieldType):
    """A scored text field."""

    def __init__(self) -> None:
        super().__init__(PackedPositions(), _ANALYSED, scorable=True)


class Codes(FieldType):
    """Unscored values to filter and count by; given as a list of (value, 0)."""

    def __init__(self) -> None:
        super().__init__(PackedPositions(), _ANALYSED)


def schema() -> Schema:
    columns: dict[str, Any] = {name: Terms() for name in FIELD_WEIGHTS}
    columns |= {name: Codes() for name in FACETS.values()}
    return Schema(key=ID(unique=True), source=STORED(), words=Codes(), **columns)


def fields_of(document: Document) -> dict[str, Any]:
    """The document as Whoosh's writer takes it; the source is kept for snippets."""
    return {
        "key": document.key,
        "source": _source(document),
        "title": _analysed([document.title], document.locale, titles=True),
        "symptoms": _analysed(document.symptoms, document.locale, titles=True),
        "identifiers": _analysed(document.identifiers, document.locale),
        "steps": _analysed(document.steps, document.locale),
        "body": _analysed([document.body], document.locale),
        "lead": _analysed([lead(document.body)], document.locale),
        "queries": _analysed(document.queries, document.locale, titles=True),
        WORDS: [(word, 0) for word in written_words(document)],
        "kind": [(document.kind, 0)],
        "locale": [(document.locale, 0)],
        "environments": [(code, 0) for code in document.environments],
        "skills": [(code, 0) for code in document.skills],
        "os": [(code, 0) for code in document.os],
        "state": [(document.state, 0)] if document.state else [],
    }


def written_words(document: Document) -> set[str]:
    """What may be offered as a correction: words that every member may read. Never those of past questions."""
    texts = (document.title, *document.symptoms, *document.identifiers, *document.steps, document.body)
    return set(_WORD.findall(unicodedata.normalize("NFC", " ".join(texts)).lower()))


def lead(body: str) -> str:
    """The beginning of a body, up to the end of a word."""
    return body[:LEAD].rsplit(maxsplit=1)[0] if len(body) > LEAD else body


def _analysed(texts: Iterable[str], locale: str, *, titles: bool = False) -> Analysed:
    found: Analysed = []
    base = 0
    for text in texts:
        last = -1
        for token in tokens(text, locale, keep_stop_words=titles):
            found.append((token.term, base + token.position))
            last = token.position
        base += last + 2  # a gap: the end of one text and the start of the next are not neighbours
    return found


_SOURCE = tuple(item.name for item in fields(Document))


def _source(document: Document) -> tuple[Any, ...]:
    return tuple(getattr(document, name) for name in _SOURCE)


def document_of(source: tuple[Any, ...]) -> Document:
    return Document(**dict(zip(_SOURCE, source, strict=True)))
