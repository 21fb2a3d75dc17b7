"""Questions are bounded, cleaned and read without a syntax to learn."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb.search.model import MAX_QUERY_CHARACTERS, MAX_QUERY_TERMS
from kb.search.question import TOO_LONG, TOO_MANY, WILDCARD, ask


def test_a_long_question_is_cut_and_the_person_is_told() -> None:
    asked = ask("imprimante " * 100)
    assert len(asked.text) <= MAX_QUERY_CHARACTERS
    assert TOO_LONG in [notice.message for notice in asked.notices]


def test_many_words_are_cut_and_the_person_is_told() -> None:
    asked = ask(" ".join(f"m{index}" for index in range(60)))
    assert len(asked.words) == MAX_QUERY_TERMS
    assert TOO_MANY in [notice.message for notice in asked.notices]


def test_a_leading_wildcard_is_dropped_and_the_person_is_told() -> None:
    asked = ask("*primante")
    assert [word.text for word in asked.words] == ["primante"]
    assert WILDCARD in [notice.message for notice in asked.notices]


def test_a_usual_question_has_no_notice() -> None:
    assert ask("l'imprimante n'imprime plus").notices == ()


@pytest.mark.parametrize("hidden", ["\u202e", "\u2066", "\u200b", "\x00", "\x1b", "\ufeff", "\ue000"])
def test_what_cannot_be_seen_is_dropped(hidden: str) -> None:
    assert ask(f"impri{hidden}mante").text == "imprimante"


@pytest.mark.parametrize(
    "hostile",
    [
        "a" * 100_000,
        "*a* OR *b* OR *c*",
        "a~9999 b~99",
        "[a TO z]",
        "(" * 5000,
        '"' * 5000,
        "NOT " * 999,
        "a\u0301" * 50_000,
        "AND OR NOT",
        "title:x^999999999",
        "\\" * 9999,
        "😀" * 2000,
    ],
)
def test_hostile_questions_are_read_at_once(hostile: str) -> None:
    started = time.thread_time()
    asked = ask(hostile, typing=True)
    assert time.thread_time() - started < 1, "of this thread alone: the machine may be busy"
    assert len(asked.words) <= MAX_QUERY_TERMS
    assert len(asked.text) <= MAX_QUERY_CHARACTERS


@given(st.text(max_size=600), st.booleans())
def test_any_text_is_a_question(text: str, typing: bool) -> None:
    asked = ask(text, typing=typing)
    assert len(asked.words) <= MAX_QUERY_TERMS
    assert all(-1 <= word.inside < index for index, word in enumerate(asked.words))


def test_quotes_ask_for_a_phrase_in_either_language() -> None:
    (phrase,) = ask("«file d'attente» imprimante").phrases
    assert all(len(sequence) >= 2 for sequence in phrase)


def test_only_the_unfinished_word_stands_for_what_begins_so() -> None:
    first, last = ask("file impri", typing=True).words
    assert not any(term.prefix for term in first.terms)
    assert any(term.prefix and term.text == "impri" for term in last.terms)
    assert not any(term.prefix for term in ask("file impri ", typing=True).words[-1].terms)
    assert not any(term.prefix for term in ask("file impri").words[-1].terms)


def test_a_part_knows_its_identifier() -> None:
    words = ask("Get-NetAdapter lent").words
    whole = next(index for index, word in enumerate(words) if word.whole and word.text == "Get-NetAdapter")
    assert {word.inside for word in words if word.text in {"Get", "Net", "Adapter"}} <= {whole, whole + 1, whole + 2}
    assert words[-1].inside == -1
