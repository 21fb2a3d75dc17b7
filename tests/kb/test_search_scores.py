"""Our scorer beside Whoosh's own, over the same index, whatever was added, replaced, taken out and merged before."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from whoosh.query import Or, Term
from whoosh.scoring import BM25F

from kb.search import question as questions
from kb.search import scoring
from kb.search.analysis import terms
from kb.search.model import Document, Filters
from kb.search.postings import K1, B
from kb.search.question import Question, Word
from kb.search.whoosh_engine import WhooshEngine
from kb.search.whoosh_format import FIELD_WEIGHTS, document_of
from kb.search.whoosh_index import LibraryIndex

WORDS = ["imprimante", "réseau", "file", "câble", "écran", "souris", "disque", "port", "0x80070005", "Get-Printer"]
titles = st.lists(st.sampled_from(WORDS), min_size=1, max_size=60).map(" ".join)  # long ones have rounded lengths
ids = st.integers(0, 11).map(str)
commits = st.lists(
    st.tuples(st.dictionaries(ids, titles, max_size=4), st.lists(ids, max_size=3)), min_size=1, max_size=14
)


class SameIdf(BM25F):
    """Whoosh's BM25F with the idf that never becomes negative; everything else is Whoosh's own."""

    def idf(self, searcher: Any, fieldname: str, text: str) -> float:
        parent = searcher.get_parent()
        found, every = parent.doc_frequency(fieldname, text), parent.doc_count_all()
        return math.log(1 + (every - found + 0.5) / (found + 0.5))


def whoosh_scores(engine: WhooshEngine, field: str, asked: Sequence[str]) -> dict[str, float]:
    opened: Any = LibraryIndex(engine._current_folder()).open()
    with opened.searcher(weighting=SameIdf(B=B, K1=K1)) as searcher:
        hits = searcher.search(Or([Term(field, text) for text in asked]), limit=None)
        return {document_of(hit["source"]).id: float(hit.score) for hit in hits}


def our_scores(engine: WhooshEngine, field: str, asked: Sequence[str]) -> dict[str, float]:
    words = tuple(Word((questions.Term(text),), text=text) for text in asked)
    found = engine.search(Question(words=words), filters=Filters(), limit=100, boosts={}, timeout=60)
    return {item.document.id: item.score / FIELD_WEIGHTS[field] for item in found.ranked}


@contextmanager
def only(field: str) -> Iterator[None]:
    """One field, and neither the share of the question nor neighbours: BM25 and nothing else."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scoring, "FIELD_WEIGHTS", {field: FIELD_WEIGHTS[field]})
        patch.setattr(scoring, "COVERAGE", 0.0)
        yield


@given(commits, st.lists(st.sampled_from(WORDS), min_size=1, max_size=4, unique=True))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_ours_and_whooshs_scores_are_the_same_after_any_changes(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[dict[str, str], list[str]]], words: list[str]
) -> None:
    engine = WhooshEngine(tmp_path_factory.mktemp("index") / "s")
    engine.begin()
    engine.finish()
    alive: set[str] = set()
    for added, removed in changes:
        documents = [Document(kind="article", id=id_, title=title, url="/") for id_, title in added.items()]
        engine.update(documents, [f"article:{id_}" for id_ in removed])
        alive = (alive - set(removed)) | set(added)
    asked = list(dict.fromkeys(term for word in words for term in terms(word)))
    with only("title"):
        ours = our_scores(engine, "title", asked)
    theirs = whoosh_scores(engine, "title", asked)
    assert set(ours) <= alive
    assert ours == pytest.approx(theirs, rel=1e-4)


def test_the_comparison_can_fail(tmp_path: Any) -> None:
    engine = WhooshEngine(tmp_path / "s")
    engine.begin()
    engine.add([Document(kind="article", id=str(n), title=" ".join(WORDS[: n + 1]), url="/") for n in range(5)])
    engine.finish()
    with only("title"), pytest.MonkeyPatch.context() as patch:
        patch.setattr("kb.search.postings.B", 0.4)
        assert our_scores(engine, "title", ["imprim"]) != pytest.approx(whoosh_scores(engine, "title", ["imprim"]))
