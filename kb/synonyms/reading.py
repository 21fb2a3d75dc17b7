"""How the search reads a word: what makes two spellings the same, and what says nothing."""

from __future__ import annotations

from compagnon.errors import Invalid
from compagnon.i18n import N_
from kb.search.analysis import tokens
from kb.synonyms.model import MAXIMUM_WORDS, MINIMUM_WORDS, WORD_LIMIT, Wording, twins


def reading(word: str, locale: str) -> str:
    """The terms of a word or phrase as one text; empty when it holds nothing but stop words and signs.

    An identifier is read as a whole (``spoolsv.exe``), as its parts would make it the same as a phrase of them.
    """
    every = list(tokens(word, locale))
    whole = [token for token in every if token.whole]
    if len(whole) == 1 and whole[0].end - whole[0].start == len(word):
        return whole[0].term
    return " ".join(token.term for token in every if not token.whole) or " ".join(token.term for token in every)


def readings(wording: Wording) -> list[tuple[str, str]]:
    """(locale, reading) of every word, in each language that the group is for."""
    return [(locale, reading(word, locale)) for locale in wording.locales for word in wording.words]


def check(wording: Wording) -> None:
    """Raises Invalid (field ``words``) for too few or too many words, a long one, a stop word, two that read alike."""
    words = wording.words
    if len(words) < MINIMUM_WORDS:
        raise _refused(N_("A group needs two words or more, between commas."))
    if len(words) > MAXIMUM_WORDS:
        raise _refused(N_("A group holds {limit} words at most."), limit=MAXIMUM_WORDS)
    for word in words:
        if len(word) > WORD_LIMIT:
            raise _refused(N_("“{word}…” is too long: {limit} characters at most."), word=word[:20], limit=WORD_LIMIT)
    for locale in wording.locales:
        _check_language(words, locale)


def _check_language(words: tuple[str, ...], locale: str) -> None:
    read = {word: reading(word, locale) for word in words}
    silent = next((word for word, text in read.items() if not text), None)
    if silent is not None:
        raise _refused(N_("“{word}” alone says nothing: the search leaves it out."), word=silent)
    same = twins(read)
    if same:
        message = N_("The search reads “{first}” and “{second}” alike already: one of them is enough.")
        raise _refused(message, first=same[0], second=same[1])


def _refused(message: str, **params: object) -> Invalid:
    return Invalid(message, field="words", **params)
