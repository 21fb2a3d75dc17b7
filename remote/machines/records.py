"""Whether an agent's own record of what was done on its machine is still the one that it told about.

An agent tells number and hash of its record's last line. When that is not what it told before it is asked for the line
that it told then: with that still there, the record has grown (or the message came late); without, it was cut or
written anew. The server can only compare what an agent says: one whose program was changed as well may say anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from compagnon import audit
from compagnon.audit import Actor
from compagnon.auth.model import Member, Role
from compagnon.db import Connection
from compagnon.errors import Conflict, Forbidden, Invalid
from compagnon.i18n import N_
from compagnon.kernel import Kernel
from compagnon_agent.protocol import messages
from remote.control.lines import Lines
from remote.machines import records_store
from remote.machines.model import (
    EMPTY_RECORD,
    BrokenRecord,
    KnownRecord,
    Machine,
    RecordChange,
    now,
    record_change,
)
from remote.machines.telling import say

NOTE = (3, 300)  # characters


class Records:
    def __init__(self, kernel: Kernel) -> None:
        self._db = kernel.db

    def listen(self, link: Lines) -> None:
        """Hear what the agents tell about their records, and ask them to show it."""

        async def told(machine: Machine, message: messages.AuditHead) -> None:
            async with self._db.transaction() as conn:
                asked = await self.told(conn, machine, message, now())
            if asked is not None:
                link.tell_later(machine.id, messages.AuditQuery(number=asked))

        async def once(conn: Connection, machine: Machine, message: messages.AuditHead, at: datetime) -> None:
            """Out of the queue of an agent that does not count its lines."""
            await records_store.last_told(conn, machine.id, message.head, at)

        link.handle(messages.AuditHead, told)
        link.inbox.inside(messages.AuditHead, once)
        link.handle(messages.AuditLine, self.shown)

    async def told(self, conn: Connection, machine: Machine, message: messages.AuditHead, at: datetime) -> int | None:
        """The end of a record. Gives the number of the line that the agent must show, when it is not what it was."""
        await records_store.last_told(conn, machine.id, message.head, at)
        if not message.number and message.head != EMPTY_RECORD:  # an agent that does not count: nothing to compare
            return None
        if message.number and await records_store.first_told(conn, machine.id, message.number, message.head, at):
            return None
        known = await records_store.known(conn, machine.id)
        if known is None:
            return None
        if known.number and (message.number, message.head) != (known.number, known.head):
            await records_store.claim(conn, machine.id, message.number, message.head, at)
            return known.number
        await records_store.move(conn, machine.id, message.number, message.head, at)
        return None

    async def shown(self, machine: Machine, message: messages.AuditLine) -> None:
        """What the agent finds in its record under the number that it was asked for."""
        async with self._db.transaction() as conn:
            known = await records_store.known(conn, machine.id)
            if known is None or known.claimed is None or message.number != known.number:
                return  # nobody asks for that (any more)
            number, head, at = known.claimed
            change = record_change(known, message.hash, gone=message.gone)
            if change is not None:
                await self._break(conn, machine, change, known, number)
            elif number <= known.number:  # what was told came late: more has been told since
                number, head, at = known.number, known.head, known.told_at
            await records_store.move(conn, machine.id, number, head, at)

    async def _break(
        self, conn: Connection, machine: Machine, change: RecordChange, known: KnownRecord, number: int
    ) -> None:
        """Said once, until somebody has looked into it."""
        if not await records_store.break_(conn, machine.id, change.value, known.told_at):
            return
        details = {"known_number": known.number, "known_hash": known.head, "told_at": known.told_at, "number": number}
        await say(conn, machine.id, machine.client_id, f"record_{change.value}")
        await audit.record(
            conn,
            actor=Actor.agent(machine.id),
            action=f"machine.record_{change.value}",
            subject=f"machine:{machine.id}",
            details=details,
        )

    async def broken(self, machine_id: int) -> BrokenRecord | None:
        async with self._db.connection() as conn:
            return await records_store.broken(conn, machine_id)

    async def all_broken(self, limit: int = 5) -> Sequence[BrokenRecord]:
        """For administrators: what nobody has looked into yet, newest first."""
        async with self._db.connection() as conn:
            return await records_store.all_broken(conn, limit)

    async def look_into(self, member: Member, machine: Machine, note: str) -> None:
        """An administrator knows why. Raises Forbidden, Invalid(note), Conflict (somebody did before)."""
        if not member.role.covers(Role.ADMINISTRATOR):
            raise Forbidden(N_("Only administrators may do this."))
        note = " ".join(note.split())
        if not NOTE[0] <= len(note) <= NOTE[1]:
            raise Invalid(N_("Say in a few words what happened to the record."), field="note")
        async with self._db.transaction() as conn:
            if not await records_store.looked_into(conn, machine.id):
                raise Conflict(N_("Somebody has looked into it already."))
            await say(conn, machine.id, machine.client_id, "record_explained", member_id=member.id, detail=note)
            await audit.record(
                conn,
                actor=Actor.member(member.id),
                action="machine.record_explained",
                subject=f"machine:{machine.id}",
                details={"note": note},
            )
