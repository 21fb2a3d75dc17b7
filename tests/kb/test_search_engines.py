"""What every engine must do, whichever library keeps its index."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import search_parts
from search_parts import DNS, LIBRARY, PRINTER, filled, ids, search

from compagnon.settings import SettingsError
from kb.search import whoosh_engine
from kb.search.choosing import choose
from kb.search.engine import IndexBroken, Ranking, SearchEngine, SearchTimeout
from kb.search.model import MAX_LIMIT, MAX_QUERY_TERMS, Document, Filters
from kb.search.question import ask

Make = Callable[[Path], Any]


@pytest.fixture(params=["whoosh", "tantivy"], scope="module")
def kind(request: pytest.FixtureRequest) -> str:
    if request.param == "tantivy":
        pytest.importorskip("tantivy", reason="the extra [tantivy] is not installed")
    return str(request.param)


@pytest.fixture(scope="module")
def make(kind: str) -> Make:
    return lambda root: choose(kind, root)


@pytest.fixture
def engine(make: Make, tmp_path: Path) -> Iterator[SearchEngine]:
    opened = filled(make(tmp_path / "search"), LIBRARY)
    yield opened
    opened.close()


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
def test_the_right_document_comes_first(engine: SearchEngine, question: str, first: str) -> None:
    assert ids(search(engine, question))[0] == first


def test_the_document_comes_back_as_it_was_given(engine: SearchEngine) -> None:
    assert search(engine, "spoolsv").ranked[0].document == PRINTER


def test_an_unknown_word_finds_nothing(engine: SearchEngine) -> None:
    assert search(engine, "xylophone") == Ranking(unknown=("xylophone",))


def test_a_phrase_must_stand_side_by_side(engine: SearchEngine) -> None:
    assert ids(search(engine, '"nom DNS"')) == ["net-003.fr"]
    assert not search(engine, '"nom DNS"').loosened


def test_a_phrase_that_nothing_holds_is_loosened(engine: SearchEngine) -> None:
    loose = search(engine, '"DNS nom"')
    assert loose.loosened
    assert ids(loose) == ["net-003.fr"]


def test_the_end_of_one_text_and_the_start_of_the_next_are_not_neighbours(engine: SearchEngine) -> None:
    assert search(engine, '"répond videz"').loosened


def test_an_unfinished_word_finds_what_begins_so(engine: SearchEngine) -> None:
    assert "net-003.fr" in ids(search(engine, "systemd-reso", typing=True))
    assert ids(search(engine, "xyl", typing=True)) == []
    assert "imp-001.fr" in ids(search(engine, "bloq", typing=True))
    assert ids(search(engine, "bloq")) == []


def test_a_question_in_one_language_is_not_misread_in_the_other(tmp_path: Path, make: Make) -> None:
    """French « ordinateurs » is stemmed as French in French documents only."""
    french = Document(kind="article", id="f", title="Les journaux", url="/f")
    english = Document(kind="article", id="e", title="Journal entries", url="/e", locale="en")
    engine = filled(make(tmp_path / "s"), [french, english])
    assert ids(search(engine, "journaux")) == ["f"]


def test_filters_and_facets(engine: SearchEngine) -> None:
    everything = search(engine, "imprimante print DNS")
    assert everything.facets.kind == {"procedure": 3, "article": 1}
    assert everything.facets.environment == {"poste-windows-11": 2, "poste-debian-12": 1}
    assert everything.facets.locale == {"fr": 3, "en": 1}
    only = search(engine, "imprimante print DNS", filters=Filters(kinds=("procedure",), locales=("fr",)))
    assert set(ids(only)) == {"imp-001.fr", "net-003.fr"}
    assert set(ids(search(engine, "imprimante print DNS", filters=Filters(skills=("reseau",))))) == {"net-003.fr"}


def test_evidence_lifts_every_language_of_a_document(engine: SearchEngine) -> None:
    plain = ids(search(engine, "choisir imprimante"))
    lifted = search(engine, "choisir imprimante", boosts={"procedure:net-003": 1.0, "procedure:unknown": 1.0})
    assert "net-003.fr" not in plain
    assert "net-003.fr" in ids(lifted)


def test_evidence_alone_is_enough(engine: SearchEngine) -> None:
    assert ids(search(engine, "", boosts={"procedure:net-003": 0.5})) == ["net-003.fr"]


def test_the_matched_words_are_those_that_were_typed(engine: SearchEngine) -> None:
    assert search(engine, "Imprimantes le xylophone 0x80070005").ranked[0].matched == ["Imprimantes", "0x80070005"]


def test_a_search_ends_at_its_deadline(engine: SearchEngine) -> None:
    with pytest.raises(SearchTimeout):
        engine.search(ask("imprimante"), filters=Filters(), limit=5, boosts={}, timeout=-1)


def test_neighbours_and_coverage_count(tmp_path: Path, make: Make) -> None:
    near = Document(kind="article", id="near", title="a", url="/", body="la file d'attente vidée par le service")
    far = Document(kind="article", id="far", title="a", url="/", body="attente vidée par le service de la file")
    engine = filled(make(tmp_path / "s"), [far, near])
    assert ids(search(engine, "file attente"))[0] == "near"


def test_an_update_is_seen_at_once_by_every_engine(engine: SearchEngine, tmp_path: Path, make: Make) -> None:
    other = make(tmp_path / "search")
    assert ids(search(other, "DNS")) == ["net-003.fr"]
    engine.update([Document(kind="article", id="9", title="Panne de DNS", url="/articles/9")], ["procedure:net-003.fr"])
    assert ids(search(engine, "DNS")) == ids(search(other, "DNS")) == ["9"]
    assert engine.count() == other.count() == 4


def test_a_document_replaces_the_one_of_its_key(engine: SearchEngine) -> None:
    engine.update([Document(kind="article", id="7", title="Choisir un écran", url="/articles/7")])
    assert "7" not in ids(search(engine, "imprimante"))
    assert ids(search(engine, "écran")) == ["7"]
    assert engine.count() == 4


def test_searching_while_someone_writes(engine: SearchEngine, tmp_path: Path, make: Make) -> None:
    """No error and no torn answer: DNS is always in the library, in one version or the other."""
    reader = make(tmp_path / "search")
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


def test_a_file_merged_away_while_it_is_searched_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoosh opens some files late; by then the writer may have merged their segment into another."""
    engine = whoosh_engine.WhooshEngine(tmp_path / "search")
    engine.begin()
    engine.add([DNS])
    engine.finish()
    rank, gone = whoosh_engine._rank, [FileNotFoundError("library_1.col")]

    def late(*arguments: Any) -> Any:
        if gone:
            raise gone.pop()
        return rank(*arguments)

    monkeypatch.setattr(whoosh_engine, "_rank", late)
    assert ids(search(engine, "DNS")) == [DNS.id]
    monkeypatch.setattr(whoosh_engine, "_rank", lambda *_: (_ for _ in ()).throw(FileNotFoundError))
    with pytest.raises(IndexBroken):
        search(engine, "DNS")


