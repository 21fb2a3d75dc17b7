"""Enrol machines, approve them, keep what their agents report, and tell how they are."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import psycopg

from compagnon import audit, events
from compagnon.audit import Actor
from compagnon.auth.model import Member
from compagnon.db import Connection
from compagnon.errors import Conflict, Forbidden, Invalid, TooMany
from compagnon.i18n import N_
from compagnon.kernel import Kernel
from remote.machines import bounds, drift_store, store
from remote.machines.budget import Budget
from remote.machines.changes import PREFIX, Change, changes
from remote.machines.facts import Facts, bounded_policy
from remote.machines.model import (
    CODE_LIFETIME,
    FAILURES_EVERYWHERE,
    FAILURES_PER_ADDRESS,
    Arrival,
    EnrolRequest,
    Machine,
    MachineState,
    Offer,
    code_digest,
    new_code,
    now,
    spoken_code,
)
from remote.machines.reading import Reading
from remote.machines.telling import say

NAME_LIMIT = 80


class Machines(Reading):
    """Use cases of machines. Any member may help any client: what each does is in the audit log and the history."""

    def __init__(self, kernel: Kernel) -> None:
        super().__init__(kernel.db)
        self._settings = kernel.settings
        self._directory = kernel.directory
        self.budget = Budget()
        self.node = str(uuid.uuid4())  # this process, among those that agents are connected to

    # enrolment

    async def offer(
        self, member: Member, client_id: int, *, site_id: int | None = None, environment: str | None = None
    ) -> Offer:
        """A code to read out, good once and for 15 minutes. Raises NotFound for an unknown client or site."""
        await self._check_site(client_id, site_id)
        code, expires_at = new_code(), now() + CODE_LIFETIME
        values = {
            "digest": code_digest(code, self._settings.secret_key),
            "client_id": client_id,
            "site_id": site_id,
            "environment": environment,
            "member_id": member.id,
            "expires_at": expires_at,
        }
        async with self._db.transaction() as conn:
            await store.add_code(conn, values)
            await audit.record(
                conn,
                actor=Actor.member(member.id),
                action="machine.enrolment_offered",
                subject=f"client:{client_id}",
                details={"site": site_id, "environment": environment},
            )
        command = f"compagnon-agent enroll {self._settings.public_url} {code[:4]}-{code[4:]}"
        return Offer(code=code, expires_at=expires_at, command=command, server=self._settings.public_url)

    async def enrol(self, request: EnrolRequest, address: str) -> Machine:
        """Use a code up and add the machine, pending. The same code and key again answer the same machine.

        Raises TooMany after too many wrong codes, Forbidden for a wrong, used or expired one, Conflict for a known key.
        """
        await self._refuse_guessing(address)
        code = spoken_code(request.code)
        try:
            async with self._db.transaction() as conn:
                machine_id = await self._enrol(conn, code, request) if code else None
        except psycopg.errors.UniqueViolation as error:
            if error.diag.constraint_name != "machines_public_key":
                raise
            raise Conflict(N_("This agent is enrolled already.")) from None
        if machine_id is None:
            async with self._db.transaction() as conn:
                await store.failed(conn, address)
            raise Forbidden(N_("This code is wrong, used or older than 15 minutes: ask for another."))
        return await self.get(machine_id)

    async def _refuse_guessing(self, address: str) -> None:
        async with self._db.connection() as conn:
            here, everywhere = await store.failures(conn, address)
        if here >= FAILURES_PER_ADDRESS or everywhere >= FAILURES_EVERYWHERE:
            raise TooMany(N_("Too many wrong codes: try again in 15 minutes."), retry_after=900)

    async def _enrol(self, conn: Connection, code: str, request: EnrolRequest) -> int | None:
        digest = code_digest(code, self._settings.secret_key)
        taken = await store.take_code(conn, digest)
        if taken is None:
            return await store.enrolled_already(conn, digest, request.public_key)
        values = {
            "name": request.name or request.hostname or "?",
            "client_id": taken.client_id,
            "site_id": taken.site_id,
            "environment": taken.environment,
            "public_key": request.public_key,
            "hostname": request.hostname,
            "os": request.os,
            "version": request.version,
            "capabilities": [],
        }
        machine_id = await store.add(conn, values)
        await store.code_machine(conn, taken.id, machine_id)
        await say(conn, machine_id, taken.client_id, "enrolled", detail=request.hostname)
        await audit.record(
            conn,
            actor=Actor.agent(machine_id),
            action="machine.enrolled",
            subject=f"machine:{machine_id}",
            details={"client": taken.client_id, "offered_by": taken.created_by, "key": request.public_key.hex()},
        )
        return machine_id

    async def approve(
        self, member: Member, machine_id: int, *, name: str, site_id: int | None, environment: str | None
    ) -> Machine:
        """Let a pending machine work. Raises Conflict when somebody else decided first, Invalid, NotFound."""
        name = checked_name(name)
        machine = await self.get(machine_id)
        await self._check_site(machine.client_id, site_id)
        async with self._db.transaction() as conn:
            if not await store.approve(
                conn, machine_id, member_id=member.id, name=name, site_id=site_id, environment=environment
            ):
                raise Conflict(N_("This machine is not waiting for approval any more."))
            details = {"name": name, "site": site_id, "environment": environment}
            await self._changed(conn, member, machine, "approved", subject=name, details=details)
        return await self.get(machine_id)

    async def revoke(self, member: Member, machine_id: int) -> Machine:
        """Turn a machine away for good: its key is never accepted again. Raises Conflict when it is already."""
        machine = await self.get(machine_id)
        async with self._db.transaction() as conn:
            if machine.state is MachineState.REVOKED or not await store.revoke(conn, machine_id, machine.state):
                raise Conflict(N_("This machine is revoked already."))
            await self._changed(conn, member, machine, "revoked")
        return await self.get(machine_id)

    async def rename(self, member: Member, machine_id: int, name: str) -> None:
        name = checked_name(name)
        machine = await self.get(machine_id)
        async with self._db.transaction() as conn:
            if await store.rename(conn, machine_id, name):
                await self._changed(conn, member, machine, "renamed", subject=name, details={"old": machine.name})

    async def declare(self, member: Member, machine_id: int, environment: str | None) -> None:
        """Say which standard the machine is installed to; its results so far are forgotten."""
        machine = await self.get(machine_id)
        async with self._db.transaction() as conn:
            if await store.declare(conn, machine_id, environment):
                await drift_store.forget(conn, machine_id)
                details = {"old": machine.environment, "new": environment}
                await self._changed(conn, member, machine, "declared", subject=environment or "", details=details)

    async def _check_site(self, client_id: int, site_id: int | None) -> None:
        sheet = await self._directory.sheet(client_id)  # NotFound
        if site_id is not None and site_id not in {site.id for site in sheet.sites}:
            raise Invalid(N_("This site is not one of the client's."), field="site_id")

    # what the agents say

    async def find_all(self, machine_ids: Sequence[int]) -> list[Machine | None]:
        """Each in its place, None where there is no such machine."""
        async with self._db.connection() as conn:
            found = await store.many(conn, machine_ids)
        return [found.get(machine_id) for machine_id in machine_ids]

    async def arrived(self, arrivals: Sequence[Arrival]) -> list[MachineState | None]:
        """Their agents proved their keys: each machine's state, in its place; None where it is revoked."""
        async with self._db.transaction() as conn:
            found = await store.arrived(conn, self.node, arrivals)
            topics = [f"machine:{machine_id}" for machine_id in sorted(found)]
            await events.publish_all(conn, [*topics, "machines:all"], "online")
        return [found.get(one.id) for one in arrivals]

    async def disconnected(self, machine_ids: Sequence[int]) -> list[None]:
        """Their connections to this process have ended; an answer for each, for whoever asked for several at once."""
        async with self._db.transaction() as conn:
            gone = await store.disconnected(conn, machine_ids, self.node)
            if gone:
                topics = [f"machine:{machine_id}" for machine_id in gone]
                await events.publish_all(conn, [*topics, "machines:all"], "offline")
        return [None] * len(machine_ids)

    async def alive(self) -> set[int]:
        """Vouch for this process and the agents at it. Gives the machines about which was decided lately."""
        async with self._db.transaction() as conn:
            await store.alive(conn, self.node)
            return await store.decided(conn)

    async def not_seen_since(self, moment: datetime) -> int:
        """How many approved machines have not been connected since then."""
        async with self._db.connection() as conn:
            return await store.not_seen_since(conn, moment)

    async def change_key(self, machine: Machine, new: bytes) -> Machine:
        """The agent proved both keys. The same change again does nothing.

        Raises Conflict when the machine is known by another key meanwhile, or another machine by this one.
        """
        try:
            async with self._db.transaction() as conn:
                if await store.change_key(conn, machine.id, old=machine.public_key, new=new):
                    await say(conn, machine.id, machine.client_id, "key_changed")
                    details = {"old": machine.public_key.hex(), "new": new.hex()}
                    await _record(conn, machine.id, "key_changed", details)
        except psycopg.errors.UniqueViolation:
            raise Conflict(N_("Another machine is known by this key.")) from None
        now = await self.get(machine.id)
        if now.public_key != new:
            raise Conflict(N_("This machine is known by another key."))
        return now

    async def gone(self) -> None:
        """The process stops: its machines are offline until they are connected again."""
        async with self._db.transaction() as conn:
            await store.gone(conn, self.node)

    async def keep_facts(self, conn: Connection, machine: Machine, raw: Mapping[str, Any], at: datetime) -> None:
        """What changed since the report before becomes part of the machine's history, as far as its budget goes."""
        facts, before = Facts.report(raw), await store.reported(conn, machine.id)
        await store.keep_facts(conn, machine.id, facts.as_json(), at)
        if before is not None and (before.facts_at is None or before.facts_at < at):
            await self._note_changes(conn, machine.id, changes(Facts.read(before.facts), facts))
        await _publish(conn, machine, "facts")

    async def _note_changes(self, conn: Connection, machine_id: int, found: Sequence[Change]) -> None:
        for change in found:
            kind = PREFIX + change.kind
            if self.budget.spend(machine_id, kind, change.subject, change.detail) is not None:
                await store.add_event(conn, machine_id, kind, subject=change.subject, detail=change.detail)

    async def keep_policy(self, conn: Connection, machine: Machine, raw: Mapping[str, Any]) -> None:
        """Note the consent policy; a change of it is part of the machine's history and of the audit log.

        What exceeds the machine's budget is kept on its page, and only counted in the log.
        """
        policy = bounded_policy(raw)
        if not await store.keep_policy(conn, machine.id, policy):
            return
        unsaid = self.budget.spend(machine.id, "policy", json.dumps(policy, sort_keys=True))
        if unsaid is not None:
            await say(conn, machine.id, machine.client_id, "policy")
            await _record(conn, machine.id, "policy_reported", policy | _counted(unsaid))

    async def dropped(self, conn: Connection, machine: Machine, counts: Mapping[str, int]) -> None:
        """The agent was away for so long, or had so much to say, that its queue did not hold all of it."""
        detail = ", ".join(f"{bounds.text(name, 40)}: {count}" for name, count in sorted(counts.items())[:20])
        unsaid = self.budget.spend(machine.id, "dropped", detail)
        if unsaid is not None:
            await say(conn, machine.id, machine.client_id, "dropped", detail=detail)
            await _record(conn, machine.id, "messages_dropped", {"counts": detail} | _counted(unsaid))

    async def consent_withdrawn(self, conn: Connection, machine: Machine, reason: str, *, about: str = "") -> None:
        """Somebody at the machine took a consent back. Repeats, and what exceeds its budget, are only counted."""
        detail = bounds.text(reason, 500)
        unsaid = self.budget.spend(machine.id, "consent_withdrawn", detail, about)
        if unsaid is not None:
            await say(conn, machine.id, machine.client_id, "consent_withdrawn", detail=detail)
            await _record(conn, machine.id, "consent_withdrawn", {"reason": detail} | _counted(unsaid))

    # telling

    async def _changed(
        self,
        conn: Connection,
        member: Member,
        machine: Machine,
        verb: str,
        *,
        subject: str = "",
        details: Mapping[str, Any] | None = None,
    ) -> None:
        await say(conn, machine.id, machine.client_id, verb, member_id=member.id, subject=subject)
        await audit.record(
            conn,
            actor=Actor.member(member.id),
            action=f"machine.{verb}",
            subject=f"machine:{machine.id}",
            details=details,
        )


async def _record(conn: Connection, machine_id: int, verb: str, details: Mapping[str, Any]) -> None:
    """What an agent said by itself, in the audit log."""
    actor, subject = Actor.agent(machine_id), f"machine:{machine_id}"
    await audit.record(conn, actor=actor, action=f"machine.{verb}", subject=subject, details=details)


def _counted(unsaid: int) -> dict[str, Any]:
    """How many messages of the machine were not written before this one."""
    return {"not_written": unsaid} if unsaid else {}


async def _publish(conn: Connection, machine: Machine, kind: str) -> None:
    for topic in (f"machine:{machine.id}", "machines:all"):
        await events.publish(conn, topic, kind)


def checked_name(raw: str) -> str:
    """One line of 1 to 80 characters. Raises Invalid(field="name")."""
    name = " ".join(raw.split())
    if not name or len(name) > NAME_LIMIT or not name.isprintable():
        raise Invalid(
            N_("Please give the machine a name of at most {limit} characters."), field="name", limit=NAME_LIMIT
        )
    return name
