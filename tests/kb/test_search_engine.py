"""The engine over a real Whoosh index on disk."""

from __future__ import annotations

import json
import math
import os
import random
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from whoosh.query import Phrase, Term

from kb.search import scoring
from kb.search.analysis import tokens
from kb.search.engine import IndexBroken, Ranking, SearchTimeout
from kb.search.model import Document, Filters
from kb.search.postings import K1, B
from kb.search.question import ask
from kb.search.whoosh_engine import WhooshEngine
from kb.search.whoosh_format import FIELD_WEIGHTS
from kb.search.whoosh_index import LibraryIndex

PRINTER = Document(
    kind="procedure",
    id="imp-001.fr",
    title="L'imprimante réseau n'imprime plus",
    url="/procedures/imp-001",
    symptoms=("Rien ne sort de l'imprimante", "file d'attente bloquée"),
    identifiers=("spoolsv.exe", "0x80070005"),
    steps=("Vérifiez que l'imprimante répond", "Videz la file d'attente"),
    environments=("poste-windows-11",),
    skills=("impression",),
)
QUEUE = Document(
    kind="procedure",
    id="imp-001.en",
    title="The network printer does not print",
    url="/procedures/imp-001",
    locale="en",
    body="Empty the printing queue.",
    environments=("poste-windows-11",),
    skills=("impression",),
)
DNS = Document(
    kind="procedure",
    id="net-003.fr",
    title="Résoudre un nom DNS",
    url="/procedures/net-003",
    body="Lisez /etc/resolv.conf puis relancez systemd-resolved.",
    environments=("poste-debian-12",),
    skills=("reseau",),
)
ARTICLE = Document(
    kind="article", id="7", title="Choisir une imprimante", url="/articles/7", body="Laser ou jet d'encre."
)
LIBRARY = (PRINTER, QUEUE, DNS, ARTICLE)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[WhooshEngine]:
    opened = filled(tmp_path / "search", LIBRARY)
    yield opened
    opened.close()


def filled(root: Path, documents: Sequence[Document]) -> WhooshEngine:
    engine = WhooshEngine(root)
    engine.begin()
    engine.add(documents)
    engine.finish()
    engine.open()
    return engine


def search(
    engine: WhooshEngine, text: str, *, filters: Filters | None = None, boosts: Mapping[str, float] | None = None,
    limit: int = 10, typing: bool = False,
) -> Ranking:  # fmt: skip
    return engine.search(
        ask(text, typing=typing), filters=filters or Filters(), limit=limit, boosts=boosts or {}, timeout=10
    )


def ids(ranking: Ranking) -> list[str]:
    return [item.document.id for item in ranking.ranked]


# what is found


@pytest.mark.parametrize(
    ("question", "first"),
    [
        ("imprimante reseau", "imp-001.fr"),
        ("IMPRIMANTES RÉSEAUX", "imp-001.fr"),
        ("0x80070005", "imp-001.fr"),
        ("spoolsv", "imp-001.fr"),
        ("printers", "imp-001.en"),
        ("resolv.conf", "net-003.fr"),
        ("/etc/resolv.conf", "net-003.fr"),
        ("résolution de noms", "net-003.fr"),
        ("quelle imprimante choisir", "7"),
        ("file d’attente", "imp-001.fr"),
    ],
)
def test_the_right_document_comes_first(engine: WhooshEngine, question: str, first: str) -> None:
    assert ids(search(engine, question))[0] == first


def test_the_document_comes_back_as_it_was_given(engine: WhooshEngine) -> None:
    assert search(engine, "spoolsv").ranked[0].document == PRINTER


def test_an_unknown_word_finds_nothing(engine: WhooshEngine) -> None:
    assert search(engine, "xylophone") == Ranking(unknown=("xylophone",))


def test_a_phrase_must_stand_side_by_side(engine: WhooshEngine) -> None:
    assert ids(search(engine, '"nom DNS"')) == ["net-003.fr"]
    assert not search(engine, '"nom DNS"').loosened


