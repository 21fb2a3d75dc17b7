"""Who at the client agreed to what, where no agent can ask: a member writes it down, before anything is done.

This is the device's side of ``compagnon_agent.authorise``: the one function, :func:`granted`, that says yes or no.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg

from compagnon import audit, events
from compagnon.audit import Actor
from compagnon.auth.model import Member
from compagnon.errors import Conflict, Forbidden, Invalid
from compagnon.i18n import N_
from compagnon.kernel import Kernel
from procedures.ports import TicketGate
from remote.machines import store as machine_store
from remote.ssh import store
from remote.ssh.model import Consent, How

PERSON = (2, 80)  # characters
LONGEST = timedelta(hours=4)
LOOK_EVERY = 5.0  # seconds, beside the events


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What somebody wants to do: one session, or the steps of one manifest with these values."""

    machine_id: int
    ticket_id: int
    session_id: str = ""
    digest: str = ""
    values_digest: str = ""


def granted(asked: Asked, consents: Iterable[Consent], now: datetime) -> Consent | None:
    """The consent under which it may be done now, or None: nothing is done over SSH without asking here. Pure."""
    return next((given for given in consents if given.until > now and _covers(given, asked)), None)


def _covers(given: Consent, asked: Asked) -> bool:
    if (given.machine_id, given.ticket_id) != (asked.machine_id, asked.ticket_id):
        return False
    if asked.session_id:
        return given.kind == "session" and given.session_id == asked.session_id
    same = (given.digest, given.values_digest) == (asked.digest, asked.values_digest)
    return given.kind == "procedure" and bool(asked.digest) and same


class Consents:
    """Use cases. Whoever may act on the ticket writes down what the client said."""

    def __init__(self, kernel: Kernel, gate: TicketGate) -> None:
        self._db = kernel.db
        self._hub = kernel.hub
        self._gate = gate

    async def record(self, member: Member, asked: Asked, *, how: How, person: str) -> None:
        """Raises Forbidden, Invalid(field="person"), Conflict (ticket closed, or written down already)."""
        person = " ".join(person.split())
        if not PERSON[0] <= len(person) <= PERSON[1] or not person.isprintable():
            raise Invalid(N_("Say who at the client agreed."), field="person")
        values = {
            "machine_id": asked.machine_id, "ticket_id": asked.ticket_id, "session_id": asked.session_id or None,
            "kind": "session" if asked.session_id else "procedure", "digest": asked.digest,
            "values_digest": asked.values_digest, "how": how, "person": person, "member_id": member.id,
            "until": datetime.now(UTC) + LONGEST,
        }  # fmt: skip
        try:
            async with self._db.transaction() as conn:
                await self._gate.require_open(asked.ticket_id, conn=conn)
                if not await self._gate.may_act(asked.ticket_id, member.id, conn=conn):
                    raise Forbidden(N_("Only the ticket's owner and collaborators may write a consent down."))
                await store.add_consent(conn, values)
                subject = f"machine:{asked.machine_id}"
                await machine_store.add_event(
                    conn, asked.machine_id, "device_consent", member_id=member.id, subject=person, detail=how.value
                )
                await events.publish(conn, subject, "consent")
                await events.publish(conn, f"ticket:{asked.ticket_id}", "consent")
                details = {name: str(value) for name, value in values.items() if value}
                await audit.record(
                    conn, actor=Actor.member(member.id), action="device.consent_recorded", subject=subject,
                    details=details,
                )  # fmt: skip
        except psycopg.errors.UniqueViolation:
            raise Conflict(N_("This consent is written down already.")) from None

    async def find(self, asked: Asked) -> Consent | None:
        async with self._db.connection() as conn:
            known = await store.consents(conn, asked.machine_id, asked.ticket_id)
        return granted(asked, known, datetime.now(UTC))

    async def wait_for(self, asked: Asked, seconds: float) -> Consent | None:
        """Until a member writes it down, or the time is up."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        with self._hub.subscribe({f"machine:{asked.machine_id}"}) as changes:
            while (found := await self.find(asked)) is None and loop.time() < end:
                await changes.next(timeout=min(LOOK_EVERY, max(0.05, end - loop.time())))
        return found
