"""From what a person typed to a bounded question: words, "exact phrases", ``begin*``, and the signs of ``syntax``."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from compagnon.i18n import N_
from kb.search import syntax
from kb.search.analysis import LOCALES, Token, fold, tokens
from kb.search.model import MAX_QUERY_CHARACTERS, MAX_QUERY_TERMS, Filters, Reason

TOO_LONG = N_("Only the first {limit} characters were used.")
TOO_MANY = N_("Only the first {limit} words were used.")
WILDCARD = N_("A word cannot begin with *: it was searched without it.")
# Controls, format characters (bidi overrides, zero-width), surrogates and private use: never part of a question.
_DROPPED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
_QUOTED = re.compile(r'["«“”]([^"«»“”]{1,200})["»“”]')
_LEADING = re.compile(r"(?<!\S)[*?]+(?=\w)")
_BEGINNING = re.compile(r"(\w{2,})\*")


@dataclass(frozen=True, slots=True)
class Term:
    """One way to find a word, in documents of ``locale`` ("": of any).

    ``weight`` 0..1; ``stop``: in titles only; ``prefix``: every term that begins so; ``then``: terms that must follow
    side by side; ``origin``: of a synonym, what it stands for and itself, as the list has them.
    """

    text: str
    locale: str = ""
    weight: float = 1.0
    stop: bool = False
    prefix: bool = False
    then: tuple[str, ...] = ()
    origin: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Word:
    """A word of the question: any of its terms will do, the best one counts."""

    terms: tuple[Term, ...]
    text: str = ""
    whole: bool = False
    inside: int = -1  # index of the whole identifier that this word is a part of
    fields: tuple[str, ...] = ()  # the only fields where it is looked for; empty: all
    start: int = -1  # where it stands in the question's text

    @property
    def stop(self) -> bool:
        """Says nothing in one of the languages: it is looked for in titles, but no document is ranked by it."""
        return any(term.stop for term in self.terms)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two terms side by side, in documents of ``locale`` ("": of any)."""

    first: str
    second: str
    locale: str = ""


