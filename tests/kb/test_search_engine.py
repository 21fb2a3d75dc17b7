"""The engine over a real Whoosh index on disk."""

from __future__ import annotations

import json
import math
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from search_parts import LIBRARY, filled, ids, search
from whoosh.query import Phrase, Term

from kb.search import scoring
from kb.search.analysis import tokens
from kb.search.engine import IndexBroken
from kb.search.model import Document
from kb.search.postings import FEW_VALUES, K1, B, Column
from kb.search.question import ask
from kb.search.whoosh_engine import WhooshEngine
from kb.search.whoosh_format import FIELD_WEIGHTS
from kb.search.whoosh_index import LibraryIndex


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[WhooshEngine]:
    opened = filled(WhooshEngine(tmp_path / "search"), LIBRARY)
    yield opened
    opened.close()


# the scores


def plain_bm25(documents: Sequence[Document], question: str) -> dict[str, float]:
    """The formula, word for word, over lists (one language, no pairs, no coverage)."""
    scores = {document.id: 0.0 for document in documents}
    asked = list(tokens(question, "fr", keep_stop_words=True))
    for name, source, keep in (("title", "title", True), ("body", "body", False), ("lead", "body", False)):
        texts = {d.id: [t.term for t in tokens(getattr(d, source), "fr", keep_stop_words=keep)] for d in documents}
        average = max(sum(map(len, texts.values())) / len(texts), 1.0)
        for token in {(token.term, token.stop) for token in asked}:
            term, stop = token
            holders = [id_ for id_, words in texts.items() if term in words]
            if stop and source == "body":
                continue
            idf = math.log(1 + (len(texts) - len(holders) + 0.5) / (len(holders) + 0.5))
            for id_ in holders:
                tf, length = texts[id_].count(term), len(texts[id_])
                part = tf * (K1 + 1) / (tf + K1 * (1 - B + B * length / average))
                scores[id_] += FIELD_WEIGHTS[name] * idf * part
    return scores


WORDS = ["imprimante", "réseau", "file", "le", "pas", "câble", "écran", "souris", "disque", "port"]
# Up to seven words: Whoosh keeps such lengths exactly.
text_of = st.lists(st.sampled_from(WORDS), min_size=1, max_size=7).map(" ".join)
corpora = st.lists(st.tuples(text_of, text_of), min_size=1, max_size=9)


@given(corpora, text_of, st.integers(1, 4))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_numpy_scores_are_plain_bm25_whatever_the_segments(
    tmp_path_factory: pytest.TempPathFactory, corpus: list[tuple[str, str]], question: str, commits: int
) -> None:
    documents = [
        Document(kind="article", id=str(index), title=title, url="/", body=body)
        for index, (title, body) in enumerate(corpus)
    ]
    engine = filled(WhooshEngine(tmp_path_factory.mktemp("index") / "s"), documents[:1])
    for start in range(1, len(documents), commits):
        engine.update(documents[start : start + commits])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scoring, "PAIR", 0.0)
        patch.setattr(scoring, "COVERAGE", 0.0)
        found = search(engine, question, limit=100)
    expected = plain_bm25(documents, question)
    assert {item.document.id: pytest.approx(item.score, rel=1e-4) for item in found.ranked} == {
        id_: score for id_, score in expected.items() if score > 0
    }


def test_whoosh_itself_reads_our_postings(engine: WhooshEngine, tmp_path: Path) -> None:
    """The seam: the index stays a Whoosh index, phrases included."""
    index = LibraryIndex(tmp_path / "search" / (tmp_path / "search" / "current").read_text()).open()
    with index.searcher() as searcher:
        stem = ask("imprimante").words[0].terms[0].text
        assert len(searcher.search(Term("title", stem))) == 2
        nom, dns = (word.terms[0].text for word in ask("nom DNS").words)
        assert len(searcher.search(Phrase("title", [nom, dns]))) == 1
        assert len(searcher.search(Phrase("title", [dns, nom]))) == 0


def test_a_writer_that_has_not_opened_the_index_replaces_what_it_holds(engine: WhooshEngine, tmp_path: Path) -> None:
    """It finds the old document in segments that it must open first, and the one that was replaced twice only once."""
    for title in ("Un écran", "Deux écrans"):
        writer = WhooshEngine(tmp_path / "search")
        writer.update([Document(kind="article", id="7", title=title, url="/articles/7")])
    assert ids(search(engine, "écran")) == ["7"]
    assert engine.count() == len(LIBRARY)
    WhooshEngine(tmp_path / "search").update([], ["article:7"])
    assert ids(search(engine, "écran")) == []
    assert engine.count() == len(LIBRARY) - 1


