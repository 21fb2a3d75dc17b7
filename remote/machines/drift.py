"""Compare a machine with its declared environment, and accept exceptions for a time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import psycopg

from compagnon import audit, events
from compagnon.audit import Actor
from compagnon.auth.model import Member
from compagnon.db import Connection
from compagnon.errors import Conflict, Invalid, NotFound
from compagnon.i18n import N_
from compagnon.kernel import Kernel
from remote.machines import bounds, drift_store, store
from remote.machines.model import WAIVER_LONGEST, CheckState, Machine, MachineState, NewCheckState
from remote.machines.service import Machines

if TYPE_CHECKING:
    from compagnon_agent.protocol.checks import CheckResult
    from procedures.environments.service import Environments
    from procedures.ports import MachineGateway

CHECK_TIMEOUT = 120.0  # seconds for all checks of an environment
JUSTIFICATION = (10, 1000)  # characters


class Drift:
    """The failing checks of the environments that machines declare."""

    def __init__(self, kernel: Kernel, machines: Machines, environments: Environments, gateway: MachineGateway) -> None:
        self._db = kernel.db
        self._machines = machines
        self._environments = environments
        self._gateway = gateway

    async def check(self, machine_id: int, member: Member | None = None) -> list[CheckState]:
        """Ask the agent now and keep what it says.

        Raises Invalid without a declared environment, NotFound for an unpublished one, Unavailable when the machine
        is offline.
        """
        machine = await self._machines.get(machine_id)
        if machine.environment is None or machine.state is not MachineState.APPROVED:
            raise Invalid(N_("This machine declares no environment to compare it with."), field="environment")
        version = await self._environments.current(machine.environment)
        items = list(version.checks)
        results = await self._gateway.run_checks(
            machine_id,
            [item.check for item in items],
            parameters={},
            ticket_id=None,
            member_id=member.id if member else None,
            timeout=CHECK_TIMEOUT,
        )
        states = [
            new_state(position, item.id, item.label, item.procedure, result)
            for position, (item, result) in enumerate(zip(items, results, strict=True))
        ]
        await self._keep(machine, version.version, states)
        return await self._machines.checks(machine_id)

    async def _keep(self, machine: Machine, version: int, states: Sequence[NewCheckState]) -> None:
        assert machine.environment is not None
        async with self._db.transaction() as conn:
            known = {state.key: state.outcome for state in await drift_store.states(conn, machine.id)}
            await drift_store.keep(conn, machine.id, machine.environment, version, states)
            await drift_store.count(conn, machine.id, checked=True)
            changed = [state for state in states if known.get(state.key) != state.outcome]
            for state in changed:
                if known or state.outcome == "fail":
                    kind = f"check_{state.outcome}"
                    await store.add_event(conn, machine.id, kind, subject=state.label, detail=state.reason)
            await events.publish(conn, f"machine:{machine.id}", "checked")
            if changed:
                await events.publish(conn, f"client:{machine.client_id}", "checked")
                await events.publish(conn, "machines:all", "checked")
                await _record(conn, machine.id, Actor.agent(machine.id), "machine.drift_changed", _summary(changed))

    async def waive(self, member: Member, machine_id: int, key: str, justification: str, until: date) -> None:
        """Accept a failing check until the end of a day. Raises Invalid, NotFound (no such check), Conflict."""
        justification = " ".join(justification.split())
        if not JUSTIFICATION[0] <= len(justification) <= JUSTIFICATION[1]:
            raise Invalid(N_("Say in a sentence why this exception is accepted."), field="justification")
        expires_at = _end_of(until)
        machine = await self._machines.get(machine_id)
        state = next((state for state in await self._machines.checks(machine_id) if state.key == key), None)
        if state is None:
            raise NotFound(N_("This machine has no such check."))
        try:
            async with self._db.transaction() as conn:
                await drift_store.waive(
                    conn, machine_id, key, justification=justification, member_id=member.id, expires_at=expires_at
                )
                details = {"check": key, "justification": justification, "until": expires_at}
                await self._waiver_changed(conn, member, machine, "waived", state.label, details)
        except psycopg.errors.UniqueViolation:
            raise Conflict(N_("This check has a waiver already.")) from None

    async def withdraw(self, member: Member, machine_id: int, waiver_id: int) -> None:
        """End a waiver before its time. Raises NotFound when it holds no more."""
        machine = await self._machines.get(machine_id)
        async with self._db.transaction() as conn:
            key = await drift_store.withdraw(conn, machine_id, waiver_id)
            if key is None:
                raise NotFound(N_("This waiver holds no more."))
            await self._waiver_changed(conn, member, machine, "waiver_withdrawn", key, {"check": key})

    async def expire(self) -> None:
        """End the waivers whose day is over, and count again. Called every hour."""
        async with self._db.transaction() as conn:
            ended = await drift_store.withdraw_expired(conn)
            for machine_id, key in ended:
                await drift_store.count(conn, machine_id, checked=False)
                await store.add_event(conn, machine_id, "waiver_expired", subject=key)
                await events.publish(conn, f"machine:{machine_id}", "waiver_expired")
            for machine_id, key in ended:
                await _record(conn, machine_id, Actor.system(), "machine.waiver_expired", {"check": key})

    async def _waiver_changed(
        self, conn: Connection, member: Member, machine: Machine, verb: str, label: str, details: dict[str, object]
    ) -> None:
        await drift_store.count(conn, machine.id, checked=False)
        detail = str(details.get("justification", ""))
        await store.add_event(conn, machine.id, verb, member_id=member.id, subject=label, detail=detail)
        for topic in (f"machine:{machine.id}", f"client:{machine.client_id}", "machines:all"):
            await events.publish(conn, topic, verb)
        await _record(conn, machine.id, Actor.member(member.id), f"machine.{verb}", details)


async def _record(conn: Connection, machine_id: int, actor: Actor, action: str, details: dict[str, object]) -> None:
    await audit.record(conn, actor=actor, action=action, subject=f"machine:{machine_id}", details=details)


def _summary(changed: Sequence[NewCheckState]) -> dict[str, object]:
    return {state.key[:100]: state.outcome for state in changed[:40]}


def new_state(position: int, promise: str, label: str, procedure: str | None, result: CheckResult) -> NewCheckState:
    """A result as it is kept: everything the agent says brought into bounds."""
    check = result.check
    return NewCheckState(
        key=check_key(promise, check.resource, check.key),
        position=position,
        label=(label or f"{check.resource} {check.key}")[:300],
        procedure_code=procedure,
        outcome=str(result.outcome),
        observed=bounds.json(dict(result.observed), entries=24, limit=200),
        reason=bounds.text(result.reason, 500),
    )


def check_key(promise: str, resource: str, key: str) -> str:
    return f"{promise}/{resource}:{key}"[:300]


def _end_of(until: date) -> datetime:
    expires_at = datetime(until.year, until.month, until.day, 23, 59, 59, tzinfo=UTC)
    now = datetime.now(UTC)
    if expires_at <= now:
        raise Invalid(N_("A waiver ends on a day to come."), field="until")
    if expires_at > now + WAIVER_LONGEST + timedelta(days=1):
        raise Invalid(N_("A waiver holds for a year at most."), field="until")
    return expires_at
