"""Searching records (tickets, clients, machines, members): what their packages implement and what helps them.

A record kind is searched in PostgreSQL by its own package's SQL, filtered there by what the member may read. Columns hold
the lexemes of our own analysis, so that a ticket and a procedure are found by the same words:

* write: ``UPDATE tickets SET words = %(words)s::tsvector`` with ``tsvector_text(title, body)``;
* read: ``WHERE words @@ %(tsquery)s::tsquery`` with ``RecordQuery.tsquery``, or ``name ILIKE %(like)s`` (pg_trgm),
  or ``phone_digits LIKE '%%' || %(digits)s || '%%'``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from compagnon.auth.model import Member

from kb.search.model import Hit


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordQuery:
    """A question, cleaned and bounded (≤ 256 characters, ≤ 32 words), in the forms that SQL needs.

    ``text``      as typed, without control characters;
    ``lexemes``   for each word its possible lexemes (French, English), stop words left out;
    ``tsquery``   ready for ``%(q)s::tsquery``: every word must match, the last one as a prefix; empty without words;
    ``digits``    the digits when the question holds three or more (phone numbers, ticket numbers, serials), else empty;
    ``like``      ``%text%`` with LIKE's own signs escaped by a backslash, for ``ILIKE``.
    """

    text: str
    lexemes: tuple[tuple[str, ...], ...] = ()
    tsquery: str = ""
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

    async def search(self, member: Member, query: RecordQuery, limit: int) -> Sequence[Hit]:
        """The best hits that ``member`` may read, best first, at most ``limit``. Filter inside the SQL."""
        ...
