r"""From text to terms: one chain for the library's index, for the records' tsvector columns and for every query.

Accents are folded, elisions cut (l'imprimante), words stemmed by the document's language, stop words dropped (kept in
titles), and identifiers indexed whole and in parts: 0x80070005, KB5034441, Get-NetAdapter, C:\Windows\System32,
/etc/resolv.conf, systemd-resolved, CamelCase.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from kb.search.stemming import STEMMERS
from kb.search.stopwords import STOP_WORDS

VERSION = 1  # raise it when terms change: existing indexes are then rebuilt
LOCALES = ("fr", "en")
MAX_TERM = 64  # characters; longer runs are cut, they are noise (base64, logs)

_ELISIONS = frozenset(
    ("l", "d", "j", "m", "n", "s", "t", "c", "qu", "jusqu", "lorsqu", "puisqu", "quoiqu", "presqu", "quelqu")
)
_SPECIAL = str.maketrans(
    {"œ": "oe", "æ": "ae", "ß": "ss", "ø": "o", "ł": "l", "’": "'", "ʼ": "'", "‘": "'", "＇": "'", "\u2010": "-"}
    | {"\u2011": "-", "\u00ad": None, "\u200b": None, "\u2060": None, "\ufeff": None}
)
# A run is a word or an identifier: letters and digits joined by the signs that identifiers use.
_RUN = re.compile(r"[^\W_](?:[\w'’ʼ‘＇.:/\\@+#&-]{0,510}[\w+#])?")
# What stands between these signs: folders and hosts, then words, each level inside the one before.
_SEPARATORS = (re.compile(r"[^/\\@:]+"), re.compile(r"[^\W_]+"))
_HEX = re.compile(r"0[xX][0-9a-fA-F]+")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=[^\W\d])(?=\d)|(?<=\d)(?=[^\W\d])")


@dataclass(frozen=True, slots=True)
class Token:
    """A word of a text: its ``terms`` (one, or the whole of an identifier), where it stands and how it is read.

    ``position`` counts the words that are kept; ``start`` and ``end`` are offsets into the text that was analysed.
    ``whole`` is True for a whole identifier, whose parts follow at the same and later positions.
    """

    term: str
    position: int
    start: int
    end: int
    whole: bool = False
    stop: bool = False


def fold(text: str) -> str:
    """Lower case, without accents and ligatures. May change the length; for single words."""
    plain = text.lower().translate(_SPECIAL)
    if plain.isascii():
        return plain
    return "".join(c for c in unicodedata.normalize("NFKD", plain) if not unicodedata.combining(c))


def tokens(text: str, locale: str = "fr", *, keep_stop_words: bool = False) -> Iterator[Token]:
    """The terms of ``text``. Time grows with its length only. An unknown locale is read as French."""
    known = locale if locale in LOCALES else LOCALES[0]
    position = 0
    for match in _RUN.finditer(text):
        run, start = match.group(), match.start()
        for parts in _cached_reading(run, known) if len(run) <= MAX_TERM else _reading(run, known):
            first = position
            for part in parts:
                if part.stop and not keep_stop_words:
                    continue
                yield Token(part.term, position, start + part.start, start + part.end, part.whole, part.stop)
                position += not (part.whole or part.stop)
                first = -1 if part.whole else position
            position += first == -1  # an identifier of which no part was kept (C++) takes a place of its own


@dataclass(frozen=True, slots=True)
class Part:
    """A term of a run, with its place in the run."""

    term: str
    start: int
    end: int
    whole: bool
    stop: bool


def _reading(run: str, locale: str) -> tuple[tuple[Part, ...], ...]:
    """The words of a run, each with its parts; the same run is read the same way wherever it stands."""
    return tuple(tuple(_read(run, start, end, locale)) for start, end in _without_elision(run, 0, len(run)))


# Most words of a text were read before: with their readings kept, analysing takes a third of the time.
_cached_reading = lru_cache(maxsize=32_768)(_reading)


def _read(run: str, start: int, end: int, locale: str) -> Iterator[Part]:
    for low, high, whole in _split(run, start, end):
        folded = fold(run[low:high])[:MAX_TERM]
        stop = not whole and folded in STOP_WORDS[locale]
        yield Part(folded if whole or stop else STEMMERS[locale](folded), low, high, whole, stop)


def terms(text: str, locale: str = "fr") -> list[str]:
    """The terms of ``text`` in order, without stop words."""
    return [token.term for token in tokens(text, locale)]


def _without_elision(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """L'imprimante → imprimante; jusqu'à → à; aujourd'hui stays; d'un 'mot' → un, mot."""
    at = start
    for index in range(start, end):
        if text[index] in "'’ʼ‘＇":
            if fold(text[at:index]) in _ELISIONS or at == index:
                at = index + 1
            elif not fold(text[start:end]).startswith(("aujourd", "quelqu")):
                yield at, index
                at = index + 1
    if at < end:
        yield at, end


def _split(text: str, start: int, end: int) -> Iterator[tuple[int, int, bool]]:
    """A plain word as it is; an identifier whole, then its parts, of which some are whole identifiers themselves:
    /etc/resolv.conf → etc/resolv.conf, etc, resolv.conf, resolv, conf.
    """
    run = text[start:end]
    if run.isalpha() and not _CAMEL.search(run):
        yield start, end, False
        return
    for low, high, whole in _levels(run, 0, len(run), _SEPARATORS):
        yield start + low, start + high, whole


def _levels(run: str, start: int, end: int, separators: tuple[re.Pattern[str], ...]) -> Iterator[tuple[int, int, bool]]:
    """Cut at the outermost separators first; what has parts is given whole before them."""
    word = run[start:end]
    if not separators:
        cuts = _cuts(word)
        if cuts != ((0, len(word)),) and len(word) <= MAX_TERM:
            yield start, end, True
        for low, high in cuts:
            yield start + low, start + high, False
        return
    parts = [match.span() for match in separators[0].finditer(word)]
    if parts == [(0, len(word))]:
        yield from _levels(run, start, end, separators[1:])
        return
    if len(word) <= MAX_TERM:
        yield start, end, True
    for low, high in parts:
        yield from _levels(run, start + low, start + high, separators[1:])


@lru_cache(maxsize=16_384)
def _cuts(word: str) -> tuple[tuple[int, int], ...]:
    """CamelCase at its humps, letters from digits (KB 5034441); hexadecimal numbers behind their 0x only."""
    if _HEX.fullmatch(word):
        return ((2, len(word)),)
    cuts = [0, *(match.start() for match in _CAMEL.finditer(word)), len(word)]
    return tuple(pairwise(cuts))
