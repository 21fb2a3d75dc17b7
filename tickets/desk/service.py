"""Use cases of one ticket: open, talk, take, hand over, move, edit, account for time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import psycopg.errors

from compagnon import audit, events
from compagnon.audit import Actor
from compagnon.auth.model import Member
from compagnon.db import Connection
from compagnon.errors import Conflict, Invalid, NotFound
from compagnon.i18n import N_
from compagnon.kernel import Kernel
from kb.articles.service import Articles
from kb.search.records import tsvector_text
from tickets.desk import bounds, store
from tickets.desk.model import (
    PRESENCE,
    TYPING,
    Impact,
    NewTicket,
    Present,
    State,
    Ticket,
    Urgency,
    Visibility,
    may_become,
    needs_owner,
    priority,
    with_owner,
)

LIST_TOPIC = "tickets:all"
GONE = N_("There is no ticket number {id}.")
CLOSED = N_("Ticket {id} is closed. Open a follow-up ticket to go on.")
MOVED = N_("{name} was faster: the ticket has changed since you opened it. Look at it again, then decide.")
NOT_ALLOWED = N_("A ticket in this state cannot go to that state.")
OF_ANOTHER_CLIENT = N_("This machine belongs to another client.")


class MachineLookup(Protocol):
    """What the desk needs of ``remote.machines``."""

    async def get(self, machine_id: int) -> Any: ...  # noqa: ANN401 - remote's own type


def topic(ticket_id: int) -> str:
    return f"ticket:{ticket_id}"


class Desk:
    """Every method that changes something is one transaction with its audit record and its event."""

    def __init__(self, kernel: Kernel, machines: MachineLookup, articles: Articles) -> None:
        self._db = kernel.db
        self._articles = articles
        self._members = kernel.members
        self._directory = kernel.directory
        self._machines = machines

    # reading

    async def get(self, ticket_id: int) -> Ticket:
        """Raises NotFound."""
        async with self._db.connection() as conn:
            ticket = await store.get(conn, bounds.identity(ticket_id, GONE))
        if ticket is None:
            raise NotFound(GONE, id=ticket_id)
        return ticket

    async def of_client(self, client_id: int, *, only_open: bool = False, limit: int = 20) -> list[Ticket]:
        read = store.open_of_client if only_open else store.of_client
        async with self._db.connection() as conn:
            return await read(conn, client_id, limit)

    async def of_machine(self, machine_id: int, *, limit: int = 20) -> list[Ticket]:
        async with self._db.connection() as conn:
            return await store.of_machine(conn, machine_id, limit)

    async def may_act(self, ticket_id: int, member_id: int) -> bool:
        async with self._db.connection() as conn:
            return await store.may_act(conn, ticket_id, member_id)

    # opening

    async def open(self, new: NewTicket, member: Member) -> int:
        """Open a ticket and return its number. The same ``request_key`` again returns the ticket it opened.

        Raises Invalid for a field out of bounds, NotFound for an unknown client or machine.
        """
        bounds.check_new(new)
        await self._check_machine(new.client_id, new.machine_id)
        await self._directory.get(new.client_id)
        try:
            async with self._db.transaction() as conn:
                return await self._open(conn, new, member)
        except psycopg.errors.ForeignKeyViolation as error:
            raise bounds.unknown_reference(error) from None

    async def _open(self, conn: Connection, new: NewTicket, member: Member) -> int:
        state = State.ASSIGNED if new.owner_id else State.NEW
        ticket_id = await store.insert(
            conn,
            new,
            state=state,
            priority=priority(new.impact, new.urgency),
            opened_by=member.id,
            words=tsvector_text(new.title, f"{new.symptom}\n{new.caller_name}"),
        )
        if ticket_id is None:
            return await self._opened_before(conn, new, member)
        await store.enter_state(conn, ticket_id, state, member.id, "")
        await self._note_articles(conn, ticket_id, new.title, new.symptom)
        details = {"client_id": new.client_id, "machine_id": new.machine_id, "owner_id": new.owner_id}
        await announce(conn, ticket_id, member.id, "ticket.opened", {**details, "title": new.title})
        return ticket_id

    async def _opened_before(self, conn: Connection, new: NewTicket, member: Member) -> int:
        assert new.request_key is not None, "only a key makes an insert return nothing"
        known = await store.by_key(conn, new.request_key)
        if known is None or known[1] != member.id:
            raise Conflict(N_("This form was already sent by someone else. Please open the page again."))
        return known[0]

    # talking

    async def say(
        self, ticket_id: int, member: Member, body: str, visibility: Visibility, *, request_key: str | None = None
    ) -> None:
        """Add a message. Refused on a closed ticket, except internal notes."""
        bounds.check_message(body)
        bounds.check_key(request_key)
        async with self._db.transaction() as conn:
            ticket = await self._lock(conn, ticket_id)
            if ticket.state is State.CLOSED and visibility is Visibility.PUBLIC:
                raise Conflict(CLOSED, id=ticket_id)
            values = {"ticket_id": ticket_id, "member_id": member.id, "visibility": visibility.value, "body": body}
            message_id = await store.add_message(conn, {**values, "request_key": request_key})
            if message_id is None:
                return
            await store.touch(conn, ticket_id, tsvector_text("", body))
            await store.seen(conn, ticket_id, member.id, typing=False, sent=True)
            await self._note_articles(conn, ticket_id, ticket.title, body)
            details = {"message_id": message_id, "visibility": visibility.value}
            await announce(conn, ticket_id, member.id, "ticket.message_added", details)

    async def add_time(
        self, ticket_id: int, member: Member, minutes: int, note: str = "", *, request_key: str | None = None
    ) -> None:
        bounds.check_minutes(minutes)
        bounds.check_reason(note)
        bounds.check_key(request_key)
        async with self._db.transaction() as conn:
            await self._lock_open(conn, ticket_id)
            values = {"ticket_id": ticket_id, "member_id": member.id, "minutes": minutes, "note": note}
            if await store.add_time(conn, {**values, "request_key": request_key}) is None:
                return
            await announce(conn, ticket_id, member.id, "ticket.time_added", {"minutes": minutes})

    # state and owner

    async def move(self, ticket_id: int, member: Member, *, to: State, revision: int, reason: str = "") -> None:
        """Change the state. ``revision`` is what the member saw.

        Raises Conflict: somebody changed the ticket meanwhile, or the step is not allowed (see ``may_become``).
        """
        bounds.check_reason(reason)
        async with self._db.transaction() as conn:
            ticket = await self._lock(conn, ticket_id)
            self._check_revision(ticket, revision)
            if not may_become(ticket.state, to):
                raise Conflict(NOT_ALLOWED)
            owner_id = ticket.owner_id or (member.id if needs_owner(to) else None)
            await self._move(conn, ticket, member, to, None if to is State.NEW else owner_id, reason)
            details = {"from": ticket.state.value, "to": to.value, "reason": reason}
            await announce(conn, ticket_id, member.id, "ticket.moved", details)

    async def assign(self, ticket_id: int, member: Member, *, owner_id: int | None, revision: int) -> None:
        """Give the ticket to a member (often oneself), or back to nobody. Raises Conflict, also for a resolved one."""
        owner = await self._members.get(owner_id) if owner_id else None
        if owner and not owner.active:
            raise Invalid(N_("{name} is no longer a member."), field="owner_id", name=owner.name)
        async with self._db.transaction() as conn:
            ticket = await self._lock_open(conn, ticket_id)
            self._check_revision(ticket, revision)
            if ticket.owner_id == owner_id:
                return
            state = with_owner(ticket.state, owner_id)
            if state is None:
                raise Conflict(NOT_ALLOWED)
            await self._move(conn, ticket, member, state, owner_id, "")
            details = {"from": ticket.owner_id, "to": owner_id}
            await store.add_change(conn, ticket_id, member.id, "owner", {"name": owner.name if owner else None})
            if owner_id and owner_id != member.id:
                await events.publish(conn, f"member:{owner_id}", "assigned", {"ticket": ticket_id})
            await announce(conn, ticket_id, member.id, "ticket.assigned", details)

    async def _move(
        self, conn: Connection, ticket: Ticket, member: Member, to: State, owner_id: int | None, reason: str
    ) -> None:
        if not await store.move(conn, ticket, new=to, owner_id=owner_id):
            raise Conflict(MOVED, name=ticket.owner_name or ticket.opened_by_name)
        if to is not ticket.state:
            await store.enter_state(conn, ticket.id, to, member.id, reason)

    async def edit(
        self,
        ticket_id: int,
        member: Member,
        *,
        revision: int,
        title: str,
        impact: Impact,
        urgency: Urgency,
        skill: str | None,
        machine_id: int | None,
    ) -> None:
        """Change what the ticket says about itself. Raises Conflict when somebody else did so meanwhile."""
        bounds.check_title(title)
        await self._check_machine((await self.get(ticket_id)).client_id, machine_id)
        values: dict[str, Any] = {"title": title, "impact": impact.value, "urgency": urgency.value, "skill": skill}
        values |= {"machine_id": machine_id, "priority": priority(impact, urgency)}
        try:
            async with self._db.transaction() as conn:
                await self._edit(conn, ticket_id, member, revision, values)
        except psycopg.errors.ForeignKeyViolation as error:
            raise bounds.unknown_reference(error) from None

    async def _edit(
        self, conn: Connection, ticket_id: int, member: Member, revision: int, values: Mapping[str, Any]
    ) -> None:
        ticket = await self._lock_open(conn, ticket_id)
        self._check_revision(ticket, revision)
        changed = {name: value for name, value in values.items() if getattr(ticket, name) != value}
        if not changed:
            return
        words = tsvector_text(values["title"], "")
        if not await store.edit(conn, {**values, "id": ticket_id, "revision": revision, "words": words}):
            raise Conflict(MOVED, name=ticket.owner_name or ticket.opened_by_name)
        await store.add_change(conn, ticket_id, member.id, "edited", changed)
        await announce(conn, ticket_id, member.id, "ticket.edited", changed)

    # people

    async def add_collaborator(self, ticket_id: int, member: Member, collaborator_id: int) -> None:
        collaborator = await self._members.get(collaborator_id)
        async with self._db.transaction() as conn:
            ticket = await self._lock_open(conn, ticket_id)
            if ticket.owner_id == collaborator.id:
                raise Invalid(N_("{name} owns this ticket already."), field="member_id", name=collaborator.name)
            if not await store.add_collaborator(conn, ticket_id, collaborator.id, member.id):
                return
            await store.add_change(conn, ticket_id, member.id, "joined", {"name": collaborator.name})
            await events.publish(conn, f"member:{collaborator.id}", "joined", {"ticket": ticket_id})
            details = {"member_id": collaborator.id}
            await announce(conn, ticket_id, member.id, "ticket.collaborator_added", details)

    async def remove_collaborator(self, ticket_id: int, member: Member, collaborator_id: int) -> None:
        collaborator = await self._members.get(collaborator_id)
        async with self._db.transaction() as conn:
            await self._lock_open(conn, ticket_id)
            if not await store.remove_collaborator(conn, ticket_id, collaborator.id):
                return
            await store.add_change(conn, ticket_id, member.id, "left", {"name": collaborator.name})
            details = {"member_id": collaborator.id}
            await announce(conn, ticket_id, member.id, "ticket.collaborator_removed", details)

    async def look(self, ticket_id: int, member: Member, *, typing: bool) -> list[Present]:
        """Say that this member has the page open; returns the others who have. Tells listeners only of a change."""
        async with self._db.transaction() as conn:
            before = await store.present(conn, ticket_id, presence=PRESENCE, typing=TYPING)
            await store.seen(conn, ticket_id, member.id, typing=typing)
            after = await store.present(conn, ticket_id, presence=PRESENCE, typing=TYPING)
            if before != after:
                await events.publish(conn, f"viewing:{ticket_id}", "changed", {"member": member.id})
        return [person for person in after if person.member_id != member.id]

    # inside

    async def _note_articles(self, conn: Connection, ticket_id: int, title: str, text: str) -> None:
        """An article whose address is in the text belongs to the ticket from now on."""
        await self._articles.mentions(
            conn, "ticket", str(ticket_id), text=text, label=title, url=f"/tickets/{ticket_id}"
        )

    async def _lock(self, conn: Connection, ticket_id: int) -> Ticket:
        ticket = await store.lock(conn, bounds.identity(ticket_id, GONE))
        if ticket is None:
            raise NotFound(GONE, id=ticket_id)
        return ticket

    async def _lock_open(self, conn: Connection, ticket_id: int) -> Ticket:
        ticket = await self._lock(conn, ticket_id)
        if ticket.state is State.CLOSED:
            raise Conflict(CLOSED, id=ticket_id)
        return ticket

    @staticmethod
    def _check_revision(ticket: Ticket, revision: int) -> None:
        if ticket.revision != revision:
            raise Conflict(MOVED, name=ticket.owner_name or ticket.opened_by_name)

    async def _check_machine(self, client_id: int, machine_id: int | None) -> None:
        if machine_id is None:
            return
        machine = await self._machines.get(machine_id)
        if machine.client_id != client_id:
            raise Invalid(OF_ANOTHER_CLIENT, field="machine_id")


async def announce(
    conn: Connection, ticket_id: int, member_id: int | None, action: str, details: Mapping[str, Any]
) -> None:
    """Tell the ticket's page and the list, then write the audit record (last: it takes the chain's lock)."""
    kind = action.partition(".")[2]
    await events.publish(conn, topic(ticket_id), kind, {"by": member_id})
    await events.publish(conn, LIST_TOPIC, kind, {"ticket": ticket_id})
    actor = Actor.member(member_id) if member_id else Actor.system()
    await audit.record(conn, actor=actor, action=action, subject=topic(ticket_id), details=details)
