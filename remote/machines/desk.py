"""Everything a machine's page shows, gathered once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from compagnon.auth.model import Member
from compagnon.errors import NotFound
from compagnon.web.feature import Panel
from compagnon_agent.protocol.signing import fingerprint
from procedures.environments.model import EnvironmentName
from procedures.environments.service import Environments
from procedures.ports import TicketGate
from procedures.runs.model import WaitingRequest
from procedures.runs.service import Runs
from remote.control.link import AgentLink, PendingConsent
from remote.machines.drift import Drift
from remote.machines.facts import Facts
from remote.machines.load import Loads
from remote.machines.model import BrokenRecord, CheckState, Machine, MachineEvent, MachineState, Reported
from remote.machines.records import Records
from remote.machines.scheduler import CheckScheduler
from remote.sessions.model import Capability, Session
from remote.sessions.service import Sessions
from remote.waking.model import Prospect
from remote.waking.service import Waking

MachinePanel = Callable[[Member, int], Awaitable[Panel | None]]
OpenTickets = Callable[[Member, int], Awaitable[Sequence[tuple[int, str]]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cockpit:
    """``tickets`` are (number, title) of the client's open tickets on which the member may act."""

    machine: Machine
    facts: Facts
    reported: Reported
    checks: Sequence[CheckState]
    sessions: Sequence[Session]
    consents: Sequence[PendingConsent]
    waiting: Sequence[WaitingRequest]
    history: Sequence[MachineEvent]
    changes: Sequence[MachineEvent]
    panels: Sequence[Panel]
    tickets: Sequence[tuple[int, str]]
    online: bool
    fingerprint: str
    waking: Prospect
    broken_record: BrokenRecord | None

    @property
    def capabilities(self) -> list[Capability]:
        """What its agent can be asked for."""
        return [capability for capability in Capability if capability in self.machine.capabilities]

    @property
    def failing(self) -> list[CheckState]:
        return [state for state in self.checks if state.failing]

    @property
    def waived(self) -> list[CheckState]:
        return [state for state in self.checks if state.outcome == "fail" and state.waiver_id is not None]

    @property
    def unclear(self) -> list[CheckState]:
        return [state for state in self.checks if state.outcome in {"error", "unsupported"}]

    @property
    def passing(self) -> list[CheckState]:
        return [state for state in self.checks if state.outcome == "pass"]

    @property
    def live_sessions(self) -> list[Session]:
        return [session for session in self.sessions if session.live]


@dataclass(slots=True, kw_only=True)
class Desk:
    """``machine_panels`` and ``open_tickets`` are filled by the rooms above: what they show on a machine's page."""

    link: AgentLink
    drift: Drift
    sessions: Sessions
    environments: Environments
    runs: Runs
    scheduler: CheckScheduler
    gate: TicketGate
    loads: Loads
    waking: Waking
    records: Records
    machine_panels: list[MachinePanel] = field(default_factory=list)
    open_tickets: OpenTickets | None = None

    async def cockpit(self, member: Member, machine_id: int) -> Cockpit:
        """Raises NotFound."""
        machine = await self.link.machines.get(machine_id)
        facts, reported = await self.link.machines.reported(machine_id)
        panels = [await panel(member, machine_id) for panel in self.machine_panels]
        return Cockpit(
            machine=machine,
            facts=facts,
            reported=reported,
            checks=await self.link.machines.checks(machine_id),
            sessions=await self.sessions.for_machine(machine_id, 10),
            consents=self.link.consents(machine_id),
            waiting=await self.runs.waiting_for_machine(machine_id),
            history=await self.link.machines.history(machine_id, 30),
            changes=await self.link.machines.changes(machine_id),
            panels=sorted((panel for panel in panels if panel), key=lambda panel: panel.order),
            tickets=await self.tickets_of(member, machine),
            online=machine.online or self.link.online(machine_id),
            fingerprint=fingerprint(machine.public_key),
            waking=await self.waking.prospect(machine),
            broken_record=await self.records.broken(machine_id),
        )

    async def tickets_of(self, member: Member, machine: Machine) -> Sequence[tuple[int, str]]:
        if self.open_tickets is None or machine.state is not MachineState.APPROVED:
            return ()
        return await self.open_tickets(member, machine.client_id)

    async def environment_names(self, locale: str) -> Sequence[EnvironmentName]:
        return await self.environments.list(locale)

    async def known_environment(self, code: str) -> str | None:
        """The code when it is published; None for no code. Raises NotFound."""
        if not code:
            return None
        return (await self.environments.current(code)).code

    async def environment_title(self, machine: Machine, locale: str) -> str:
        """``poste-debian-12@3: …``, or the bare code when it is not published (any more)."""
        if machine.environment is None:
            return ""
        try:
            version = await self.environments.current(machine.environment, locale)
        except NotFound:
            return machine.environment
        return f"{version.title} ({version.label})"
