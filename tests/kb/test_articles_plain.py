"""The words of an article's text, as they are searched and shown in a snippet."""

from __future__ import annotations

import pytest

from kb.articles.plain import plain


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("un **cycle d’alimentation** de *l’imprimante*", "un cycle d’alimentation de l’imprimante"),
        (
            "#### Titre\n\n1. Lancez `lpq -P x`\n2. [la suite](https://example.org/a_b)",
            "Titre\n\nLancez lpq -P x\nla suite",
        ),
        ("> **Remarque**\n>\n> - deux", "Remarque\n\ndeux"),
        ("```sh\nsudo rm -f a_b -- c_d\n```", "sudo rm -f a_b -- c_d"),
        ("| Voyant | Sens |\n| --- | --- |\n| rouge | occupé |", "Voyant Sens \n\n rouge occupé"),
        (r"2\. câble\_usb et snake_case, 2 * 3 * 4", "2. câble_usb et snake_case, 2 * 3 * 4"),
        ("0x80070005, spoolsv.exe, C:\\Windows\\System32", "0x80070005, spoolsv.exe, C:\\Windows\\System32"),
        ("", ""),
    ],
)
def test_signs_go_and_words_stay(text: str, words: str) -> None:
    assert plain(text) == words


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "*" * 100_000, "> " * 50_000, "|" * 100_000, "`" * 100_000, "- " * 50_000]
)
@pytest.mark.timeout(20)
def test_a_text_made_to_be_slow_is_read_in_bounded_time(text: str) -> None:
    assert len(plain(text)) <= len(text)
