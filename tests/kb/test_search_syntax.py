"""``-word``, ``title:word``, ``type:article``: what they find, and that nothing odd is ever refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb.search.engine import Ranking
from kb.search.model import MAX_FACET_VALUES, Document, Filters
from kb.search.question import ask
from kb.search.records import record_query
from kb.search.syntax import HELP, MAX_SIGNS, NO_VALUE, ONLY_EXCLUDED, UNCLOSED, narrowed
from kb.search.whoosh_engine import WhooshEngine

LIBRARY = (
    Document(
        kind="procedure",
        id="1",
        title="Installer une imprimante",
        url="/1",
        body="Le scanner se branche ensuite.",
        identifiers=("0x80070005", "Get-Printer"),
        environments=("poste-windows-11",),
        skills=("impression",),
        os=("windows",),
        state="published",
    ),
    Document(
        kind="article",
        id="2",
        title="Bourrage de papier",
        url="/2",
        body="L'imprimante réseau affiche 0x80070005.",
        environments=("poste-debian-12",),
        os=("linux",),
        state="known-error",
    ),
    Document(
        kind="article", id="3", title="Printing slowly", url="/3", locale="en", body="The imprimante is far away."
    ),
)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WhooshEngine]:
    made = WhooshEngine(tmp_path_factory.mktemp("index") / "s")
    made.begin()
    made.add(LIBRARY)
    made.finish()
    yield made
    made.close()


def search(engine: WhooshEngine, text: str, *, typing: bool = False) -> Ranking:
    question = ask(text, typing=typing)
    return engine.search(question, filters=question.filters, limit=9, boosts={}, timeout=9)


def found(engine: WhooshEngine, text: str, *, typing: bool = False) -> set[str]:
    return {item.document.id for item in search(engine, text, typing=typing).ranked}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("imprimante", {"1", "2", "3"}),
        ("imprimante -scanner", {"2", "3"}),
        ("imprimante -scanners", {"2", "3"}),
        ("imprimante –scanner", {"2", "3"}),
        ('imprimante -"réseau affiche"', {"1", "3"}),
        ('imprimante -"affiche réseau"', {"1", "2", "3"}),
        ("imprimante -scanner -papier", {"3"}),
        ("-scanner imprimante -papier", {"1", "3"}),  # the dash of a list that was pasted
        ("imprimante -0x80070005", {"1", "2", "3"}),  # a number may be negative: it is a word
        ("titre:imprimante", {"1"}),
        ("title:imprimante papier", {"1"}),
        ('titre:"bourrage de papier"', {"2"}),
        ("code:0x80070005", {"1"}),
        ("0x80070005", {"1", "2"}),
        ("imprimante type:article", {"2", "3"}),
        ("imprimante type:Procédures", {"1"}),
        ("imprimante os:linux", {"2"}),
        ("imprimante os:debian", {"2"}),
        ("imprimante env:poste-windows-11", {"1"}),
        ("imprimante env:debian", {"2"}),
        ("imprimante lang:anglais", {"3"}),
        ("imprimante compétence:impression", {"1"}),
        ("imprimante skill:impression", {"1"}),
        ("imprimante état:connue", {"2"}),
        ("imprimante state:published", {"1"}),
        ("imprimante type:article type:procédure os:windows os:linux", {"1", "2"}),
        ("imprimante TYPE:ARTICLE", {"2", "3"}),
    ],
)
def test_what_signs_find(engine: WhooshEngine, text: str, expected: set[str]) -> None:
    assert found(engine, text) == expected
    assert ask(text).notices == ()


def test_a_restricted_word_may_be_unfinished(engine: WhooshEngine) -> None:
    assert found(engine, "titre:impri", typing=True) == {"1"}


@pytest.mark.parametrize(
    "text", ["foo:imprimante", "imprimante:", "titre:", "--imprimante", "-imprimante", "imprimante - papier", "a:b"]
)
def test_what_is_no_sign_is_words(text: str) -> None:
    asked = ask(text)
    assert asked.words
    assert (asked.excluded, asked.filters, asked.notices) == ((), Filters(), ())
    assert not any(word.fields for word in asked.words)


@pytest.mark.parametrize(
    ("text", "notice"),
    [
        ("imprimante type:voiture", NO_VALUE),
        ("imprimante os:beos", NO_VALUE),
        ("type:article", ONLY_EXCLUDED),
        ('"imprimante réseau', UNCLOSED),
        ("“imprimante", UNCLOSED),
    ],
)
def test_an_oddity_is_a_notice(engine: WhooshEngine, text: str, notice: str) -> None:
    assert notice in [each.message for each in ask(text).notices]
    search(engine, text)


def test_a_quotation_that_is_being_typed_is_no_mistake() -> None:
    assert ask('"imprimante rés', typing=True).notices == ()


def test_signs_are_bounded() -> None:
    asked = ask(" ".join(f"-mot{chr(97 + n)}" for n in range(26)))
    assert len(asked.excluded) == MAX_SIGNS
    assert ask("titre:" * 5_000 + "a").words


def test_what_a_client_reports_has_no_signs() -> None:
    asked = ask("erreur -papier type:article", signs=False)
    assert (asked.excluded, asked.filters) == ((), Filters())
    assert "papier" in [word.text for word in asked.words]


@given(st.text(st.sampled_from('-–:"«»“” abtitreostypeenv*0'), max_size=300), st.booleans())
def test_any_mixture_of_signs_is_a_question(text: str, typing: bool) -> None:
    asked = ask(text, typing=typing)
    for word in asked.words:
        assert asked.text[word.start : word.start + len(word.text)] == word.text


def test_filters_of_the_page_and_of_the_question_both_hold() -> None:
    both = narrowed(Filters(kinds=("article",), os=("linux", "windows")), Filters(os=("windows",), locales=("fr",)))
    assert both == Filters(kinds=("article",), os=("windows",), locales=("fr",))
    neither = narrowed(Filters(os=("linux",)), Filters(os=("windows",)))
    assert neither.os
    assert not {"linux", "windows"} & set(neither.os)


def test_records_are_asked_without_the_signs() -> None:
    asked = record_query("imprimante -scanner type:ticket 4217")
    assert asked.text == "imprimante 4217"
    assert "& !('scan" in asked.tsquery
    assert record_query('bac -"bac papier"').tsquery.count("<->") >= 1
    assert record_query("type:ticket -scanner").tsquery == ""


def test_every_example_of_the_help_card_is_understood() -> None:
    for text, meaning in HELP:
        asked = ask(text)
        assert asked.excluded or asked.filters != Filters() or any(word.fields for word in asked.words)
        assert asked.notices == ()
        assert meaning


def test_ten_thousand_values_of_a_facet_are_counted_in_time_and_cut(tmp_path: Path) -> None:
    engine = WhooshEngine(tmp_path / "s")
    engine.begin()
    engine.add(
        Document(
            kind="article",
            id=str(n),
            title="Panne",
            url="/",
            environments=tuple(f"env-{n * 10 + k}" for k in range(10)),
            skills=("seen",),
        )
        for n in range(1_000)
    )
    engine.finish()
    ranking = search(engine, "panne")
    assert len(ranking.facets.environment) == MAX_FACET_VALUES
    assert ranking.facets.skill == {"seen": 1_000}
    many = Filters(environments=tuple(f"env-{n}" for n in range(10_000)))
    assert engine.search(ask("panne"), filters=many, limit=9, boosts={}, timeout=9).total == 1_000
