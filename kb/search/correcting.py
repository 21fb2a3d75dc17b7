"""From a question with misspelt words to the question that was probably meant."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from kb.search.question import Question, Word
from kb.search.spelling import BELIEVED, RARE, Dictionary


def corrected(question: Question, unknown: Collection[str], dictionary: Dictionary) -> str:
    """The text of the question with the words that no document holds respelt; empty when none can be."""
    return _respelt(question, lambda word: _nearest(word, dictionary) if word.text in unknown else "")


def offered(question: Question, dictionary: Dictionary) -> str:
    """The same for words that hardly any document holds and that look like a far more frequent one."""
    return _respelt(question, lambda word: _better(word, dictionary))


def _respelt(question: Question, better: Callable[[Word], str]) -> str:
    text, changed = question.text, False
    for word in reversed(list(_words(question))):
        if new := better(word):
            text = text[: word.start] + _as_written(word.text, new) + text[word.start + len(word.text) :]
            changed = True
    return text if changed else ""


def _words(question: Question) -> Iterator[Word]:
    """The words that may be respelt: neither identifiers nor parts of them that hold digits."""
    for word in question.words:
        inside = question.words[word.inside].text if word.inside >= 0 else ""
        if (
            word.start >= 0
            and not word.fields
            and not word.whole
            and not word.stop
            and not any(c.isdigit() for c in inside)
        ):
            yield word


def _nearest(word: Word, dictionary: Dictionary) -> str:
    close = dictionary.close(word.text)
    return close[0].text if close and not dictionary.count(word.text) else ""


def _better(word: Word, dictionary: Dictionary) -> str:
    count = dictionary.count(word.text)
    if not 0 < count <= RARE:
        return ""
    close = dictionary.close(word.text)
    return close[0].text if close and close[0].distance == 1 and close[0].count >= BELIEVED * count else ""


def _as_written(typed: str, new: str) -> str:
    """The new spelling with the capitals of the old."""
    if typed.isupper() and len(typed) > 1:
        return new.upper()
    return new.capitalize() if typed[:1].isupper() else new