def test_a_phrase_that_nothing_holds_is_loosened(engine: WhooshEngine) -> None:
    loose = search(engine, '"DNS nom"')
    assert loose.loosened
    assert ids(loose) == ["net-003.fr"]


def test_the_end_of_one_text_and_the_start_of_the_next_are_not_neighbours(engine: WhooshEngine) -> None:
    assert search(engine, '"répond videz"').loosened


def test_an_unfinished_word_finds_what_begins_so(engine: WhooshEngine) -> None:
    assert "net-003.fr" in ids(search(engine, "systemd-reso", typing=True))
    assert ids(search(engine, "xyl", typing=True)) == []
    assert "imp-001.fr" in ids(search(engine, "bloq", typing=True))
    assert ids(search(engine, "bloq")) == []


def test_a_question_in_one_language_is_not_misread_in_the_other(tmp_path: Path) -> None:
    """French « ordinateurs » is stemmed as French in French documents only."""
    french = Document(kind="article", id="f", title="Les journaux", url="/f")
    english = Document(kind="article", id="e", title="Journal entries", url="/e", locale="en")
    engine = filled(tmp_path / "s", [french, english])
    assert ids(search(engine, "journaux")) == ["f"]


def test_filters_and_facets(engine: WhooshEngine) -> None:
    everything = search(engine, "imprimante print DNS")
    assert everything.facets.kind == {"procedure": 3, "article": 1}
    assert everything.facets.environment == {"poste-windows-11": 2, "poste-debian-12": 1}
    assert everything.facets.locale == {"fr": 3, "en": 1}
    only = search(engine, "imprimante print DNS", filters=Filters(kinds=("procedure",), locales=("fr",)))
    assert set(ids(only)) == {"imp-001.fr", "net-003.fr"}
    assert set(ids(search(engine, "imprimante print DNS", filters=Filters(skills=("reseau",))))) == {"net-003.fr"}


def test_evidence_lifts_every_language_of_a_document(engine: WhooshEngine) -> None:
    plain = ids(search(engine, "choisir imprimante"))
    lifted = search(engine, "choisir imprimante", boosts={"procedure:net-003": 1.0, "procedure:unknown": 1.0})
    assert "net-003.fr" not in plain
    assert "net-003.fr" in ids(lifted)


def test_evidence_alone_is_enough(engine: WhooshEngine) -> None:
    assert ids(search(engine, "", boosts={"procedure:net-003": 0.5})) == ["net-003.fr"]


def test_the_matched_words_are_those_that_were_typed(engine: WhooshEngine) -> None:
    assert search(engine, "Imprimantes le xylophone 0x80070005").ranked[0].matched == ["Imprimantes", "0x80070005"]


def test_a_search_ends_at_its_deadline(engine: WhooshEngine) -> None:
    with pytest.raises(SearchTimeout):
        engine.search(ask("imprimante"), filters=Filters(), limit=5, boosts={}, timeout=-1)


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
    engine = filled(tmp_path_factory.mktemp("index") / "s", documents[:1])
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


def test_neighbours_and_coverage_count(tmp_path: Path) -> None:
    near = Document(kind="article", id="near", title="a", url="/", body="la file d'attente vidée par le service")
    far = Document(kind="article", id="far", title="a", url="/", body="attente vidée par le service de la file")
    engine = filled(tmp_path / "s", [far, near])
    assert ids(search(engine, "file attente"))[0] == "near"


def test_whoosh_itself_reads_our_postings(engine: WhooshEngine, tmp_path: Path) -> None:
    """The seam: the index stays a Whoosh index, phrases included."""
    index = LibraryIndex(tmp_path / "search" / (tmp_path / "search" / "current").read_text()).open()
    with index.searcher() as searcher:
        stem = ask("imprimante").words[0].terms[0].text
        assert len(searcher.search(Term("title", stem))) == 2
        nom, dns = (word.terms[0].text for word in ask("nom DNS").words)
        assert len(searcher.search(Phrase("title", [nom, dns]))) == 1
        assert len(searcher.search(Phrase("title", [dns, nom]))) == 0


# change


