"""What most questions need is read before they come, within bounds, and changes nothing of what is found."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from search_parts import filled, ids, search

from kb.search.model import Document
from kb.search.postings import WORTH_WARMING
from kb.search.whoosh_engine import WhooshEngine

RARE, FREQUENT = "zyxwvut", "imprimante"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    chance = random.Random(3)
    words = ["".join(chance.choices("abcdefgh", k=5)) for _ in range(200)]
    count = WORTH_WARMING + 50
    bodies = [" ".join([*chance.choices(words, k=30), FREQUENT if n % 3 else RARE * (n == 0)]) for n in range(count)]
    documents = [Document(kind="article", id=str(n), title=f"Cas {n}", url="/", body=bodies[n]) for n in range(count)]
    folder = tmp_path_factory.mktemp("warming") / "search"
    filled(WhooshEngine(folder), documents).close()
    return folder


@pytest.fixture
def engine(root: Path) -> Iterator[WhooshEngine]:
    opened = WhooshEngine(root)
    opened.open()
    yield opened
    opened.close()


def cached(engine: WhooshEngine) -> dict[str, int]:
    return {key[2]: entry[1] for key, entry in engine._cache._entries.items() if key[1] == "body"}


def test_common_words_are_read_and_rare_ones_are_not(engine: WhooshEngine) -> None:
    cold = ids(search(engine, FREQUENT)), ids(search(engine, RARE))
    fresh = WhooshEngine(engine._root)
    fresh.warm()
    known = cached(fresh)
    assert any(term.startswith("impr") for term in known)
    assert RARE not in known
    assert len(known) >= 150
    assert (ids(search(fresh, FREQUENT)), ids(search(fresh, RARE))) == cold
    fresh.close()


def test_what_is_warm_is_not_read_again(engine: WhooshEngine) -> None:
    engine.warm()
    postings = engine.snapshot().parts[0].postings
    read: list[str] = []
    real = postings._read
    postings._read = lambda field, term: read.append(term) or real(field, term)  # type: ignore[method-assign]
    engine.warm()
    assert read == []


def test_half_of_the_room_is_left_for_what_is_asked(root: Path) -> None:
    engine = WhooshEngine(root, cache_bytes=40_000)
    engine.warm()
    assert 0 < engine._cache.size <= 30_000
    engine.close()


def test_a_small_segment_is_left_alone(tmp_path: Path) -> None:
    engine = filled(
        WhooshEngine(tmp_path / "s"), [Document(kind="article", id="1", title="Cas", url="/", body=FREQUENT)]
    )
    engine._cache.keep_segments(set())
    engine.warm()
    assert engine._cache.size == 0
    engine.close()
