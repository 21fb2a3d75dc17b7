"""Snippets show the searched words and never run anything."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb.search.expanding import Thesaurus
from kb.search.highlight import WIDTH, Highlighter, plain, snippet_html
from kb.search.model import Document, Piece, SynonymGroup
from kb.search.question import ask


def marked(question: str, body: str, locale: str = "fr", *, typing: bool = False) -> list[str]:
    document = Document(kind="article", id="1", title="", url="/", body=body, locale=locale)
    return [piece.text for piece in Highlighter(ask(question, typing=typing)).snippet(document) if piece.marked]


@pytest.mark.parametrize(
    ("question", "body", "expected"),
    [
        ("imprimante", "Les Imprimantes du réseau", ["Imprimantes"]),
        ("reseaux", "Les imprimantes du réseau", ["réseau"]),
        ("journal", "Lisez les journaux", ["journaux"]),
        ("0x80070005", "Erreur 0x80070005 au lancement", ["0x80070005"]),
        ("resolv.conf", "Ouvrez /etc/resolv.conf", ["resolv.conf"]),
        ("port", "Le portail du port 22", ["port"]),
    ],
)
def test_words_are_marked_in_every_form(question: str, body: str, expected: list[str]) -> None:
    assert marked(question, body) == expected


def test_unfinished_words_and_english_are_marked_too() -> None:
    assert marked("impri", "Une imprimante", typing=True) == ["imprimante"]
    assert marked("printing", "The printed page, the printer", "en") == ["printed"]


def test_the_words_of_a_synonym_are_marked_as_this_language_reads_it() -> None:
    """Read in English, "ne" and "plus" are words like others."""
    question = Thesaurus((SynonymGroup(words=("bloqué", "ne répond plus")),)).expand(ask("bloqué"))
    highlighter = Highlighter(question)
    pieces = highlighter.pieces("Il ne sait plus rien : rien ne répond plus.", "fr")
    assert [piece.text for piece in pieces if piece.marked] == ["répond"]


def test_the_window_is_where_most_words_stand() -> None:
    body = "imprimante. " + "remplissage " * 200 + "la file de l'imprimante est bloquée. " + "suite " * 200
    document = Document(kind="article", id="1", title="", url="/", body=body)
    pieces = Highlighter(ask("file imprimante bloquée")).snippet(document)
    assert {piece.text for piece in pieces if piece.marked} == {"file", "imprimante", "bloquée"}
    assert plain(pieces).startswith("… ")
    assert len(plain(pieces)) < WIDTH + 20


def test_without_a_match_the_beginning_is_shown() -> None:
    document = Document(kind="article", id="1", title="", url="/", body="Début du texte. " * 50)
    assert plain(Highlighter(ask("xylophone")).snippet(document)).startswith("Début du texte.")


HOSTILE = [
    "<script>alert(1)</script> imprimante",
    "imprimante<img src=x onerror=alert(1)>",
    '"><svg/onload=alert(1)> imprimante',
    "<mark>imprimante</mark> &lt;b&gt; &amp;",
    "imprimante</mark><script>alert(1)</script>",
    "{{ 7*7 }} {% raw %} imprimante",
]


@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize("question", ["imprimante", "script alert", "mark", "svg onload", "<script>", "img*"])
def test_hostile_texts_stay_text(hostile: str, question: str) -> None:
    document = Document(kind="article", id="1", title="", url="/", body=hostile)
    html = str(snippet_html(Highlighter(ask(question, typing=True)).snippet(document)))
    assert not re.search(r"<(?!/?mark>)", html)
    assert html.count("<mark>") == html.count("</mark>")


@given(st.text(max_size=300), st.text(max_size=60))
def test_any_text_is_escaped_and_complete(body: str, question: str) -> None:
    document = Document(kind="article", id="1", title="", url="/", body=body)
    pieces = Highlighter(ask(question, typing=True)).snippet(document)
    html = str(snippet_html(pieces))
    assert not re.search(r"<(?!/?mark>)", html)
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x00-\x1f]", plain(pieces))


def test_pieces_are_escaped_one_by_one() -> None:
    assert str(snippet_html([Piece("<a>"), Piece("&", marked=True)])) == "&lt;a&gt;<mark>&amp;</mark>"


def test_long_texts_take_no_time() -> None:
    document = Document(kind="article", id="1", title="", url="/", body="imprimante réseau " * 20_000 + "a" * 200_000)
    started = time.thread_time()
    for question in ("imprimante réseau", "a", "xylophone", "imp*"):
        Highlighter(ask(question, typing=True)).snippet(document)
    assert time.thread_time() - started < 2, "of this thread alone: the machine may be busy"
