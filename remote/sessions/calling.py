"""Who may ask the machine for what, in a session that the server calls."""

from __future__ import annotations

from dataclasses import dataclass

from compagnon.auth.model import Member
from compagnon.errors import Conflict, Forbidden
from compagnon.i18n import N_
from remote.sessions.call_room import CallRoom
from remote.sessions.model import Capability
from remote.sessions.rooms import Rooms
from remote.sessions.service import Sessions


@dataclass(frozen=True, slots=True, kw_only=True)
class Calling:
    """The one door from a member's request to the machine."""

    sessions: Sessions
    rooms: Rooms

    async def room(self, session_id: str, member: Member, capability: Capability, *, changes: bool) -> CallRoom:
        """The room to call in. ``changes``: something on the machine will be different, so only the driver may.

        Raises NotFound, Forbidden, Conflict (not open, another capability), Unavailable (cannot be recorded).
        """
        session = await self.sessions.get(session_id)
        await self.sessions.require_entry(session, member)
        if session.capability is not capability:
            raise Conflict(N_("This session is for something else."))
        if changes and session.driver_id != member.id:
            raise Forbidden(N_("Somebody else is driving this session: ask them to hand over."))
        return await self.rooms.calls(session)
