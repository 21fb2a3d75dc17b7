"""Who is in a session: who may enter, invitations to the whole visit, roles, and the keyboard passed on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from compagnon import audit, events
from compagnon.audit import Actor
from compagnon.auth.model import Member
from compagnon.auth.service import Members
from compagnon.db import Connection
from compagnon.errors import Conflict, Forbidden, NotFound
from compagnon.i18n import N_
from compagnon.kernel import Kernel
from procedures.ports import TicketGate
from remote.machines import store as machine_store
from remote.sessions import people_store, store
from remote.sessions.model import Invitation, Participant, ParticipantRole, Session, Suggestion, WatchLink
from remote.sessions.rooms import Rooms

OVER = N_("This session is over.")


class Experts(Protocol):
    """Who could be brought in, from the layer above (the ticket's expert finder)."""

    async def suggested(self, ticket_id: int, member: Member) -> Sequence[Suggestion]:
        """Best first, at most a handful; empty when the ticket names no skill."""
        ...


class People:
    """Part of :class:`remote.sessions.service.Sessions`. ``experts`` is attached while wiring."""

    def __init__(self, kernel: Kernel, *, rooms: Rooms, gate: TicketGate) -> None:
        self._db = kernel.db
        self._members: Members = kernel.members
        self._rooms = rooms
        self._gate = gate
        self.experts: Experts | None = None

    async def get(self, session_id: str) -> Session:
        """Raises NotFound."""
        async with self._db.connection() as conn:
            found = await store.get(conn, session_id)
        if found is None:
            raise NotFound(N_("There is no such session."))
        return found

    async def participants(self, session_id: str) -> list[Participant]:
        async with self._db.connection() as conn:
            return await store.participants(conn, session_id)

    async def may_enter(self, session: Session, member: Member) -> bool:
        """Whoever may act on the ticket, opened the session or has an open invitation to it."""
        return await self._acts(session, member.id) or await self._invited(session, member.id)

    async def _acts(self, session: Session, member_id: int) -> bool:
        return session.requested_by == member_id or await self._gate.may_act(session.ticket_id, member_id)

    async def _invited(self, session: Session, member_id: int) -> bool:
        """An invitation is open as long as who gave it (or who invited them) may act: having been there is no right."""
        async with self._db.connection() as conn:
            hosts = await people_store.guests(conn, session.machine_id, session.ticket_id)
        host, asked = hosts.get(member_id), {member_id}
        while host is not None and host not in asked:
            if await self._acts(session, host):
                return True
            asked.add(host)
            host = hosts.get(host)
        return False

    async def may_stay(self, session: Session, member: Member, sign_in_id: int) -> bool:
        """Whether a page that was let in still may be: its sign-in holds, the member is active and may enter."""
        async with self._db.connection() as conn:
            if not await store.signed_in(conn, sign_in_id, member.id):
                return False
        return await self.may_enter(session, member)

    async def require_entry(self, session: Session, member: Member) -> None:
        """Raises Forbidden."""
        if not await self.may_enter(session, member):
            raise Forbidden(N_("Only the ticket's people may enter this session: ask its owner to let you join."))

    # being there

    async def invite(self, member: Member, session_id: str, guest_id: int) -> None:
        """Let another member join this visit, and point.

        Raises Forbidden unless one is in the session by right, NotFound, Conflict.
        """
        session = await self.get(session_id)
        await self.require_entry(session, member)
        guest = await self._members.get(guest_id)
        if not session.live:
            raise Conflict(OVER)
        async with self._db.transaction() as conn:
            await people_store.invite(conn, session.machine_id, session.ticket_id, guest.id, member.id)
            await store.join(conn, session_id, guest.id, ParticipantRole.POINTER, invited_by=member.id)
            await events.publish(conn, f"member:{guest.id}", "invitation")
            await tell(conn, session, "invited", Actor.member(member.id), {"guest": guest.id})

    async def joined(self, session: Session, member: Member) -> None:
        role = ParticipantRole.DRIVER if session.driver_id == member.id else ParticipantRole.POINTER
        async with self._db.transaction() as conn:
            await store.join(conn, session.id, member.id, role)
            await tell(conn, session, "joined", Actor.member(member.id), {"role": role.value})

    async def left(self, session: Session, member: Member) -> None:
        async with self._db.transaction() as conn:
            await store.leave(conn, session.id, member.id)
            await tell(conn, session, "left", Actor.member(member.id), {})

    async def hand_over(self, member: Member, session_id: str, to_id: int) -> None:
        """Give the keyboard away, or take it when its holder is not there.

        Raises Forbidden when somebody else holds it and is there, Conflict when it moved meanwhile or the other left.
        """
        session = await self.get(session_id)
        await self.require_entry(session, member)
        room = self._rooms.get(session_id)
        if room is None or not session.live:
            raise Conflict(OVER)
        if not room.here(to_id):
            raise Conflict(N_("This member is not in the session."))
        holder_here = room.here(session.driver_id)
        if session.driver_id != member.id and holder_here:
            raise Forbidden(N_("Only who holds the keyboard may pass it on: ask for it."))
        receiver = await self._members.get(to_id)
        async with self._db.transaction() as conn:
            if not await store.hand_over(conn, session_id, session.driver_id, to_id):
                raise Conflict(N_("The keyboard was passed on meanwhile."))
            details = {"from": session.driver_id, "to": to_id}
            await tell(conn, session, "handed_over", Actor.member(member.id), details)
        room.driven_by(to_id, receiver.name)

    async def suggested(self, session: Session, member: Member) -> Sequence[Suggestion]:
        """Whom to bring in, best first; not those who are invited or there already."""
        if self.experts is None or not session.live:
            return ()
        async with self._db.connection() as conn:
            known = {found.member_id for found in await store.participants(conn, session.id)}
            known |= set(await people_store.guests(conn, session.machine_id, session.ticket_id))
        found = await self.experts.suggested(session.ticket_id, member)
        return [one for one in found if one.member_id not in known]

    async def others(self, session: Session) -> Sequence[tuple[int, str]]:
        """Every other active member: whoever knows whom to call need not be suggested them."""
        async with self._db.connection() as conn:
            return await people_store.others(conn, session.id)

    async def links(self, session_id: str) -> Sequence[WatchLink]:
        """The links by which a client may watch now."""
        async with self._db.connection() as conn:
            return await people_store.links(conn, session_id)

    async def invitations(self, member: Member) -> Sequence[Invitation]:
        """The live visits to which this member is invited."""
        async with self._db.connection() as conn:
            return await people_store.invitations(conn, member.id)

    async def may_point(self, member: Member, session_id: str, who: int, *, allowed: bool) -> None:
        """Let a participant point, or only look. Raises Forbidden unless one drives, Conflict when nothing changes."""
        session = await self.get(session_id)
        if not session.live or session.driver_id != member.id:
            raise Forbidden(N_("Only who holds the keyboard decides who may point."))
        role = ParticipantRole.POINTER if allowed else ParticipantRole.OBSERVER
        async with self._db.transaction() as conn:
            if not await store.set_role(conn, session_id, who, role):
                raise Conflict(N_("This member has that role already, or is not here."))
            lookers = await store.only_observers(conn, session_id)
            await tell(conn, session, "role", Actor.member(member.id), {"member": who, "role": role.value})
        if (room := self._rooms.get(session_id)) is not None:
            room.lookers = lookers


async def tell(conn: Connection, session: Session, verb: str, actor: Actor, details: Mapping[str, Any]) -> None:
    """Event, history and audit of one change, in its transaction."""
    for topic in (f"session:{session.id}", f"ticket:{session.ticket_id}", f"machine:{session.machine_id}"):
        await events.publish(conn, topic, "session")
    if verb in {"open", "ended"}:
        await machine_store.add_event(
            conn, session.machine_id, f"session_{verb}", subject=session.reason, detail=str(details.get("reason", ""))
        )
    await audit.record(conn, actor=actor, action=f"session.{verb}", subject=f"session:{session.id}", details=details)