Phrase = tuple[tuple[str, ...], ...]
"""Alternative sequences of terms (one per language); a document must hold one of them, side by side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """``text`` cleaned and cut, ``words`` at most 32, ``phrases`` required, ``pairs`` neighbours that earn a bonus.

    ``plain`` is the text without its signs (``-word``, ``type:…``); no document may hold one of the ``excluded``
    words; ``filters`` are those written in the question.
    """

    text: str = ""
    words: tuple[Word, ...] = ()
    phrases: tuple[Phrase, ...] = ()
    pairs: tuple[Pair, ...] = ()
    notices: tuple[Reason, ...] = field(default=())
    typing: bool = False
    plain: str = ""
    excluded: tuple[Word, ...] = ()
    filters: Filters = field(default_factory=Filters)

    @property
    def empty(self) -> bool:
        return not self.words


def clean(raw: str) -> str:
    """``raw`` without control and format characters (bidi overrides, NUL), white space collapsed, NFC."""
    raw = raw[: 4 * MAX_QUERY_CHARACTERS]  # whatever was pasted, the work is bounded from the first line on
    kept = "".join(c if unicodedata.category(c) not in _DROPPED else " " if c in "\t\r\n" else "" for c in raw)
    return " ".join(unicodedata.normalize("NFC", kept).split())


def ask(raw: str, *, typing: bool = False, signs: bool = True) -> Question:
    """Read a question. ``typing``: the last word may be unfinished, so it also stands for every word that begins so.

    ``signs``: minus signs, fields and filters mean something; not so in what a client reports.
    """
    notices: list[Reason] = []
    text = clean(raw)
    if len(text) > MAX_QUERY_CHARACTERS or len(raw) > 4 * MAX_QUERY_CHARACTERS:
        text = text[:MAX_QUERY_CHARACTERS]
        notices.append(Reason(message=TOO_LONG, params={"limit": str(MAX_QUERY_CHARACTERS)}))
    if _LEADING.search(text):
        notices.append(Reason(message=WILDCARD))
        text = _LEADING.sub("", text)
    said = syntax.read(text, typing=typing) if signs else syntax.Signs(plain=text)
    words = _words(said.plain, typing=typing and not raw[-1:].isspace())
    if len(words) > MAX_QUERY_TERMS:
        words = words[:MAX_QUERY_TERMS]
        notices.append(Reason(message=TOO_MANY, params={"limit": str(MAX_QUERY_TERMS)}))
    if not words and said.plain != text:
        notices.append(Reason(message=syntax.ONLY_EXCLUDED))
    return Question(
        text=text,
        words=tuple(_restricted(word, said.restricted) for word in words),
        phrases=_phrases(said.plain),
        pairs=_pairs(said.plain),
        notices=(*notices, *said.notices),
        typing=typing,
        plain=" ".join(said.plain.split()),
        excluded=_excluded(said.excluded),
        filters=said.filters,
    )


def _restricted(word: Word, stretches: Sequence[tuple[int, int, str]]) -> Word:
    names = tuple(name for start, end, name in stretches if start <= word.start < end)
    return replace(word, fields=names) if names else word


def _excluded(texts: Sequence[str]) -> tuple[Word, ...]:
    """Expressions of several words are left out only where they stand side by side."""
    found = []
    for text in texts:
        readings = [(locale, sequence(text, locale)) for locale in LOCALES]
        terms = tuple(Term(each[0], locale, then=each[1:]) for locale, each in readings if each)
        if terms:
            found.append(Word(terms, text=text))
    return tuple(found)


def _words(text: str, *, typing: bool) -> list[Word]:
    beginnings = {match.end(1) for match in _BEGINNING.finditer(text)}
    readings = [list(tokens(text, locale, keep_stop_words=True)) for locale in LOCALES]
    if typing and readings[0] and readings[0][-1].end == len(text):
        beginnings.add(len(text))
    words: list[Word] = []
    for same in zip(*readings, strict=True):
        words.append(_word(text, same, words, prefix=same[0].end in beginnings))
    return words


def _word(text: str, same: Sequence[Token], before: Sequence[Word], *, prefix: bool) -> Word:
    first = same[0]
    found = _readings(same)
    written = text[first.start : first.end]
    if prefix and not first.whole and len(written) >= 2:
        found.append(Term(fold(written), weight=0.8, prefix=True))
    return Word(
        tuple(found), text=written, whole=first.whole, inside=_inside(written, first, before), start=first.start
    )


def _readings(same: Sequence[Token]) -> list[Term]:
    """One term for all languages where they agree, else one for each: none is found in the other's documents."""
    if len({(token.term, token.stop) for token in same}) == 1:
        return [Term(same[0].term, stop=same[0].stop)]
    return [Term(token.term, locale, stop=token.stop) for token, locale in zip(same, LOCALES, strict=True)]


def _inside(written: str, token: Token, before: Sequence[Word]) -> int:
    """The index of the whole identifier that this part belongs to, or -1."""
    if token.whole:
        return -1
    for index in range(len(before) - 1, -1, -1):
        word = before[index]
        if word.whole:
            return index if written in word.text else -1
        if word.inside < 0:
            return -1
    return -1


def _pairs(text: str) -> tuple[Pair, ...]:
    """Neighbouring terms in each language's own reading: what is a stop word in one is a word in the other."""
    found: dict[tuple[str, str], list[str]] = {}
    for locale in LOCALES:
        kept = [token.term for token in tokens(text, locale) if not token.whole][:MAX_QUERY_TERMS]
        for pair in dict.fromkeys(pairwise(kept)):
            found.setdefault(pair, []).append(locale)
    return tuple(Pair(*pair, "" if len(where) == len(LOCALES) else where[0]) for pair, where in found.items())


def _phrases(text: str) -> tuple[Phrase, ...]:
    phrases = (_phrase(match.group(1)) for match in _QUOTED.finditer(text))
    return tuple(phrase for phrase in phrases if phrase)[:4]


def _phrase(quoted: str) -> Phrase:
    found: dict[tuple[str, ...], None] = {}
    for locale in LOCALES:
        if parts := sequence(quoted, locale):
            found[parts] = None
    return tuple(found)


def sequence(text: str, locale: str) -> tuple[str, ...]:
    """The terms of an expression as they stand side by side in a text; identifiers by their parts."""
    every = list(tokens(text, locale))
    return tuple(token.term for token in every if not token.whole) or tuple(token.term for token in every)
