"""Wake an absent machine through its neighbours, and notice that it came."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from compagnon import audit, events
from compagnon.audit import Actor
from compagnon.auth.model import Member
from compagnon.db import Connection
from compagnon.errors import Conflict, Forbidden, Invalid, Unavailable
from compagnon.i18n import N_
from compagnon.kernel import Kernel
from compagnon_agent.protocol import messages
from procedures.ports import TicketGate
from remote.control.link import AgentLink
from remote.machines import bounds
from remote.machines import store as machine_store
from remote.machines.model import Machine, MachineState
from remote.sessions.request import readable
from remote.waking import store
from remote.waking.model import Neighbour, Prospect, told_lans
from remote.waking.words import OBSTACLES

UNDER_WAY = N_("This machine is being woken already: wait until it is here, or for three minutes.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What goes to each of the chosen neighbours."""

    id: int
    machine: Machine
    ticket_id: int
    member: Member
    reason: str
    chosen: Sequence[Neighbour]
    macs: Sequence[str]
    networks: Sequence[str]

    def message(self) -> messages.Wake:
        return messages.Wake(
            request_id=str(uuid.uuid4()),
            ticket_id=self.ticket_id,
            member_id=self.member.id,
            member_name=self.member.name[:120],
            reason=self.reason,
            machine=self.machine.name[:120],
            macs=tuple(self.macs),
            networks=tuple(self.networks),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    neighbour: Neighbour
    packets: int
    reason: str


class Waking:
    """Use cases. Whoever may act on a ticket of the client may have its machines woken."""

    def __init__(self, kernel: Kernel, *, link: AgentLink, gate: TicketGate) -> None:
        self._db = kernel.db
        self._link = link
        self._gate = gate
        link.when_back(self._arrived, whom=self._awaited)

    async def keep_lans(self, conn: Connection, machine: Machine, facts: Mapping[str, Any]) -> None:
        """What a report of facts says of the machine's networks, in the transaction that takes it."""
        lans = told_lans(facts)
        if lans is not None:
            await store.keep_lans(conn, machine.id, lans)

    async def prospect(self, machine: Machine, *, conn: Connection | None = None) -> Prospect:
        """How the machine could be woken now, and what became of the last attempt."""
        now = datetime.now(UTC)
        async with self._db.using(conn) as used:
            last = await store.last(used, machine.id)
            return Prospect(
                site_id=machine.site_id,
                lans=await store.lans(used, machine.id),
                neighbours=() if machine.online else await store.neighbours(used, machine.id),
                last=last if last and last.shown(now) else None,
                now=now,
            )

    async def wake(self, member: Member, machine_id: int, ticket_id: int, reason: str) -> Prospect:
        """Have up to three neighbours send the packet, wait for their answers (seconds), and tell what is known then.

        Raises Forbidden, Invalid (reason; ticket of another client), Conflict (ticket closed; under way already; the
        machine is here, or is none to be woken), Unavailable (nobody can wake it, and why).
        """
        reason, machine = readable(reason), await self._link.machines.get(machine_id)
        if machine.state is not MachineState.APPROVED or machine.is_device:
            raise Conflict(N_("Only an approved machine with an agent can be woken."))
        asked = await self._begin(member, machine, ticket_id, reason)
        answers = await asyncio.gather(*(self._through(one, asked) for one in asked.chosen))
        await self._note(asked, answers)
        return await self.prospect(machine)

    async def _begin(self, member: Member, machine: Machine, ticket_id: int, reason: str) -> Asked:
        async with self._db.transaction() as conn:
            ticket = await self._gate.require_open(ticket_id, conn=conn)
            if not await self._gate.may_act(ticket_id, member.id, conn=conn):
                raise Forbidden(N_("Only the ticket's owner and collaborators may have a machine woken."))
            if ticket.client_id != machine.client_id:
                raise Invalid(N_("This machine is not the ticket's client's."), field="machine_id")
            if machine.online or self._link.online(machine.id):
                raise Conflict(N_("This machine is here already."))
            prospect = await self.prospect(machine, conn=conn)
            if prospect.obstacle is not None:
                raise Unavailable(OBSTACLES[prospect.obstacle])
            attempt_id = await store.begin(conn, machine.id, ticket_id=ticket_id, member_id=member.id)
            if attempt_id is None:
                raise Conflict(UNDER_WAY)
            asked = Asked(
                id=attempt_id,
                machine=machine,
                ticket_id=ticket_id,
                member=member,
                reason=reason,
                chosen=prospect.chosen,
                macs=prospect.macs,
                networks=prospect.networks,
            )
            await _tell_asked(conn, asked)
        return asked

    async def _through(self, neighbour: Neighbour, asked: Asked) -> Answer:
        try:
            answer = await self._link.wake(neighbour.id, asked.message())
        except Unavailable as error:
            return Answer(neighbour=neighbour, packets=0, reason=str(error))
        return Answer(neighbour=neighbour, packets=answer.packets, reason=bounds.text(answer.reason, 300))

    async def _note(self, asked: Asked, answers: Sequence[Answer]) -> None:
        """One that sent it is enough."""
        through = [one for one in answers if one.packets]
        async with self._db.transaction() as conn:
            if through:
                await store.sent(conn, asked.id, [one.neighbour.id for one in through])
            else:
                await store.failed(conn, asked.id, answers[0].reason)
            for one in answers:
                await _tell_answer(conn, asked, one)
            await events.publish(conn, f"machine:{asked.machine.id}", "wake")

    async def _awaited(self, machine_ids: Sequence[int]) -> Collection[int]:
        async with self._db.connection() as conn:
            return await store.awaited(conn, machine_ids)

    async def _arrived(self, machine: Machine) -> None:
        """Its agent connects: if somebody waits for it, that is what it was woken for."""
        async with self._db.transaction() as conn:
            found = await store.arrived(conn, machine.id)
            if found is None:
                return
            ticket_id, seconds = found
            subject = f"machine:{machine.id}"
            await machine_store.add_event(conn, machine.id, "woken", detail=str(seconds))
            details = {"ticket": ticket_id, "seconds": seconds}
            await audit.record(
                conn, actor=Actor.agent(machine.id), action="machine.woken", subject=subject, details=details
            )
            for topic in (subject, f"ticket:{ticket_id}"):
                await events.publish(conn, topic, "woken")


async def _tell_asked(conn: Connection, asked: Asked) -> None:
    subject = f"machine:{asked.machine.id}"
    names = ", ".join(one.name for one in asked.chosen)
    await machine_store.add_event(conn, asked.machine.id, "wake_asked", member_id=asked.member.id, subject=names)
    details = {
        "ticket": asked.ticket_id,
        "reason": asked.reason,
        "through": [one.id for one in asked.chosen],
        "macs": list(asked.macs),
        "networks": list(asked.networks),
    }
    actor = Actor.member(asked.member.id)
    await audit.record(conn, actor=actor, action="machine.wake_asked", subject=subject, details=details)
    await events.publish(conn, subject, "wake")


async def _tell_answer(conn: Connection, asked: Asked, answer: Answer) -> None:
    """In the log and in the history of the machine that sent it, too: something was done with it."""
    neighbour = answer.neighbour.id
    details = {"machine": asked.machine.id, "ticket": asked.ticket_id, "packets": answer.packets}
    await audit.record(
        conn,
        actor=Actor.agent(neighbour),
        action="machine.wake_sent" if answer.packets else "machine.wake_not_sent",
        subject=f"machine:{neighbour}",
        details=details if answer.packets else details | {"reason": answer.reason},
    )
    if answer.packets:
        await machine_store.add_event(
            conn, neighbour, "wake_sent", member_id=asked.member.id, subject=asked.machine.name
        )
        await events.publish(conn, f"machine:{neighbour}", "wake")
