"""Spelling by a deletion dictionary: two words are close when deleting a letter or two makes them the same.

After the idea of SymSpell (Garbe 2012): the deletions of every known word are prepared, and those of a typed word are
looked up. Here they are 64-bit sums in sorted numpy arrays, about 300 bytes a word.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from kb.search.analysis import fold
from kb.search.engine import IndexBroken, SearchEngine

log = logging.getLogger(__name__)
MAX_WORDS = 60_000  # most frequent words that are known
LONGEST = 32  # letters
SHORTEST = 4  # shorter words have too many neighbours
TWO_FROM = 8  # letters from which two mistakes are forgiven
PREFIX = 7  # letters whose deletions are prepared
BELIEVED = 20  # times as frequent must a neighbour be to be offered for a word that exists
RARE = 2  # documents
PAUSE = 2.0  # seconds between two builds, at least
REST = 20  # times as long as a build took: while an import changes the index without end, it takes 5 % of a core
FIRST = 1.0  # seconds that a question may wait for the very first one

_Codes = NDArray[np.uint64]
_POWERS: _Codes = np.array([pow(0x9E3779B97F4A7C15, k + 1, 1 << 64) | 1 for k in range(PREFIX)], np.uint64)


@dataclass(frozen=True, slots=True)
class Candidate:
    """``text`` as documents write it; ``count``: documents that hold it; ``distance``: mistakes made."""

    text: str
    count: int
    distance: int


class Dictionary:
    """The words of the library. ``words``: how many documents hold each, as written (lower case, with accents)."""

    def __init__(self, words: Mapping[str, int]) -> None:
        self._counts: dict[str, int] = {}
        shown: dict[str, tuple[int, str]] = {}
        for word, count in words.items():
            plain = fold(word)
            self._counts[plain] = self._counts.get(plain, 0) + count
            shown[plain] = max(shown.get(plain, (0, "")), (count, word))
        kept = sorted(self._counts, key=lambda plain: (-self._counts[plain], plain))[:MAX_WORDS]
        self._counts = {plain: self._counts[plain] for plain in kept}
        self._words = kept
        self._shown = [shown[plain][1] for plain in kept]
        self._sums, self._ids = _prepared(kept)

    def __len__(self) -> int:
        return len(self._words)

    def count(self, word: str) -> int:
        """How many documents hold the word as it is written, accents aside."""
        return self._counts.get(fold(word), 0)

    def close(self, word: str) -> list[Candidate]:
        """The known words that ``word`` may be a misspelling of, the most likely first; at most five.

        A word that is known itself has no misspelling at distance 0: its other neighbours are given.
        """
        plain = fold(word)
        if not SHORTEST <= len(plain) <= LONGEST or not plain.isalpha():
            return []
        most = 2 if len(plain) >= TWO_FROM else 1
        found = []
        for index in self._neighbours(plain, most):
            other = self._words[index]
            distance = mistakes(plain, other, most) if other != plain else 0
            if 0 < distance <= most:
                found.append(Candidate(self._shown[index], self._counts[other], distance))
        return sorted(found, key=lambda item: (item.distance, fold(item.text)[0] != plain[0], -item.count))[:5]

    def _neighbours(self, plain: str, most: int) -> Sequence[int]:
        sums = np.unique(_sums(_codes([plain]), most))
        starts = np.searchsorted(self._sums, sums, "left")
        ends = np.searchsorted(self._sums, sums, "right")
        ids = [self._ids[start:end] for start, end in zip(starts, ends, strict=True) if end > start]
        return [int(index) for index in np.unique(np.concatenate(ids))] if ids else []


def mistakes(typed: str, meant: str, most: int) -> int:
    """Letters to add, drop, change or swap with their neighbour (optimal string alignment); ``most`` + 1 when more."""
    if abs(len(typed) - len(meant)) > most:
        return most + 1
    before: list[int] = []
    row = list(range(len(meant) + 1))
    for i, letter in enumerate(typed, 1):
        last, row_before = before, row
        row = [i]
        for j, other in enumerate(meant, 1):
            cost = min(row_before[j] + 1, row[j - 1] + 1, row_before[j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == meant[j - 2] and typed[i - 2] == other:
                cost = min(cost, last[j - 2] + 1)
            row.append(cost)
        before = row_before
        if min(row) > most:
            return most + 1
    return min(row[-1], most + 1)


def _codes(words: Sequence[str]) -> _Codes:
    """The first letters of each word as numbers, zeros behind the end."""
    fixed = np.array([word[:PREFIX] for word in words], f"U{PREFIX}")
    return fixed.view(np.uint32).reshape(len(words), PREFIX).astype(np.uint64)


def _sums(codes: _Codes, most: int) -> _Codes:
    """One sum for every way to delete up to ``most`` letters: shape (words, ways)."""
    ways = [_sum(np.delete(codes, gone, axis=1)) for gone in _deletions(most)]
    return np.stack(ways, axis=1)


def _deletions(most: int) -> Iterator[list[int]]:
    for number in range(most + 1):
        yield from (list(gone) for gone in combinations(range(PREFIX), number))


def _sum(codes: _Codes) -> _Codes:
    found: _Codes = (codes * _POWERS[: codes.shape[1]]).sum(axis=1, dtype=np.uint64)
    return found


def _prepared(words: Sequence[str]) -> tuple[_Codes, NDArray[np.int32]]:
    """The sums of all words' deletions in ascending order, and the word of each."""
    if not words:
        return np.empty(0, np.uint64), np.empty(0, np.int32)
    sums = _sums(_codes(words), 2)
    every = sums.ravel()
    ids = np.repeat(np.arange(len(words), dtype=np.int32), sums.shape[1])
    order = np.lexsort((ids, every))
    every, ids = every[order], ids[order]
    fresh = np.ones(len(every), bool)
    fresh[1:] = (every[1:] != every[:-1]) | (ids[1:] != ids[:-1])
    return every[fresh], ids[fresh]


class Speller:
    """Keeps a dictionary of the engine's present vocabulary; made in a thread of its own, never in a question's.

    That thread reads each new state of the index through, so it also warms it.
    """

    def __init__(self, engine: SearchEngine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._made_for: tuple[str, int] = ("", -1)
        self._not_before = 0.0
        self._ready = threading.Event()
        self._building: threading.Thread | None = None
        self._dictionary = Dictionary({})

    def dictionary(self) -> Dictionary:
        """The last dictionary; a newer one is begun when the index has moved on. Waits only while there is none."""
        self._begin()
        self._ready.wait(FIRST)
        return self._dictionary

    def _begin(self) -> None:
        wanted = (self._engine.stamp, self._engine.generation)
        with self._lock:
            busy = self._building is not None and self._building.is_alive()
            if busy or wanted == self._made_for or time.monotonic() < self._not_before:
                return
            self._building = threading.Thread(target=self._build, args=(wanted,), name="spelling", daemon=True)
            self._building.start()

    def _build(self, wanted: tuple[str, int]) -> None:
        begun = time.monotonic()
        try:
            self._dictionary = Dictionary(self._engine.vocabulary())
            self._made_for = wanted
            self._ready.set()
            self._engine.warm()
        except IndexBroken as error:
            log.info("no spelling for now: %s", error)
        finally:
            now = time.monotonic()
            self._not_before = now + max(PAUSE, REST * (now - begun))
            self._ready.set()
