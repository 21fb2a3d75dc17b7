"""Compare a machine with its declared environment, and accept exceptions for a time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

import psycopg

from compagnon import audit, events
from compagnon.audit import Actor
from compagnon.auth.model import Member
from compagnon.db import Connection
from compagnon.errors import Conflict, Invalid, NotFound
from compagnon.i18n import N_
from compagnon.kernel import Kernel
from compagnon_agent.protocol import messages
from compagnon_agent.protocol.duties import MAX_SCHEDULED, Schedule, schedule_digest
from remote.machines import bounds, drift_store, store
from remote.machines.model import WAIVER_LONGEST, CheckState, Machine, MachineState, NewCheckState
from remote.machines.service import Machines

if TYPE_CHECKING:
    from procedures.environments.model import EnvironmentVersion
    from procedures.environments.service import Environments

STANDARD_SECONDS = 5.0  # how long a version in force is taken for granted: ten thousand agents ask at once
EVENTS_AT_ONCE = 100  # of one report, in the machine's history
CHECK_TIMEOUT = 120.0  # seconds for all checks of an environment
JUSTIFICATION = (10, 1000)  # characters


@dataclass(frozen=True, slots=True, kw_only=True)
class Standard:
    """An environment's version in force, as a machine's agent is asked to check it."""

    version: EnvironmentVersion
    schedule: Schedule
    digest: str


class Checker(Protocol):
    """The way to the agents."""

    async def check_now(self, machine_id: int, schedule: Schedule, digest: str, timeout: float) -> None:
        """Have the agent evaluate the schedule now, and wait until its report is kept. Raises Unavailable."""
        ...


class Drift:
    """The failing checks of the environments that machines declare. ``minutes``: how often agents look."""

    def __init__(
        self, kernel: Kernel, machines: Machines, environments: Environments, checker: Checker, *, minutes: int
    ) -> None:
        self._db = kernel.db
        self._machines = machines
        self._environments = environments
        self._checker = checker
        self._period = minutes * 60
        self._standards: dict[str, tuple[float, Standard]] = {}

    async def check(self, machine_id: int, member: Member | None = None) -> list[CheckState]:
        """Have the agent look now and keep what it says.

        Raises Invalid without a declared environment, NotFound for an unpublished one, Unavailable when the machine
        is offline.
        """
        machine = await self._machines.get(machine_id)
        if machine.environment is None or machine.state is not MachineState.APPROVED:
            raise Invalid(N_("This machine declares no environment to compare it with."), field="environment")
        standard = await self.standard(machine.environment, age=0)
        await self._checker.check_now(machine_id, standard.schedule, standard.digest, CHECK_TIMEOUT)
        return await self._machines.checks(machine_id)

    async def standard(self, code: str, *, age: float = STANDARD_SECONDS) -> Standard:
        """The environment in force, at most ``age`` seconds ago. Raises NotFound."""
        read, known = self._standards.get(code, (0.0, None))
        now = time.monotonic()
        if known is not None and now - read < age:
            return known
        version = await self._environments.current(code)
        if known is None or known.version.version_id != version.version_id:
            known = _standard(version, self._period)
        self._standards[code] = (now, known)
        return known

    async def expected(self, machine: Machine) -> Standard | None:
        """What this machine's agent is to check; None when there is nothing."""
        if machine.environment is None:
            return None
        try:
            return await self.standard(machine.environment)
        except NotFound:
            return None

    async def report(self, conn: Connection, machine: Machine, report: messages.CheckReport, at: datetime) -> None:
        """Keep what an agent says of the standard in force (read before: see ``expected``); of another one, nothing."""
        now = await store.get(conn, machine.id)
        known = self._standards.get(now.environment or "") if now else None
        if now is None or known is None or known[1].digest != report.schedule:
            return
        version = known[1].version
        states = [_state(version, finding) for finding in report.findings if finding.index < len(version.checks)]
        if states:
            await self._keep(conn, now, version, states, at=at, every=report.full)

    async def nothing_new(self, machine: Machine, message: messages.Checked) -> None:
        """The agent looked, and all is as it was."""
        standard = await self.expected(machine)
        if standard is not None and standard.digest == message.schedule:
            async with self._db.connection() as conn:
                await drift_store.looked_at(conn, machine.id)

    async def _keep(
        self,
        conn: Connection,
        machine: Machine,
        version: EnvironmentVersion,
        states: Sequence[NewCheckState],
        *,
        at: datetime,
        every: bool,
    ) -> None:
        known = {state.key: state.outcome for state in await drift_store.states(conn, machine.id)}
        await drift_store.keep(conn, machine.id, version.code, version.version, states, at=at, every=every)
        await drift_store.count(conn, machine.id, checked=at)
        changed = [state for state in states if known.get(state.key) != state.outcome]
        for state in changed[:EVENTS_AT_ONCE]:
            if known or state.outcome == "fail":
                kind = f"check_{state.outcome}"
                await store.add_event(conn, machine.id, kind, subject=state.label, detail=state.reason)
        await events.publish(conn, f"machine:{machine.id}", "checked")
        if changed:
            await self._tell_changes(conn, machine, changed)

    async def _tell_changes(self, conn: Connection, machine: Machine, changed: Sequence[NewCheckState]) -> None:
        """An agent may be hostile: what exceeds its budget is kept, and only counted in the log."""
        await events.publish(conn, f"client:{machine.client_id}", "checked")
        await events.publish(conn, "machines:all", "checked")
        summary = _summary(changed)
        unsaid = self._machines.budget.spend(machine.id, "drift", str(summary))
        if unsaid is not None:
            details = {**summary, **({"not_written": unsaid} if unsaid else {})}
            await _record(conn, machine.id, Actor.agent(machine.id), "machine.drift_changed", details)

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
                await drift_store.count(conn, machine_id)
                await store.add_event(conn, machine_id, "waiver_expired", subject=key)
                await events.publish(conn, f"machine:{machine_id}", "waiver_expired")
            for machine_id, key in ended:
                await _record(conn, machine_id, Actor.system(), "machine.waiver_expired", {"check": key})

    async def _waiver_changed(
        self, conn: Connection, member: Member, machine: Machine, verb: str, label: str, details: dict[str, object]
    ) -> None:
        await drift_store.count(conn, machine.id)
        detail = str(details.get("justification", ""))
        await store.add_event(conn, machine.id, verb, member_id=member.id, subject=label, detail=detail)
        for topic in (f"machine:{machine.id}", f"client:{machine.client_id}", "machines:all"):
            await events.publish(conn, topic, verb)
        await _record(conn, machine.id, Actor.member(member.id), f"machine.{verb}", details)


async def _record(conn: Connection, machine_id: int, actor: Actor, action: str, details: dict[str, object]) -> None:
    await audit.record(conn, actor=actor, action=action, subject=f"machine:{machine_id}", details=details)


def _summary(changed: Sequence[NewCheckState]) -> dict[str, object]:
    return {state.key[:100]: state.outcome for state in changed[:40]}


def _standard(version: EnvironmentVersion, period: int) -> Standard:
    checks = tuple(item.check for item in version.checks)[:MAX_SCHEDULED]
    schedule = Schedule(environment=version.code, version=version.version, period=period, checks=checks)
    return Standard(version=version, schedule=schedule, digest=schedule_digest(schedule))


def _state(version: EnvironmentVersion, finding: messages.Finding) -> NewCheckState:
    """A result as it is kept: everything the agent says brought into bounds."""
    item = version.checks[finding.index]
    return NewCheckState(
        key=check_key(item.id, item.check.resource, item.check.key),
        position=finding.index,
        label=(item.label or f"{item.check.resource} {item.check.key}")[:300],
        procedure_code=item.procedure,
        outcome=str(finding.outcome),
        observed=bounds.json(dict(finding.observed), entries=24, limit=200),
        reason=bounds.text(finding.reason, 500),
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