def test_a_new_index_replaces_the_old_one_only_when_it_is_finished(engine: SearchEngine, tmp_path: Path) -> None:
    stamp = engine.stamp
    engine.begin()
    engine.add([DNS])
    assert engine.count() == 4
    engine.finish()
    assert engine.count() == 1
    assert engine.stamp != stamp
    assert len(list((tmp_path / "search").glob("index-*"))) == 1


def test_an_abandoned_index_leaves_nothing(engine: SearchEngine, tmp_path: Path) -> None:
    engine.begin()
    engine.add([DNS])
    engine.abandon()
    assert engine.count() == 4
    assert len(list((tmp_path / "search").glob("index-*"))) == 1


def test_the_folder_is_private_and_must_be(engine: SearchEngine, tmp_path: Path, make: Make) -> None:
    """Opening a Whoosh index executes pickles: nobody else may put files there."""
    root = tmp_path / "search"
    assert root.stat().st_mode & 0o777 == 0o700
    index = next(root.glob("index-*"))
    index.chmod(0o777)
    with pytest.raises(IndexBroken):
        make(root).open()


QUESTIONS = ("imprimante réseau", "file d'attente", "0x80070005", '"nom DNS"', "printers", "systemd-reso*")


def answers(engine: SearchEngine) -> list[list[tuple[str, float]]]:
    return [
        [(item.document.id, round(item.score, 4)) for item in search(engine, question).ranked] for question in QUESTIONS
    ]


