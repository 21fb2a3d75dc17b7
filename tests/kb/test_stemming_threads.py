"""Searches run in threads of their own: all of them read a word alike."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from kb.search.stemming import STEMMERS, stem_english, stem_french

ENDINGS = ("ational", "iveness", "ingly", "ments", "ability", "izers", "fulness", "ously", "ements", "ication")
WORDS = tuple(f"{a}{b}{ending}" for a in "bcdfgklmnp" for b in ("arro", "ento", "ilu", "orqua") for ending in ENDINGS)


@pytest.fixture
def hurried() -> Iterator[None]:
    """Threads take turns as often as they can, with nothing remembered of before."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)
    stem_english.cache_clear()
    stem_french.cache_clear()


@pytest.mark.parametrize("locale", ["fr", "en"])
def test_threads_that_stem_at_once_find_the_same(hurried: None, locale: str) -> None:
    stem = STEMMERS[locale]
    alone = [stem(word) for word in WORDS]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            stem_english.cache_clear()
            stem_french.cache_clear()
            rounds = [pool.submit(lambda start: [stem(word) for word in WORDS[start:]], n * 40) for n in range(8)]
            assert [future.result() for future in rounds] == [alone[n * 40 :] for n in range(8)]
