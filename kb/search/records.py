"""Searching records (tickets, clients, machines, members): what their packages implement and what helps them.

A record kind is searched in PostgreSQL by its own package's SQL, filtered there by what the member may read. Columns
hold the lexemes of our own analysis, so that a ticket and a procedure are found by the same words:

* write: ``UPDATE tickets SET words = %(words)s::tsvector`` with ``tsvector_text(title, body)``; more is
  appended by ``words || %(words)s::tsvector``;
* read: ``WHERE words @@ %(tsquery)s::tsquery`` with ``RecordQuery.tsquery``, or ``name ILIKE %(like)s`` (pg_trgm),
  or ``phone_digits LIKE '%%' || %(digits)s || '%%'``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from compagnon.auth.model import Member
from kb.search.analysis import fold, tokens
from kb.search.model import Found
from kb.search.question import Question, Word, ask

TITLE = "title"  # words that a question looks for in titles only: their lexemes have weight A
RECORD_LOCALE = "fr"  # one analysis for all records, whatever their language: questions are read the same way
MAX_POSITION = 16_383  # of a tsvector (PostgreSQL 18, §8.11.1)
MAX_PLACES = 250  # positions of one lexeme; PostgreSQL keeps 255
MAX_TEXT = 262_144  # characters analysed of one record
MAX_VECTOR = 800_000  # bytes of its lexemes and their places, about: a tsvector holds 1 MB
MINIMUM_DIGITS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordQuery:
    """A question, cleaned and bounded (≤ 256 characters, ≤ 32 words), in the forms that SQL needs.

    ``text``      as typed, without control characters;
    ``lexemes``   for each word its possible lexemes (French, English), stop words left out;
    ``tsquery``   ready for ``%(q)s::tsquery``: every word must match, the last one as a prefix; empty without words;
    ``lead``, ``last``  the same for all words but the last, and for the last alone; ``lead`` is empty for one word;
    ``digits``    the digits when the question holds three or more (phone numbers, ticket numbers, serials), else empty;
    ``like``      ``%text%`` with LIKE's own signs escaped by a backslash, for ``ILIKE``;
    ``question``  what all of this was made of, for the highlighter.
    """

    text: str
    question: Question = Question()
    lexemes: tuple[tuple[str, ...], ...] = ()
    tsquery: str = ""
    lead: str = ""
    last: str = ""
    digits: str = ""
    like: str = "%%"

    @property
    def number(self) -> int | None:
        """The whole question as a record number (``12``, ``#12``), when it is one that a bigint holds."""
        raw = self.text.strip().removeprefix("#")
        return int(raw) if raw.isascii() and raw.isdigit() and len(raw) <= 18 else None


class RecordSource(Protocol):
    """One kind of record. ``label`` is an English msgid (plural noun), ``icon`` a Tabler icon name."""

    @property
    def kind(self) -> str: ...

    @property
    def label(self) -> str: ...

    @property
    def icon(self) -> str: ...

    async def search(self, member: Member, query: RecordQuery, limit: int) -> Found:
        """The best hits that ``member`` may read, best first, at most ``limit``, and notices on what was not searched.

        What the member may not read is filtered inside the SQL, so that it is neither found nor counted; every kind's
        rule begins with ``reads_records(reader)``.
        """
        ...


def record_query(raw: str) -> RecordQuery:
    """The question of a person, as SQL needs it. Takes any text; never raises."""
    return of_question(ask(raw))


def of_question(question: Question) -> RecordQuery:
    """A question that was read already, as SQL needs it."""
    text = question.plain
    digits = "".join(c for c in text if c.isascii() and c.isdigit())
    kept = [word for word in question.words if not word.stop and word.inside < 0]
    return RecordQuery(
        text=text,
        question=question,
        lexemes=tuple(_readings(word) for word in kept),
        tsquery=tsquery(kept) + _without(question.excluded) if kept else "",
        lead=tsquery(kept[:-1], beginning=False),
        last=tsquery(kept[-1:]),
        digits=digits if len(digits) >= MINIMUM_DIGITS else "",
        like=like_pattern(text),
    )


def _readings(word: Word) -> tuple[str, ...]:
    return tuple(term.text for term in word.terms if not term.prefix)


def tsquery(words: Sequence[Word], *, beginning: bool = True) -> str:
    """Text for ``::tsquery``: every word in one of its readings; ``beginning``: or begun like it, for the last one."""
    parts = []
    for index, word in enumerate(words):
        last = beginning and index == len(words) - 1
        sign = ("*" if last else "") + ("A" if TITLE in word.fields else "")
        readings = [f"{quote_lexeme(text)}{sign and f':{sign}'}" for text in _readings(word)]
        if last and not word.whole:
            readings.append(f"{quote_lexeme(fold(word.text))}:{sign}")
        parts.append("(" + " | ".join(dict.fromkeys(readings)) + ")")
    return " & ".join(parts)


def _without(excluded: Sequence[Word]) -> str:
    """The part of a tsquery that leaves out; words that stand side by side are followed by one another (``<->``)."""
    found = []
    for word in excluded:
        readings = [" <-> ".join(map(quote_lexeme, (term.text, *term.then))) for term in word.terms]
        found.append("!(" + " | ".join(dict.fromkeys(readings)) + ")")
    return "".join(f" & {each}" for each in found)


def quote_lexeme(text: str) -> str:
    """A lexeme as tsvector and tsquery input takes it literally: quotes and backslashes doubled (PostgreSQL §8.11)."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def like_pattern(text: str) -> str:
    """``%text%`` for (I)LIKE, whose own signs stand for themselves."""
    escaped = text.replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_")
    return f"%{escaped}%"


def tsvector_text(title: str, body: str = "") -> str:
    """Text for ``::tsvector``: the lexemes of a record, those of its title with weight A. Bounded for any input."""
    places: dict[str, list[str]] = {}
    last = _place(places, title[:MAX_TEXT], 1, "A")
    _place(places, body[:MAX_TEXT], last + 1, "")
    parts, size = [], 0
    for term, found in places.items():
        size += len(term.encode()) + 8 + 2 * len(found)
        if size > MAX_VECTOR:
            break
        parts.append(f"{quote_lexeme(term)}:{','.join(found)}")
    return " ".join(parts)


def _place(places: dict[str, list[str]], text: str, base: int, weight: str) -> int:
    """Note where each term of ``text`` stands, from position ``base`` on. Returns the last position."""
    position = base
    for token in tokens(text.replace("\x00", ""), RECORD_LOCALE):
        position = min(base + token.position, MAX_POSITION)
        found = places.setdefault(token.term, [])
        if len(found) < MAX_PLACES:
            found.append(f"{position}{weight}")
    return position
