"""Checks as people read them: words of the reader's language, nothing hidden, nothing made up."""

import pytest

from compagnon.i18n import Catalogues, use_locale
from compagnon.web.checks_words import attribute_word, difference, expectation, pattern, written


@pytest.fixture(autouse=True)
def french():
    Catalogues(("compagnon",)).install()
    with use_locale("fr"):
        yield


@pytest.mark.parametrize(
    ("written_as", "read_as"),
    [
        (r"/^nameserver 9\.9\.9\.9$/", "nameserver 9.9.9.9"),
        (r"/^127\.0\.0\.1[ \t]+localhost/", "127.0.0.1 localhost"),
        ("!/^https?_proxy=/", "sans http(s)_proxy="),
        ("PermitRootLogin no", "PermitRootLogin no"),
        ("/(a|b)+c/", "/(a|b)+c/"),
        ("/", "/"),
        ("//", "//"),
    ],
)
def test_simple_patterns_lose_their_marks_and_others_stay(written_as, read_as):
    assert pattern(written_as) == read_as


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (True, "oui"),
        (False, "non"),
        ({"have-prefix": "12"}, "commence par 12"),
        ({"lt": 90}, "moins de 90"),
        (["/^a/", "b"], "a, b"),
        ({"unheard-of": 1}, '{"unheard-of": 1}'),
        ([], "—"),
    ],
)
def test_expectations_are_words(value, words):
    assert expectation(value) == words


def test_what_differs_is_said_in_words():
    assert difference("running: expected true, is false") == "en marche : attendu oui, trouvé non"
    assert difference('contents: ["Europe/Paris"] not found') == "contenu : attendu Europe/Paris"


def test_several_differences_stay_apart():
    assert difference("mode: expected 0644, is 0664; exists: expected true, is false") == (
        "droits : attendu 0644, trouvé 0664; existe : attendu oui, trouvé non"
    )


def test_what_is_not_understood_is_shown_as_it_was_sent():
    assert difference("PermissionError: no") == "PermissionError: no"
    assert attribute_word("never-heard") == "never-heard"


def test_rights_stay_text_and_booleans_are_read():
    assert (written("0644"), written("true")) == ("0644", "oui")
