"""Four eyes: the clients on whose machines nobody works while no second member is in the session."""

from __future__ import annotations

from compagnon import audit, events
from compagnon.audit import Actor
from compagnon.auth.model import Member, Role
from compagnon.errors import Conflict, Forbidden
from compagnon.i18n import N_
from compagnon.kernel import Kernel
from remote.sessions import people_store
from remote.sessions.rooms import Rooms


class Moderation:
    def __init__(self, kernel: Kernel, rooms: Rooms) -> None:
        self._db = kernel.db
        self._directory = kernel.directory
        self._rooms = rooms

    async def holds(self, client_id: int) -> bool:
        async with self._db.connection() as conn:
            return client_id in await people_store.moderated(conn)

    async def set(self, member: Member, client_id: int, *, on: bool) -> None:
        """Counts at once in the sessions of this process, within seconds in those of others.

        Raises Forbidden, NotFound, Conflict (it was so already).
        """
        if not member.role.covers(Role.ADMINISTRATOR):
            raise Forbidden(N_("Only administrators may do this."))
        await self._directory.get(client_id)
        async with self._db.transaction() as conn:
            if not await people_store.moderate(conn, client_id, member.id, on=on):
                raise Conflict(N_("It was so already."))
            await events.publish(conn, f"client:{client_id}", "four_eyes")
            await audit.record(
                conn,
                actor=Actor.member(member.id),
                action="client.four_eyes_on" if on else "client.four_eyes_off",
                subject=f"client:{client_id}",
            )
        await self._rooms.moderate()
