"""Link two tickets, take a link away, find the ticket to link."""

from __future__ import annotations

from collections.abc import Sequence

from compagnon.auth.model import Member
from compagnon.db import Connection
from compagnon.errors import Conflict, Invalid, NotFound
from compagnon.i18n import N_
from compagnon.kernel import Kernel
from kb.search.records import record_query
from tickets.desk import bounds
from tickets.desk import store as desk_store
from tickets.desk.service import GONE, announce
from tickets.links import store
from tickets.links.model import LINKS_LIMIT, Link, LinkKind
from tickets.listing import search_store
from tickets.listing.search_store import Shown
from tickets.search import find

CANDIDATES = 8
ITSELF = N_("A ticket cannot be linked with itself.")
TWICE = N_("These two tickets are linked already. To link them in another way, remove that link first.")
HAS_MASTER = N_("This ticket is a duplicate of ticket {master} already.")
IS_DUPLICATE = N_("Ticket {id} is itself a duplicate of ticket {master}: link that one.")
TOO_MANY = N_("A ticket has {limit} links at most.")


class Links:
    """Every change is one transaction with its audit records; both tickets' pages are told."""

    def __init__(self, kernel: Kernel) -> None:
        self._db = kernel.db

    async def of(self, ticket_id: int) -> list[Link]:
        async with self._db.connection() as conn:
            return await store.of(conn, ticket_id)

    async def candidates(self, ticket_id: int, member: Member, text: str) -> Sequence[Shown]:
        """Tickets by number or words that may be linked, best first: not this one, none that is linked."""
        async with self._db.connection() as conn:
            taken = {ticket_id, *(link.other_id for link in await store.of(conn, ticket_id))}
            found = await find(conn, member.id, record_query(text), CANDIDATES + len(taken))
            ids = [one for one in found.ids if one not in taken][:CANDIDATES]
            return await search_store.shown(conn, member.id, ids)

    async def add(self, ticket_id: int, member: Member, kind: LinkKind, other_id: int) -> None:
        """Link two tickets, closed ones too. The same request again does nothing.

        Raises NotFound, Invalid (itself, no such ticket, a duplicate of a duplicate), Conflict (linked already).
        """
        if ticket_id == other_id:
            raise Invalid(ITSELF, field="other")
        async with self._db.transaction() as conn:
            await _lock(conn, ticket_id, other_id)
            known = await store.of(conn, ticket_id)
            if any(_same(link, member, kind, other_id) for link in known):
                return
            await _check(conn, ticket_id, kind, other_id, known)
            if await store.add(conn, ticket_id, other_id, kind, member.id) is None:
                raise Conflict(TWICE)
            await _tell(conn, member, "linked", ticket_id, other_id, kind)

    async def remove(self, ticket_id: int, member: Member, link_id: int) -> bool:
        """Take a link away, from either of its tickets. False when that was done already."""
        async with self._db.transaction() as conn:
            found = await store.remove(conn, ticket_id, link_id)
            if found is None:
                return False
            await _tell(conn, member, "unlinked", found["ticket_id"], found["other_id"], LinkKind(found["kind"]))
            return True


async def _lock(conn: Connection, ticket_id: int, other_id: int) -> None:
    bounds.identity(ticket_id, GONE)
    found = await store.lock(conn, sorted((ticket_id, other_id)))
    if ticket_id not in found:
        raise NotFound(GONE, id=ticket_id)
    if other_id not in found:
        raise Invalid(GONE, field="other", id=other_id)


def _same(link: Link, member: Member, kind: LinkKind, other_id: int) -> bool:
    return link.other_id == other_id and link.kind is kind and link.forward and link.added_by == member.id


async def _check(conn: Connection, ticket_id: int, kind: LinkKind, other_id: int, known: Sequence[Link]) -> None:
    if any(link.other_id == other_id for link in known):
        raise Conflict(TWICE)
    if len(known) >= LINKS_LIMIT:
        raise Conflict(TOO_MANY, limit=LINKS_LIMIT)
    if kind is not LinkKind.DUPLICATE_OF:
        return
    # A duplicate points at the one ticket that is worked on, so that nobody has to follow a chain, or a circle.
    if own := await store.master(conn, ticket_id):
        raise Invalid(HAS_MASTER, field="other", master=own)
    if further := await store.master(conn, other_id):
        raise Invalid(IS_DUPLICATE, field="other", id=other_id, master=further)


async def _tell(conn: Connection, member: Member, what: str, ticket_id: int, other_id: int, kind: LinkKind) -> None:
    """A line in both stories, an event for both pages, an audit record of both."""
    for one, another, forward in ((ticket_id, other_id, True), (other_id, ticket_id, False)):
        details = {"other": another, "kind": kind.value, "forward": forward}
        await desk_store.add_change(conn, one, member.id, what, details)
        await announce(conn, one, member.id, f"ticket.{what}", details)