@pytest.mark.parametrize("damage", ["deleted", "truncated", "bit-flipped"])
def test_damage_to_any_file_is_found_and_a_new_index_answers_the_same(make: Make, tmp_path: Path, damage: str) -> None:
    root = tmp_path / "search"
    engine = filled(make(root), LIBRARY)
    engine.update([DNS])
    expected = answers(engine)
    names = [path.name for path in root.glob("index-*/*") if not path.name.startswith((".", "manifest", "library_WR"))]
    assert len(names) >= 2
    for number in range(len(names)):
        files = [path for path in root.glob("index-*/*") if not path.name.startswith((".", "manifest", "library_WR"))]
        path = sorted(files)[min(number, len(files) - 1)]
        content = bytearray(path.read_bytes())
        if damage == "deleted":
            path.unlink()
        elif damage == "truncated":
            path.write_bytes(content[: len(content) // 2])
        else:
            content[random.Random(number).randrange(len(content))] ^= 1 << number % 8
            path.write_bytes(content)
        with pytest.raises(IndexBroken):
            make(root).open()
        again = filled(make(root), LIBRARY)
        again.update([DNS])
        assert answers(again) == expected


@pytest.mark.parametrize("damage", ["pointer", "manifest"])
def test_what_names_the_index_may_be_lost_too(make: Make, tmp_path: Path, damage: str) -> None:
    root = tmp_path / "search"
    filled(make(root), LIBRARY).close()
    if damage == "pointer":
        (root / "current").write_text("../../etc")
    else:
        next(root.glob("index-*/manifest.json")).write_text("[]")
    with pytest.raises(IndexBroken):
        make(root).open()
    assert ids(search(filled(make(root), LIBRARY), "DNS")) == ["net-003.fr"]


def test_an_index_of_the_other_engine_is_none(tmp_path: Path) -> None:
    pytest.importorskip("tantivy", reason="the extra [tantivy] is not installed")
    filled(choose("whoosh", tmp_path / "s"), LIBRARY).close()
    other = choose("tantivy", tmp_path / "s")
    with pytest.raises(IndexBroken, match="another version"):
        other.open()
    assert ids(search(filled(other, LIBRARY), "DNS")) == ["net-003.fr"]
    with pytest.raises(IndexBroken):
        choose("whoosh", tmp_path / "s").open()


def test_several_processes_read_while_one_writes(engine: SearchEngine, kind: str, tmp_path: Path) -> None:
    """Real processes: no error and no torn answer in any of them, and all see the last change."""
    program = [sys.executable, str(Path(search_parts.__file__)), kind, str(tmp_path / "search")]
    readers = [
        subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    for number in range(25):
        engine.update([Document(kind="procedure", id="net-003.fr", title=f"Nom DNS nouvelle{number}", url="/")])
    for reader in readers:
        out, error = reader.communicate("nouvelle24\n", timeout=60)
        assert reader.returncode == 0, error
        searches, errors, last = out.split(maxsplit=2)
        assert int(searches) > 0
        assert int(errors) == 0, out
        assert last.strip() == "net-003.fr"


@pytest.fixture(scope="module")
def crowded(make: Make, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SearchEngine]:
    """A vocabulary in which short beginnings stand for hundreds of words."""
    chance = random.Random(5)
    words = ["".join(chance.choices("abcdefgh", k=6)) for _ in range(3_000)]
    documents = [
        Document(kind="article", id=str(n), title=words[n], url="/", body=" ".join(chance.choices(words, k=60)))
        for n in range(300)
    ]
    engine = filled(make(tmp_path_factory.mktemp("crowded") / "s"), documents)
    yield engine
    engine.close()


@pytest.mark.parametrize(
    "hostile",
    [
        "a" * 100_000,
        "imprimante " * 10_000,
        " ".join(f"{a}{b}*" for a in "abcdefgh" for b in "abcdefgh"),
        "*a* OR *b* OR *c* OR *d*",
        "(a+)+$ .* [a-z]{1,9999} (?=(a*)*)b",
        "a~9999 [a TO z] {* TO *} title:x^999999",
        '"' * 999,
        '"ab* cd*" "ef gh"' * 20,
        "-ab* " * 200 + "abcdef",
        "titre:" * 9_000 + "ab*",
        "type:" + "a" * 50_000,
        "os:windows " * 5_000,
        "\x00\x1b[31m\u202e\u2066abcdef\ufeff",
        "a\u0301" * 50_000,
        "😀" * 20_000,
        "\ud800abc",
        "' OR 1=1 --",
    ],
)
def test_hostile_questions_are_bounded(crowded: SearchEngine, hostile: str) -> None:
    """Answered well within the deadline (else SearchTimeout), and with no more than was asked for."""
    question = ask(hostile, typing=True)
    assert len(question.words) <= MAX_QUERY_TERMS
    ranking = crowded.search(question, filters=question.filters, limit=10, boosts={}, timeout=5)
    assert len(ranking.ranked) <= 10


def test_no_depth_of_results_and_no_number_of_filters_is_too_much(crowded: SearchEngine) -> None:
    everything = ask("aa* bb* cc* dd* ee* ff* gg* hh*")
    for limit in (10**9, 0, -5):
        ranking = crowded.search(everything, filters=Filters(), limit=limit, boosts={}, timeout=5)
        assert 1 <= len(ranking.ranked) <= MAX_LIMIT
    values = tuple(f"value-{n}" for n in range(10_000))
    filters = Filters(kinds=("article",), environments=values, skills=values, os=values)
    assert crowded.search(everything, filters=filters, limit=9, boosts={}, timeout=5).total == 0
    assert crowded.search(everything, filters=Filters(kinds=(*values, "article")), limit=9, boosts={}, timeout=5).total
    boosts = {f"article:{n}": 0.5 for n in range(1_000)}
    assert crowded.search(ask(""), filters=Filters(), limit=9, boosts=boosts, timeout=5).total == 300


@pytest.mark.skipif(os.name != "posix", reason="POSIX modes")
def test_an_index_in_a_folder_of_others_is_refused(engine: SearchEngine, tmp_path: Path, make: Make) -> None:
    (tmp_path / "search").chmod(0o755)
    with pytest.raises(IndexBroken):
        search(make(tmp_path / "search"), "imprimante")


def test_an_engine_that_is_not_installed_is_said_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tantivy", None)
    for name in ("tantivy_engine", "tantivy_format", "tantivy_queries"):
        monkeypatch.delitem(sys.modules, f"kb.search.{name}", raising=False)
    with pytest.raises(SettingsError, match="COMPAGNON_SEARCH_ENGINE=tantivy: the package tantivy is not installed"):
        choose("tantivy", tmp_path)
