"""Snippets: the stretch of a document that shows best why it was found, in plain pieces.

Texts are hostile: a snippet is never HTML, and what is made of it (``snippet_html``) is escaped first.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup, escape

from kb.search.analysis import LOCALES, fold
from kb.search.model import Document, Piece
from kb.search.question import Question, Term
from kb.search.stemming import STEMMERS

WIDTH = 200  # characters of a snippet
MAX_TEXT = 60_000  # characters looked through
MAX_MATCHES = 400
GAP = 8  # characters between two words of an expression: a space, a sign, a little word
_BREAKS = " \n\t"
_DROPPED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})


class _Folding(dict[int, int]):
    """Each character to one lower-case character without accents, so that offsets stay true."""

    def __missing__(self, code: int) -> int:
        plain = fold(chr(code))
        self[code] = folded = ord(plain) if len(plain) == 1 else code
        return folded


_FOLDING = _Folding()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A piece of one of several texts: which, how many different words of the question it holds, and itself."""

    text: int
    words: int
    pieces: tuple[Piece, ...]


class Highlighter:
    """Finds the words of one question in texts of any length, in time proportional to their first 60,000 characters."""

    def __init__(self, question: Question) -> None:
        terms = [term for word in question.words if not word.stop for term in word.terms if not term.stop]
        self._exact = {locale: _exact(terms, locale) for locale in LOCALES}
        alone = [term for term in terms if not term.then]
        self._own = {locale: _exact(alone, locale) for locale in LOCALES}
        self._expressions = tuple(dict.fromkeys((term.text, *term.then) for term in terms if term.then))
        self._prefixes = tuple(term.text for term in terms if term.prefix)
        self._pattern = _pattern(frozenset().union(*self._exact.values()), self._prefixes)

    def snippet(self, document: Document, *, width: int = WIDTH) -> tuple[Piece, ...]:
        """The window of the document's texts that holds the most different words; its beginning when none is held."""
        texts = [text for text in (*document.symptoms, *document.steps, document.body) if text]
        return self.stretch(texts, document.locale, width=width).pieces

    def stretch(self, texts: Sequence[str], locale: str, *, width: int = WIDTH, enough: int = 0) -> Stretch:
        """The same of any texts, the first of equally good ones; ``enough``: so many words are as good as more."""
        best, chosen = (0, 0, 0), 0
        for index, text in enumerate(texts):
            window = self._window(text, locale, width)
            if window[2] > best[2] or index == 0:
                best, chosen = window, index
            if enough and best[2] >= enough:
                break
        text = texts[chosen] if texts else ""
        start, end, words = best
        pieces = self.pieces(_clean(text[start:end]), locale, before=start > 0, after=end < len(text))
        return Stretch(text=chosen, words=words, pieces=pieces)

    def count(self, text: str, locale: str) -> int:
        """How many different words of the question a text holds."""
        return len({word for _, _, word in self._matches(text, locale)})

    def pieces(self, text: str, locale: str, *, before: bool = False, after: bool = False) -> tuple[Piece, ...]:
        """``text`` cut where searched words begin and end; "…" where it was cut out of a longer one."""
        found: list[Piece] = [Piece("… ")] if before else []
        at = 0
        for start, end, _ in self._matches(text, locale):
            if start > at:
                found.append(Piece(text[at:start]))
            found.append(Piece(text[start:end], marked=True))
            at = end
        if at < len(text):
            found.append(Piece(text[at:]))
        return (*found, Piece(" …")) if after else tuple(found)

    def _window(self, text: str, locale: str, width: int) -> tuple[int, int, int]:
        """Start, end and the number of different words of the best stretch."""
        matches = self._matches(text, locale)
        best, kept = 0, 0
        for index, (start, _, _) in enumerate(matches):
            inside = {word for begin, end, word in matches[index : index + 30] if end <= start + width}
            if len(inside) > kept:
                best, kept = start, len(inside)
        start = _word_start(text, max(0, best - width // 5))
        return start, _word_end(text, start + width), kept

    def _matches(self, text: str, locale: str) -> list[tuple[int, int, str]]:
        if self._pattern is None:
            return []
        folded = text[:MAX_TEXT].translate(_FOLDING)
        found = []
        for match in self._pattern.finditer(folded):
            word = self._meant(match.group(), locale)
            if word:
                found.append((match.start(), match.end(), word))
                if len(found) == MAX_MATCHES:
                    break
        return self._together(found, locale) if self._expressions else found

    def _together(self, found: Sequence[tuple[int, int, str]], locale: str) -> list[tuple[int, int, str]]:
        """Words of an expression mean something only where they stand one behind the other."""
        own = self._own[locale if locale in LOCALES else "fr"].union(self._prefixes)
        kept = {at for at, (_, _, word) in enumerate(found) if word in own}
        for expression in self._expressions:
            for start in range(len(found) - len(expression) + 1):
                part = found[start : start + len(expression)]
                near = all(after[0] - before[1] <= GAP for before, after in pairwise(part))
                if near and tuple(word for _, _, word in part) == expression:
                    kept.update(range(start, start + len(expression)))
        return [match for at, match in enumerate(found) if at in kept]

    def _meant(self, written: str, locale: str) -> str:
        """The searched term that this word of a text stands for, or nothing: the pattern finds more than is meant."""
        locale = locale if locale in LOCALES else "fr"
        for term in (written, STEMMERS[locale](written)):
            if term in self._exact[locale]:
                return term
        return next((prefix for prefix in self._prefixes if written.startswith(prefix)), "")


def snippet_html(pieces: Iterable[Piece]) -> Markup:
    """Escaped text with ``<mark>`` around the searched words."""
    return Markup("").join(
        Markup("<mark>{}</mark>").format(piece.text) if piece.marked else escape(piece.text) for piece in pieces
    )


def plain(pieces: Sequence[Piece]) -> str:
    return "".join(piece.text for piece in pieces)


def _exact(terms: Iterable[Term], locale: str) -> frozenset[str]:
    """What is searched in documents of this language: what is a stop word in it may be a word of the other."""
    meant = [term for term in terms if not term.prefix and term.locale in {"", locale}]
    return frozenset(text for term in meant for text in (term.text, *term.then))


def _pattern(exact: Iterable[str], prefixes: Iterable[str]) -> re.Pattern[str] | None:
    """Words that begin like a term: a stem is shorter than its words, and its last letters may differ."""
    whole = sorted((term for term in exact if not term.isalnum()), key=len, reverse=True)
    begun = sorted({_begin(term) for term in exact if term.isalnum()} | set(prefixes), key=len, reverse=True)
    parts = [re.escape(term) for term in whole]
    if begun:
        parts.append(f"(?:{'|'.join(re.escape(term) for term in begun)})[^\\W_]*")
    return re.compile(rf"(?<![^\W_])(?:{'|'.join(parts)})") if parts else None


def _begin(term: str) -> str:
    return term if len(term) < 4 or not term.isalpha() else term[: max(3, len(term) - 3)]


def _clean(text: str) -> str:
    """One line, without control characters and bidi overrides (they could disguise what is shown around them)."""
    kept = "".join(" " if c in _BREAKS else "" if unicodedata.category(c) in _DROPPED else c for c in text)
    return " ".join(kept.split())


def _word_start(text: str, at: int) -> int:
    while 0 < at < len(text) and text[at - 1] not in _BREAKS:
        at += 1
    return min(at, len(text))


def _word_end(text: str, at: int) -> int:
    if at >= len(text):
        return len(text)
    cut = max(text.rfind(sign, max(0, at - 60), at) for sign in _BREAKS)
    return cut if cut > 0 else at
