"""The rules of a good group of synonyms, without a database."""

from __future__ import annotations

import pytest

from compagnon.errors import Invalid
from kb.synonyms.model import MAXIMUM_WORDS, TEXT_LIMIT, Wording, difference, split
from kb.synonyms.reading import check, reading
from kb.synonyms.starter import wordings


def group(*words: str, locale: str = "fr") -> Wording:
    return Wording(locale=locale, words=words)


def refused(wording: Wording) -> str:
    with pytest.raises(Invalid) as caught:
        check(wording)
    assert caught.value.field == "words"
    return str(caught.value)


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("écran bleu = BSOD = blue screen", ("écran bleu", "BSOD", "blue screen")),
        ("proxy;\n serveur   mandataire\n,,", ("proxy", "serveur mandataire")),
        ("Proxy, proxy, PROXY", ("Proxy",)),
        ("a\u202eb\x00c, \u200b", ("a b c",)),
        ("", ()),
    ],
)
def test_words_are_read_between_signs(typed: str, words: tuple[str, ...]) -> None:
    assert split(typed) == words


def test_a_huge_text_is_cut_before_it_is_read() -> None:
    assert sum(len(word) for word in split("mot, " * 1_000_000)) <= TEXT_LIMIT


def test_a_group_is_bounded() -> None:
    assert "two words or more" in refused(group("proxy"))
    assert "two words or more" in refused(group())
    assert "at most" in refused(group(*(f"mot{'abcdefghijklmnop'[n]}" for n in range(MAXIMUM_WORDS + 1))))
    assert "too long" in refused(group("proxy", "m" * 41))
    check(group("proxy", "m" * 40))


def test_a_stop_word_alone_says_nothing_in_its_own_language_only() -> None:
    assert "“mon”" in refused(group("mon", "proxy"))
    check(group("mon", "proxy", locale="en"))
    assert "“mon”" in refused(group("mon", "proxy", locale=""))
    assert "says nothing" in refused(group("…", "proxy"))


@pytest.mark.parametrize("second", ["Imprimantes", "IMPRIMANTE", "l'imprimante", "imprîmante"])
def test_two_spellings_that_the_search_reads_alike_are_told(second: str) -> None:
    told = refused(group("imprimante", "printer", second))
    assert "“imprimante”" in told
    assert f"“{second}”" in told


def test_an_identifier_is_read_whole() -> None:
    assert reading("spoolsv.exe", "fr") == "spoolsv.exe"
    assert reading("wi-fi", "fr") != reading("wifi", "fr")
    check(group("0x80070005", "E_ACCESSDENIED", locale=""))


def test_the_starter_groups_are_good_and_share_no_word() -> None:
    owners: dict[tuple[str, str], Wording] = {}
    for wording in wordings():
        check(wording)
        for locale in wording.locales:
            for word in wording.words:
                key = (locale, reading(word, locale))
                assert key not in owners, f"{word} is also in {owners[key].words}"
                owners[key] = wording
    assert len(wordings()) >= 25


def test_what_a_change_changes() -> None:
    assert difference(("a", "b"), ("b", "c")) == (["b"], ["c"], ["a"])
