"""From a ticket to an article: what is there to begin with, and the draft that is written from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from compagnon.auth.model import Member
from compagnon.db import Database
from kb.articles.model import Content, Version
from kb.articles.service import Articles
from procedures.runs.service import Runs
from remote.machines.service import Machines
from tickets.articles.model import Word, begun, origin, words
from tickets.closing import store as closing_store
from tickets.desk import store
from tickets.desk.model import Ticket
from tickets.desk.service import Desk
from tickets.desk.story import MESSAGES_LIMIT


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """``draft`` is the one that was begun from this ticket before; ``content`` what the editor begins with."""

    ticket: Ticket
    content: Content
    draft: Version | None
    words: Sequence[Word]


class TicketArticles:
    def __init__(self, db: Database, *, desk: Desk, machines: Machines, runs: Runs, articles: Articles) -> None:
        self._db = db
        self._desk = desk
        self._machines = machines
        self._runs = runs
        self._articles = articles

    async def begin(self, ticket_id: int) -> Beginning:
        """Raises NotFound."""
        ticket = await self._desk.get(ticket_id)
        draft = await self._draft(ticket)
        return Beginning(
            ticket=ticket,
            content=draft.content if draft else await self._content(ticket),
            draft=draft,
            words=await self._words(ticket),
        )

    async def write(
        self,
        ticket_id: int,
        content: Content,
        member: Member,
        *,
        locale: str,
        request_key: str,
        article_id: int | None = None,
        seen: str = "",
    ) -> Version:
        """Begin the draft, or go on with ``article_id``, which was written from this ticket and of which ``seen`` was.

        Raises Invalid, EditConflict when somebody else wrote in it, or began one from this ticket, in the meantime.
        """
        ticket = await self._desk.get(ticket_id)
        if article_id and seen and await self.written(ticket_id, article_id):
            return await self._articles.save(article_id, content, member, seen=seen)
        return await self._articles.create(content, locale, member, origin=origin(ticket), request_key=request_key)

    async def written(self, ticket_id: int, article_id: int | None) -> Version | None:
        """What is there of an article that was written from this ticket; None of all others."""
        return await self._articles.written_from(article_id, "ticket", str(ticket_id)) if article_id else None

    async def of(self, ticket_id: int) -> Sequence[Version]:
        """The articles that belong to a ticket: written from it, or named in it."""
        return await self._articles.of("ticket", str(ticket_id))

    async def _draft(self, ticket: Ticket) -> Version | None:
        return await self._articles.draft_from("ticket", str(ticket.id))

    async def _content(self, ticket: Ticket) -> Content:
        machine = await self._machines.get(ticket.machine_id) if ticket.machine_id else None
        return begun(ticket, machine.environment if machine else None, await self._runs.for_ticket(ticket.id))

    async def _words(self, ticket: Ticket) -> list[Word]:
        async with self._db.connection() as conn:
            messages = await store.messages(conn, ticket.id, MESSAGES_LIMIT)
            closing = await closing_store.get(conn, ticket.id)
        resolution = None
        if closing:
            resolution = Word(kind="resolution", by=closing.member_name, at=closing.created_at, text=closing.resolution)
        return words(ticket, messages, resolution)
