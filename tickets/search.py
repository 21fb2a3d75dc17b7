"""Tickets in the global search: by number, by the words of title, symptom and messages, by a piece of the title."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from compagnon.auth.model import Member
from compagnon.db import Connection, Database
from compagnon.i18n import N_
from kb.search.highlight import Highlighter, Stretch
from kb.search.model import Found, Hit, Piece, Reason
from kb.search.records import RECORD_LOCALE, RecordQuery
from tickets.listing import search_store as store
from tickets.listing.search_store import COMMON, WINDOW, Expected, Said, Shown

FRAGMENT_MINIMUM = 3  # characters; fewer make no trigram
FRAGMENT_MAXIMUM = 64  # characters; no serial, address or word is longer, and looking for it costs what it is long
TELLING = 7  # letters: trigrams of fewer stand in too many titles
TEXT_BUDGET = 400_000  # characters of messages looked through for one answer
ONLY_NEWEST = N_("These words are in very many tickets: only the {count} last changed ones were searched.")
IN_A_MESSAGE = N_("In a message of {name}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ids:
    """Tickets, best first; ``partly``: older ones were not looked at."""

    ids: Sequence[int] = ()
    partly: bool = False


class TicketRecords:
    """Implements ``kb.search.records.RecordSource``; who may find what is ``search_store.READABLE``."""

    kind = "ticket"
    label = N_("Tickets")
    icon = "ticket"

    def __init__(self, db: Database) -> None:
        self._db = db

    async def search(self, member: Member, query: RecordQuery, limit: int) -> Found:
        """See RecordSource. A hit that comes from a message shows it and leads to it."""
        async with self._db.connection() as conn:
            found = await find(conn, member.id, query, limit)
            shown = await store.shown(conn, member.id, found.ids)
            seeker = Seeker(query)
            unseen = [ticket.id for ticket in shown if not seeker.sees_all(ticket)]
            said = await store.said(conn, member.id, unseen) if unseen else []
        hits = seeker.hits(shown, _by_ticket(said))
        notice = Reason(message=ONLY_NEWEST, params={"count": str(WINDOW)})
        return Found(hits=hits, notices=(notice,) if found.partly else ())


async def find(conn: Connection, reader: int, query: RecordQuery, limit: int) -> Ids:
    """The ticket of that number, then those that hold the words; without any, those with that piece in their title."""
    numbered = await store.by_number(conn, reader, query.number) if query.number is not None else []
    worded = await _by_words(conn, reader, query, limit) if query.tsquery else Ids()
    found = list(dict.fromkeys([*numbered, *worded.ids]))
    if not worded.ids and is_fragment(query):
        found = list(dict.fromkeys([*found, *await _by_fragment(conn, reader, query, limit)]))
    return Ids(ids=found[:limit], partly=worded.partly)


async def _by_words(conn: Connection, reader: int, query: RecordQuery, limit: int) -> Ids:
    """Through the index where it narrows the tickets down to few, else among the newest ones, if they are enough."""
    way = cheapest(query, await store.expected(conn, every=query.tsquery, lead=query.lead, last=query.last))
    if way is Way.LEAD:
        return Ids(ids=await store.by_lead(conn, reader, query.tsquery, query.lead, limit))
    if way is Way.NEWEST:
        newest = await store.among_newest(conn, reader, query.tsquery, limit)
        if len(newest) >= limit:
            return Ids(ids=newest, partly=True)
    return Ids(ids=await store.by_index(conn, reader, query.tsquery, limit))


class Way(Enum):
    """How to find: all words by the index; all but the last by it; among the newest, as each of them is common."""

    INDEX = "index"
    LEAD = "lead"
    NEWEST = "newest"


def cheapest(query: RecordQuery, expected: Expected) -> Way:
    """What reads least, by what PostgreSQL expects."""
    if query.lead and expected.lead <= COMMON:
        return Way.LEAD
    return Way.INDEX if min(expected.every, expected.last) <= COMMON else Way.NEWEST


def is_fragment(query: RecordQuery) -> bool:
    """Whether the question may be a piece of one word."""
    fits = FRAGMENT_MINIMUM <= len(query.text) <= FRAGMENT_MAXIMUM and " " not in query.text
    return fits and any(map(str.isalnum, query.text)) and not query.question.excluded


async def _by_fragment(conn: Connection, reader: int, query: RecordQuery, limit: int) -> list[int]:
    """Among the newest titles; in all of them for what the trigram index tells apart (numbers, codes, long pieces)."""
    found = await store.fragment_among_newest(conn, reader, query.like, limit)
    telling = len(query.text) >= TELLING or not query.text.isalpha()
    if len(found) >= limit or not telling:
        return found
    return await store.fragment_by_index(conn, reader, query.like, limit)


class Seeker:
    """Finds the words of one question in found tickets and their messages."""

    def __init__(self, query: RecordQuery) -> None:
        self._words = len(query.lexemes)
        self._highlighter = Highlighter(query.question)
        self._seen: dict[int, Stretch] = {}

    def sees_all(self, ticket: Shown) -> bool:
        """Whether title and symptom alone say why the ticket was found."""
        stretch = self._highlighter.stretch([ticket.symptom], RECORD_LOCALE)
        self._seen[ticket.id] = stretch
        return stretch.words >= self._words or self._highlighter.count(ticket.title, RECORD_LOCALE) >= self._words

    def hits(self, shown: Sequence[Shown], said: Mapping[int, Sequence[Said]]) -> list[Hit]:
        """One hit for each ticket, in their order."""
        budget = TEXT_BUDGET // max(1, len(said))
        return [self._hit(ticket, place, within(said.get(ticket.id, ()), budget)) for place, ticket in enumerate(shown)]

    def _hit(self, ticket: Shown, place: int, said: Sequence[Said]) -> Hit:
        own = self._seen[ticket.id]
        other = self._highlighter.stretch([each.body for each in said], RECORD_LOCALE, enough=self._words)
        message = said[other.text] if said and other.words > own.words else None
        about = (Piece(f"{ticket.client_name} · " if ticket.symptom or message else ticket.client_name),)
        return Hit(
            kind="ticket",
            id=str(ticket.id),
            title=f"#{ticket.id} {ticket.title}",
            url=f"/tickets/{ticket.id}" + (f"#message-{message.id}" if message else ""),
            snippet=(*about, *(other.pieces if message else own.pieces)),
            score=1.0 / (1 + place),
            why=(Reason(message=IN_A_MESSAGE, params={"name": message.author}),) if message else (),
        )


def within(said: Sequence[Said], budget: int) -> list[Said]:
    """The newest messages, up to a number of characters."""
    kept: list[Said] = []
    for each in said:
        budget -= len(each.body)
        if budget < 0:
            break
        kept.append(each)
    return kept


def _by_ticket(said: Sequence[Said]) -> dict[int, list[Said]]:
    found: dict[int, list[Said]] = {}
    for each in said:
        found.setdefault(each.ticket_id, []).append(each)
    return found