def test_an_update_is_seen_at_once_by_every_engine(engine: WhooshEngine, tmp_path: Path) -> None:
    other = WhooshEngine(tmp_path / "search")
    assert ids(search(other, "DNS")) == ["net-003.fr"]
    engine.update([Document(kind="article", id="9", title="Panne de DNS", url="/articles/9")], ["procedure:net-003.fr"])
    assert ids(search(engine, "DNS")) == ids(search(other, "DNS")) == ["9"]
    assert engine.count() == other.count() == 4


def test_a_document_replaces_the_one_of_its_key(engine: WhooshEngine) -> None:
    engine.update([Document(kind="article", id="7", title="Choisir un écran", url="/articles/7")])
    assert "7" not in ids(search(engine, "imprimante"))
    assert ids(search(engine, "écran")) == ["7"]
    assert engine.count() == 4


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


def test_searching_while_someone_writes(engine: WhooshEngine, tmp_path: Path) -> None:
    """No error and no torn answer: DNS is always in the library, in one version or the other."""
    reader = WhooshEngine(tmp_path / "search")
    stop, errors = threading.Event(), []

    def read() -> None:
        while not stop.is_set():
            try:
                if ids(search(reader, "DNS")) != ["net-003.fr"]:
                    errors.append("missing")
            except Exception as error:
                errors.append(repr(error))

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    for number in range(40):
        engine.update([Document(kind="procedure", id="net-003.fr", title=f"Nom DNS {number}", url="/")])
    stop.set()
    for thread in threads:
        thread.join()
    assert errors == []


def test_a_new_index_replaces_the_old_one_only_when_it_is_finished(engine: WhooshEngine, tmp_path: Path) -> None:
    stamp = engine.stamp
    engine.begin()
    engine.add([DNS])
    assert engine.count() == 4
    engine.finish()
    assert engine.count() == 1
    assert engine.stamp != stamp
    assert len(list((tmp_path / "search").glob("index-*"))) == 1


def test_an_abandoned_index_leaves_nothing(engine: WhooshEngine, tmp_path: Path) -> None:
    engine.begin()
    engine.add([DNS])
    engine.abandon()
    assert engine.count() == 4
    assert len(list((tmp_path / "search").glob("index-*"))) == 1


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


def test_the_folder_is_private_and_must_be(engine: WhooshEngine, tmp_path: Path) -> None:
    """Opening a Whoosh index executes pickles: nobody else may put files there."""
    root = tmp_path / "search"
    assert root.stat().st_mode & 0o777 == 0o700
    index = next(root.glob("index-*"))
    index.chmod(0o777)
    with pytest.raises(IndexBroken):
        WhooshEngine(root).open()


def test_a_damaged_index_is_built_anew_by_begin_and_finish(engine: WhooshEngine, tmp_path: Path) -> None:
    index_files(tmp_path / "search", "manifest.json")[0].unlink()
    engine.begin()
    engine.add(LIBRARY)
    engine.finish()
    engine.open()
    assert engine.count() == 4


# bounds


def test_hostile_questions_are_answered_at_once(engine: WhooshEngine) -> None:
    for hostile in (
        "a" * 100_000,
        " ".join(f"{c}*" for c in "abcdefghijklmnop") * 3,
        '"' * 999,
        "imprimante " * 5000,
        "\x00\u202e",
    ):
        started = time.monotonic()
        search(engine, hostile, typing=True)
        assert time.monotonic() - started < 0.5


def test_the_cache_keeps_to_its_bound(tmp_path: Path) -> None:
    engine = filled(tmp_path / "s", LIBRARY)
    small = WhooshEngine(tmp_path / "s", cache_bytes=4_000)
    for word in ("imprimante", "réseau", "DNS", "file", "attente", "nom", "encre", "print"):
        assert ids(search(small, word)) == ids(search(engine, word))
    assert small._cache.size <= 4_000


@pytest.mark.skipif(os.name != "posix", reason="POSIX modes")
def test_an_index_in_a_folder_of_others_is_refused(engine: WhooshEngine, tmp_path: Path) -> None:
    (tmp_path / "search").chmod(0o755)
    with pytest.raises(IndexBroken):
        search(WhooshEngine(tmp_path / "search"), "imprimante")
