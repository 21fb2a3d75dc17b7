"""Reading runs: a run with everything about it, and lists of runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from compagnon.auth.model import Member
from compagnon.db import Connection, Database
from compagnon.errors import NotFound
from compagnon.i18n import N_
from compagnon_agent.protocol.manifest import ManifestStep
from procedures.format.model import Evidence as Wanted
from procedures.format.model import Step
from procedures.library import store as library_store
from procedures.ports import Phase, RunRef
from procedures.runs import store
from procedures.runs.model import Attempt, Evidence, EvidenceKind, Handover, Outcome, Position, Run, Visit
from procedures.runs.plan import Plan, read_plan


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    """A run at one moment. ``current`` is the open visit, None when the run is over."""

    run: Run
    plan: Plan
    position: Position
    visits: Sequence[Visit]
    attempts: Sequence[Attempt]
    evidence: Sequence[Evidence]
    handovers: Sequence[Handover]
    children: Sequence[Run]

    @property
    def current(self) -> Visit | None:
        return next((visit for visit in self.visits if visit.outcome is None and self.run.active), None)

    @property
    def step(self) -> Step | None:
        return self.plan.step(self.current.step_id) if self.current else None

    @property
    def asked(self) -> ManifestStep | None:
        """The current step with its parameters filled in."""
        return self.plan.filled(self.current.step_id, self.run.parameters) if self.current else None

    @property
    def seconds(self) -> int:
        return sum(visit.seconds for visit in self.visits)

    @property
    def deviations(self) -> Sequence[Visit]:
        return [visit for visit in self.visits if visit.deviation]

    def last_visit(self, step_id: str) -> Visit | None:
        return next((visit for visit in reversed(self.visits) if visit.step_id == step_id), None)

    def attempts_at(self, visit: Visit, phase: Phase | None = None) -> list[Attempt]:
        return [
            attempt
            for attempt in self.attempts
            if attempt.run_step_id == visit.id and (phase is None or attempt.phase == phase)
        ]

    def last_attempt(self, visit: Visit, *phases: Phase) -> Attempt | None:
        """The newest attempt of these phases (any, when none is named) at a visit."""
        found = [attempt for attempt in self.attempts_at(visit) if not phases or attempt.phase in phases]
        return found[-1] if found else None

    def evidence_at(self, visit: Visit) -> list[Evidence]:
        return [item for item in self.evidence if item.run_step_id == visit.id]

    @property
    def waiting(self) -> Attempt | None:
        """The attempt at a step that the agent is at, or should be."""
        return next((attempt for attempt in self.attempts if attempt.waiting and not attempt.of_result), None)

    @property
    def queued(self) -> Attempt | None:
        """The request that waits for the machine to come back."""
        return next((attempt for attempt in self.attempts if attempt.queued), None)

    @property
    def missing_evidence(self) -> Wanted:
        """What the current step wants as evidence and has not yet got."""
        visit, step = self.current, self.step
        if visit is None or step is None or step.evidence is Wanted.NONE:
            return Wanted.NONE
        if step.evidence is Wanted.OUTPUT and any(attempt.output for attempt in self.attempts_at(visit)):
            return Wanted.NONE
        given = {item.kind for item in self.evidence_at(visit)}
        return Wanted.NONE if EvidenceKind(step.evidence) in given else step.evidence


class RunBoard:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def get(self, run_id: int) -> Run:
        """Raises NotFound."""
        async with self._db.connection() as conn:
            return found(await store.get(conn, run_id))

    async def show(self, run_id: int) -> RunView:
        """A run with everything about it, read in one snapshot. Raises NotFound."""
        async with self._db.transaction() as conn:
            return await view(conn, found(await store.get(conn, run_id)))

    async def for_ticket(self, ticket_id: int, *, conn: Connection | None = None) -> Sequence[Run]:
        """The runs of a ticket, oldest first; ``conn``: read in the caller's transaction."""
        async with self._db.using(conn) as used:
            return await store.of_ticket(used, ticket_id)

    async def unsettled(self, conn: Connection, ticket_id: int) -> Run | None:
        """A run that keeps its ticket from being closed: it is active, or an agent is at work for it."""
        return await store.unsettled(conn, ticket_id)

    async def time_for_ticket(self, ticket_id: int) -> int:
        """Seconds spent in all runs of a ticket."""
        async with self._db.connection() as conn:
            return await store.seconds_of_ticket(conn, ticket_id)

    async def for_machine(self, machine_id: int, limit: int = 20) -> Sequence[Run]:
        """The runs on a machine, newest first."""
        async with self._db.connection() as conn:
            return await store.of_machine(conn, machine_id, limit)

    async def active_for(self, member: Member) -> Sequence[Run]:
        """What this member holds and has not finished, last touched first."""
        async with self._db.connection() as conn:
            return await store.active_of(conn, member.id)

    async def recent(self) -> tuple[Sequence[Run], Sequence[Run]]:
        """All that is under way, and the last that ended."""
        async with self._db.connection() as conn:
            return await store.active(conn), await store.ended(conn)

    async def evidence(self, run_id: int, evidence_id: int) -> Evidence:
        async with self._db.connection() as conn:
            item = await store.one_evidence(conn, run_id, evidence_id)
        if item is None:
            raise NotFound(N_("There is no such picture."))
        return item


def found(run: Run | None) -> Run:
    if run is None:
        raise NotFound(N_("There is no such run."))
    return run


async def plan_for(conn: Connection, run: Run) -> Plan:
    version = await library_store.get(conn, run.version_id)
    assert version is not None  # a foreign key
    return read_plan(version.text, run.number)


async def view(conn: Connection, run: Run) -> RunView:
    plan = await plan_for(conn, run)
    visits = await store.visits(conn, run.id)
    return RunView(
        run=run,
        plan=plan,
        position=plan.position(history(visits)),
        visits=visits,
        attempts=await store.attempts(conn, run.id),
        evidence=await store.evidence(conn, run.id),
        handovers=await store.handovers(conn, run.id),
        children=await store.of_parent(conn, run.id),
    )


def history(visits: Sequence[Visit]) -> list[tuple[str, Outcome]]:
    return [(visit.step_id, Outcome(visit.outcome)) for visit in visits if visit.outcome is not None]


def reference(run: Run) -> RunRef:
    return RunRef(
        id=run.id,
        procedure=run.code,
        version=run.number,
        machine_id=run.machine_id,
        ticket_id=run.ticket_id,
        member_id=run.member_id,
    )