@pytest.mark.parametrize("count", [1, FEW_VALUES, FEW_VALUES + 1])
def test_values_are_counted_alike_whether_they_are_few_or_many(count: int) -> None:
    dice = random.Random(count)
    having = {number: dice.sample(range(count), dice.randint(0, min(count, 3))) for number in range(200)}
    pairs = sorted((value, number) for number, values in having.items() for value in values)
    column = Column(
        tuple(f"v{value}" for value in range(count)),
        np.array([number for _, number in pairs], np.int64),
        np.array([value for value, _ in pairs], np.int64),
    )
    for share in (0.0, 0.3, 1.0):
        wanted = np.array([dice.random() < share for _ in having])
        plain = Counter(f"v{value}" for number, values in having.items() if wanted[number] for value in values)
        assert column.counts(wanted) == dict(plain)


def test_an_update_keeps_what_was_decoded(engine: WhooshEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    from kb.search.postings import SegmentPostings

    search(engine, "imprimante réseau")
    engine.update([Document(kind="article", id="9", title="Écran", url="/articles/9")])
    decoded: list[str] = []
    read = SegmentPostings._read

    def noting(self: SegmentPostings, field: str, term: str) -> object:
        decoded.append(f"{self.documents}")
        return read(self, field, term)

    monkeypatch.setattr(SegmentPostings, "_read", noting)
    search(engine, "imprimante réseau")
    assert decoded
    assert set(decoded) == {"1"}, "only the new segment of one document is read"


def test_segments_stay_few(engine: WhooshEngine) -> None:
    for number in range(120):
        engine.update([Document(kind="article", id=f"n{number % 60}", title=f"Note {number}", url="/")])
    assert len(engine.snapshot().parts) <= 20
    assert engine.count() == 64
    assert ids(search(engine, '"note 119"')) == ["n59"]


# damage


def index_files(root: Path, pattern: str) -> list[Path]:
    return sorted(root.glob(f"index-*/{pattern}"))


@pytest.mark.parametrize(
    "damage", ["no folder", "no manifest", "short segment", "no segment", "layout", "pointer", "toc"]
)
def test_damage_is_found_when_the_index_is_opened(engine: WhooshEngine, tmp_path: Path, damage: str) -> None:
    engine.close()
    root = tmp_path / "search"
    manifest = index_files(root, "manifest.json")[0]
    segment = index_files(root, "*.seg")[0]
    if damage == "no folder":
        (root / "current").unlink()
    elif damage == "no manifest":
        manifest.unlink()
    elif damage == "short segment":
        segment.write_bytes(segment.read_bytes()[:100])
    elif damage == "no segment":
        segment.unlink()
    elif damage == "layout":
        manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "layout": "0"}))
    elif damage == "pointer":
        (root / "current").write_text("../../etc")
    elif damage == "toc":
        index_files(root, "*.toc")[0].unlink()
    with pytest.raises(IndexBroken):
        WhooshEngine(root).open()


def test_damage_inside_a_file_is_found_before_anything_is_unpickled(engine: WhooshEngine, tmp_path: Path) -> None:
    engine.close()
    segment = index_files(tmp_path / "search", "*.seg")[0]
    content = bytearray(segment.read_bytes())
    chance = random.Random(7)
    for at in range(0, len(content), 3):
        content[at] = chance.randrange(256)
    segment.write_bytes(content)
    with pytest.raises(IndexBroken, match="damaged"):
        WhooshEngine(tmp_path / "search").open()
    with pytest.raises(IndexBroken):
        search(WhooshEngine(tmp_path / "search"), "imprimante")


def test_the_cache_keeps_to_its_bound(tmp_path: Path) -> None:
    engine = filled(WhooshEngine(tmp_path / "s"), LIBRARY)
    small = WhooshEngine(tmp_path / "s", cache_bytes=4_000)
    for word in ("imprimante", "réseau", "DNS", "file", "attente", "nom", "encre", "print"):
        assert ids(search(small, word)) == ids(search(engine, word))
    assert small._cache.size <= 4_000
