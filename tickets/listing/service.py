"""The list of tickets, and the filters members keep."""

from __future__ import annotations

from typing import Any

from compagnon.auth.model import Member
from compagnon.db import Connection, Database
from compagnon.errors import Conflict, NotFound
from compagnon.i18n import N_
from kb.search.records import record_query
from tickets.desk import bounds
from tickets.listing import search_store, store
from tickets.listing.model import COUNT_LIMIT, FILTERS_LIMIT, PAGE, Listing, SavedFilter, TicketFilter

NAME_LIMIT = 60
QUERY_LIMIT = 1000


class TicketList:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def page(self, wanted: TicketFilter, *, size: int = PAGE, counted: bool = True) -> Listing:
        """The rows after ``wanted.after`` and how many there are in all, up to a bound."""
        async with self._db.connection() as conn:
            search = await _search(conn, wanted.text)
            rows = await store.rows(conn, wanted, search, size + 1)
            count = await store.count(conn, wanted, search, COUNT_LIMIT + 1) if counted else 0
        shown = tuple(rows[:size])
        following = shown[-1].cursor(wanted.sort) if len(rows) > size else None
        return Listing(rows=shown, count=count, next=following)

    async def departements(self) -> list[str]:
        async with self._db.connection() as conn:
            return await store.departements(conn)

    async def saved(self, member: Member) -> list[SavedFilter]:
        async with self._db.connection() as conn:
            return await store.saved(conn, member.id)

    async def keep(self, member: Member, name: str, query: str) -> None:
        """Keep a filter under a name; the same name again replaces it. Only the member sees it: no audit record."""
        bounds.check_text(name, NAME_LIMIT, "name")
        bounds.check_text(query, QUERY_LIMIT, "query", required=False)
        async with self._db.transaction() as conn:
            if not await store.keep(conn, member.id, name.strip(), query, FILTERS_LIMIT):
                raise Conflict(N_("You keep {limit} filters already: remove one first."), limit=FILTERS_LIMIT)

    async def forget(self, member: Member, filter_id: int) -> None:
        async with self._db.transaction() as conn:
            if not await store.forget(conn, member.id, filter_id):
                raise NotFound(N_("There is no such filter."))


async def _search(conn: Connection, text: str) -> dict[str, Any]:
    """The condition for what was typed: a number is a ticket's, words are looked up, signs are searched in titles."""
    asked = record_query(text)
    if asked.number is not None:
        return {"number": asked.number}
    if asked.tsquery:
        expected = await search_store.expected(conn, every=asked.tsquery, lead=asked.lead, last=asked.last)
        return {"few" if expected.every <= search_store.COMMON else "words": asked.tsquery}
    return {"like": asked.like} if asked.text else {}
