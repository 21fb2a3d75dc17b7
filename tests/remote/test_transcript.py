"""The words of an output: what a reader would have seen in the end, in linear time and bounded memory."""

import time

import pytest

from remote.recordings import text
from remote.recordings.text import LINE, MAXIMUM, Transcript, plain


@pytest.mark.parametrize(
    ("output", "seen"),
    [
        ("bonjour\r\n\r\nmonde\r\n", "bonjour\nmonde"),
        ("\x1b[1;31mrouge\x1b[0m\x1b]0;titre\x07 fin", "rouge fin"),
        ("10 %\r50 %\r100 %\r\n", "100 %"),
        ("longer\rshort", "shortr"),
        ("lss\b \b -l", "ls -l"),
        ("lss\b\x1b[K -l", "ls -l"),
        ("ab\b\b\b\bAB", "AB"),
        ("a\x00b\x07c\td", "abc\td"),
    ],
)
def test_a_line_is_what_it_shows_in_the_end(output, seen):
    assert plain(output) == seen


@pytest.mark.parametrize(
    "output",
    [
        "a" * 40_000 + "\b" * 40_000,
        "a\b" * 200_000,
        "a\r" * 200_000,
        "\x1b[" * 200_000,
        "\x1b]x" * 200_000,
        "x" * 10**6,
    ],
)
def test_a_hostile_line_takes_no_time(output):
    start = time.process_time()
    assert len(plain(output)) <= LINE
    assert time.process_time() - start < 1.5


def test_pieces_make_the_same_words_as_the_whole():
    output = "".join(f"\x1b[32mligne {n}\x1b[0m été\r\n" for n in range(500)) + "sans fin"
    transcript = Transcript()
    for at in range(0, len(output), 7):
        transcript.feed(output[at : at + 7])
    assert transcript.text() == plain(output)
    assert plain(output).endswith("ligne 499 été\nsans fin")


def test_a_long_session_keeps_its_beginning_and_its_end_and_little_memory():
    transcript = Transcript()
    for n in range(60_000):
        transcript.feed(f"ligne numéro {n}\r\n")
    for _ in range(100):
        transcript.feed("x" * text.RAW_LINE)  # one line without an end
        assert transcript._length <= 3 * text.RAW_LINE
    found = transcript.text()
    assert len(found) <= MAXIMUM
    assert found.startswith("ligne numéro 0\n")
    assert "\n…\n" in found
    assert "ligne numéro 59999\n" in found
