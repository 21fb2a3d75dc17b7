"""Misspelt words: what is close, what is taken, what is only offered, and what is never learnt."""

from __future__ import annotations

import string
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compagnon.db import Database
from kb.search.model import Correction, Document
from kb.search.service import Search
from kb.search.spelling import TWO_FROM, Dictionary, mistakes
from kb.search.whoosh_engine import WhooshEngine

WORDS = {"réseau": 40, "reseau": 3, "imprimante": 90, "imprimantes": 20, "messagerie": 15, "écran": 30, "écrans": 9}
words = st.text(string.ascii_lowercase[:6], min_size=4, max_size=11)


def close(word: str) -> list[str]:
    return [candidate.text for candidate in Dictionary(WORDS).close(word)]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("resau", "réseau"),
        ("RÉSAEU", "réseau"),
        ("inprimante", "imprimante"),
        ("imprimnate", "imprimante"),
        ("imprimente", "imprimante"),
        ("messagrie", "messagerie"),
        ("mesagrie", "messagerie"),
        ("ecrna", "écran"),
    ],
)
def test_a_misspelt_word_is_close_to_the_word_as_it_is_written(typed: str, meant: str) -> None:
    assert close(typed)[0] == meant


@pytest.mark.parametrize("typed", ["", "ré", "rés", "xylophone", "rxsxau", "0x80070005", "a" * 100_000, "écran bleu"])
def test_what_is_too_short_too_far_or_no_word_is_close_to_nothing(typed: str) -> None:
    assert close(typed) == []


@given(st.dictionaries(words, st.integers(1, 99), max_size=30), words)
@settings(max_examples=60, deadline=None)
def test_the_deletions_find_exactly_what_comparing_with_every_word_finds(known: dict[str, int], typed: str) -> None:
    most = 2 if len(typed) >= TWO_FROM else 1
    expected = {word for word in known if 0 < mistakes(typed, word, most) <= most}
    found = {candidate.text for candidate in Dictionary(known).close(typed)}
    assert found <= expected
    assert len(found) == min(5, len(expected))


@given(words, words)
def test_mistakes_are_counted_both_ways_alike(one: str, other: str) -> None:
    assert mistakes(one, other, 9) == mistakes(other, one, 9)
    assert (mistakes(one, other, 9) == 0) == (one == other)


def test_a_vocabulary_of_any_size_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kb.search.spelling.MAX_WORDS", 3)
    kept = Dictionary(WORDS)
    assert len(kept) == 3
    assert kept.count("imprimante") == 90
    assert kept.count("messagerie") == 0


# in the search

ARTICLES = [
    Document(
        kind="article",
        id="queue",
        title="L'imprimante réseau n'imprime plus",
        url="/1",
        body="Videz la file d'attente de l'imprimante.",
        queries=("zzbrother refuse",),
    ),
    Document(kind="article", id="mail", title="Messagerie lente", url="/2", body="Compactez les dossiers."),
    Document(kind="article", id="odd", title="Dossier Mesagerie partagé", url="/3"),
    *(Document(kind="article", id=f"m{n}", title=f"Messagerie partagée {n}", url="/4") for n in range(30)),
]


class Shelf:
    async def documents(self) -> AsyncIterator[Document]:
        for document in ARTICLES:
            yield document

    async def document(self, id: str) -> Document | None:
        return next((document for document in ARTICLES if document.id == id), None)


@pytest.fixture
async def search(db: Database, tmp_path: Path) -> Search:
    made = Search(db, WhooshEngine(tmp_path / "search"))
    made.library_source("article", Shelf())
    await made.reindex()
    return made


async def test_a_word_that_is_nowhere_is_respelt_and_the_person_is_told(search: Search) -> None:
    found = await search.find("inpirmante reseau")
    assert found.hits[0].id == "queue"
    assert found.corrected == Correction(asked="inpirmante reseau", text="imprimante reseau", automatic=True)
    assert any(piece.marked and piece.text.lower() == "imprimante" for piece in found.hits[0].snippet)


async def test_there_is_a_way_back_to_the_exact_words(search: Search) -> None:
    found = await search.find("inpirmante", exact=True)
    assert found.hits == ()
    assert found.corrected == Correction(asked="inpirmante", text="imprimante", automatic=False)


async def test_quoted_words_are_only_offered_another_spelling(search: Search) -> None:
    found = await search.find('"inpirmante réseau"')
    assert found.corrected is not None
    assert not found.corrected.automatic
    assert found.corrected.text == '"imprimante réseau"'


async def test_a_rare_word_that_looks_like_a_frequent_one_is_asked_about(search: Search) -> None:
    found = await search.find("mesagerie")
    assert [hit.id for hit in found.hits] == ["odd"]
    assert found.corrected == Correction(asked="mesagerie", text="messagerie", automatic=False)


async def test_good_words_are_left_alone(search: Search) -> None:
    for text in ("imprimante réseau", "l'imprimante", "IMPRIMANTES", "file attente", "0x80070005", "imp-001"):
        assert (await search.find(text)).corrected is None, text


async def test_while_typing_the_beginning_of_a_word_is_no_mistake(search: Search) -> None:
    assert (await search.find("imprim", typing=True)).corrected is None
    found = await search.find("inpri", typing=True)
    assert found.corrected is None
    assert (await search.find("inprimante", typing=True)).corrected is not None


async def test_past_questions_are_never_offered(search: Search) -> None:
    """They were typed by someone about a client: they may be found by, not shown."""
    assert (await search.find("zzbrother")).total == 1
    assert (await search.find("zzbrothr")).corrected is None


async def test_a_new_word_is_known_after_a_change(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kb.search.spelling.PAUSE", 0.0)
    assert (await search.find("scnaner")).corrected is None
    search._library._engine.update([Document(kind="article", id="new", title="Scanner muet", url="/9")])
    for _ in range(200):
        found = await search.find("scnaner")
        if found.corrected:
            break
    assert found.corrected == Correction(asked="scnaner", text="scanner", automatic=True)
