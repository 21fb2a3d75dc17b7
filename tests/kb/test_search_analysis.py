"""The analyser: what is the same word, what stays whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb.search.analysis import MAX_TERM, fold, terms, tokens


def same(first: str, second: str, locale: str = "fr") -> bool:
    return terms(first, locale) == terms(second, locale)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("réseau", "reseau"),
        ("RÉSEAUX", "réseau"),
        ("journaux", "journal"),
        ("imprimante", "imprimantes"),
        ("l'imprimante", "imprimante"),
        ("l’imprimante", "imprimante"),
        ("installer", "installation"),
        ("installée", "installez"),
        ("configurer", "configuration"),
        ("démarrage", "démarrer"),
        ("appelle", "appeler"),
        ("cœur", "coeur"),
        ("fichiers", "fichier"),
    ],
)
def test_french_forms_are_one_word(first: str, second: str) -> None:
    assert same(first, second)


@pytest.mark.parametrize(("first", "second"), [("disque", "dix"), ("mise", "mot"), ("serveur", "service")])
def test_different_words_stay_apart(first: str, second: str) -> None:
    assert not same(first, second)


@pytest.mark.parametrize(
    ("first", "second"), [("printers", "printer"), ("installed", "installing"), ("queues", "queue")]
)
def test_english_forms_are_one_word(first: str, second: str) -> None:
    assert same(first, second, "en")


def test_an_elision_is_cut_whatever_its_apostrophe() -> None:
    for apostrophe in "'’ʼ‘":
        assert terms(f"jusqu{apostrophe}au redémarrage d{apostrophe}un poste") == terms("redémarrage poste")


def test_aujourdhui_is_one_word_and_quotes_are_none() -> None:
    assert "aujourd'hui" in terms("aujourd'hui")
    assert terms("'imprimante'") == terms("imprimante")


@pytest.mark.parametrize(
    ("written", "whole", "part"),
    [
        ("0x80070005", "0x80070005", "80070005"),
        ("KB5034441", "kb5034441", "5034441"),
        ("Get-NetAdapter", "get-netadapter", "netadapter"),
        ("spoolsv.exe", "spoolsv.exe", "spoolsv"),
        (r"C:\Windows\System32", r"c:\windows\system32", "system32"),
        ("/etc/resolv.conf", "etc/resolv.conf", "resolv.conf"),
        ("systemd-resolved", "systemd-resolved", "systemd"),
        ("CamelCase", "camelcase", "camel"),
        ("10.0.0.1", "10.0.0.1", "10"),
        ("C++", "c++", "c++"),
    ],
)
def test_identifiers_are_whole_and_in_parts(written: str, whole: str, part: str) -> None:
    found = [token.term for token in tokens(f"voir {written} ici", keep_stop_words=True)]
    assert whole in found
    assert part in found


def test_stop_words_are_kept_only_where_asked() -> None:
    assert "pas" not in terms("ne démarre pas")
    assert "pas" in [token.term for token in tokens("ne démarre pas", keep_stop_words=True)]


def test_positions_count_kept_words_so_that_small_words_do_not_part_neighbours() -> None:
    found = {token.term: token.position for token in tokens("la file de l'impression")}
    assert found[terms("impression")[0]] - found[terms("file")[0]] == 1


@given(st.text(max_size=400), st.sampled_from(["fr", "en", "de"]))
def test_any_text_is_analysed_within_bounds(text: str, locale: str) -> None:
    found = list(tokens(text, locale, keep_stop_words=True))
    assert all(0 < len(token.term) <= MAX_TERM * 4 for token in found)
    assert all(0 <= token.start < token.end <= len(text) for token in found)
    assert [token.position for token in found] == sorted(token.position for token in found)


@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyzàâäéèêëîïôöùûüÿçœæÀÉÈÇŒ", min_size=1, max_size=12))
def test_missing_accents_cost_nothing(word: str) -> None:
    assert terms(word.lower()) == terms(fold(word))


def test_a_hundred_kilobytes_without_a_space_take_no_time() -> None:
    import time

    started = time.thread_time()
    assert list(tokens("a" * 100_000))
    assert list(tokens("aB1-" * 25_000))
    assert time.thread_time() - started < 4, "of this thread alone: the machine may be busy"
