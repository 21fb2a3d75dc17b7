"""Light stemming of folded French and English words: endings of number, gender, conjugation, a few of derivation.

Light on purpose: what is conflated too far is never told apart again, and the ranking pays for it. The rules work on
words without accents, because people type queries without them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import lru_cache

import snowballstemmer

CACHE = 65_536  # words; the vocabulary of a large library
_VOWELS = frozenset("aeiouy")
# (ending, replacement, letters that must stay before it). Longest first within a pass; the first that fits is applied.
_FRENCH_NUMBER = (("eaux", "eau", 2), ("aux", "al", 3), ("oux", "ou", 2), ("eux", "eu", 2))
_FRENCH_ENDINGS = (
    ("issements", "", 3), ("issement", "", 3), ("ications", "iqu", 3), ("ication", "iqu", 3), ("ements", "", 3),
    ("ement", "", 3), ("ations", "", 3), ("ation", "", 3), ("ateur", "", 4), ("atrice", "", 4), ("issent", "", 3),
    ("issant", "", 3), ("aient", "", 3), ("antes", "", 4), ("ables", "", 3), ("able", "", 3), ("ages", "", 4),
    ("ante", "", 4), ("ants", "", 4), ("ees", "", 3), ("age", "", 4), ("ant", "", 4), ("ent", "", 4), ("ait", "", 4),
    ("ais", "", 4), ("era", "", 4), ("ee", "", 3), ("er", "", 3), ("ez", "", 3), ("ir", "", 4), ("it", "", 4),
    ("es", "", 3), ("e", "", 3), ("i", "", 4), ("s", "", 3),
)  # fmt: skip


@lru_cache(maxsize=CACHE)
def stem_french(word: str) -> str:
    """The stem of a lower-case word without accents."""
    if len(word) < 4 or not word.isascii() or not word.isalpha():
        return word
    return _undouble(_strip(_singular(word), _FRENCH_ENDINGS))


def _singular(word: str) -> str:
    if word.endswith("x"):
        changed = _strip(word, _FRENCH_NUMBER)
        return changed if changed != word else word
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def _strip(word: str, rules: tuple[tuple[str, str, int], ...]) -> str:
    for ending, replacement, keep in rules:
        if word.endswith(ending) and len(word) - len(ending) >= keep:
            stem = word[: len(word) - len(ending)]
            if _VOWELS & set(stem):
                return stem + replacement
    return word


def _undouble(word: str) -> str:
    """A doubled last consonant is only an accident of conjugation (appelle, appeler)."""
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in _VOWELS:
        return word[:-1]
    return word


class _English(threading.local):
    """A stemmer for each thread: it keeps the word it works on in itself, and searches run in several threads."""

    def __init__(self) -> None:
        self.stemmer = snowballstemmer.stemmer("english")


_english = _English()


@lru_cache(maxsize=CACHE)
def stem_english(word: str) -> str:
    """The Snowball (Porter 2) stem of a lower-case word."""
    if len(word) < 4 or not word.isascii() or not word.isalpha():
        return word
    return str(_english.stemmer.stemWord(word))


STEMMERS: dict[str, Callable[[str], str]] = {"fr": stem_french, "en": stem_english}
