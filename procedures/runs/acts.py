"""What members do with a run by themselves: start it, attest a step, note, hand over, give up."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from compagnon import audit, events
from compagnon.audit import Actor
from compagnon.auth.model import Member
from compagnon.db import Connection
from compagnon.errors import Conflict, Forbidden, Invalid
from compagnon.i18n import N_
from compagnon.kept_files import KeptFiles, picture_type
from compagnon.kernel import Kernel
from compagnon_agent.protocol.parameters import ParameterError, validate_all
from procedures.format.model import Evidence as Wanted
from procedures.library import store as library_store
from procedures.library.model import Version, VersionState
from procedures.library.service import Library
from procedures.ports import MachineGateway, MachineRef, Phase, RunObserver, TicketGate
from procedures.runs import store, waiting_store
from procedures.runs.asking import check_idle
from procedures.runs.board import RunBoard, RunView, found, plan_for, reference, view
from procedures.runs.model import (
    JUSTIFICATION,
    NOTE_LIMIT,
    PICTURE_LIMIT,
    EvidenceKind,
    Outcome,
    Run,
    RunState,
    Visit,
    is_deviation,
    time_spent,
)
from procedures.runs.plan import Plan, read_plan

log = logging.getLogger(__name__)
EVIDENCE_LIMIT = 500  # notes and pictures of one run
ACTED_MEANWHILE = N_("Somebody else acted on this run in the meantime. Here is where it is now.")
OVER = N_("This run is over.")
MISSING = {
    Wanted.NOTE: N_("This step asks for a note: write what you found first."),
    Wanted.OUTPUT: N_("This step asks for its output: paste it first."),
    Wanted.PICTURE: N_("This step asks for a picture: add it first."),
}


class Ended:
    """What observers are told after the commit."""

    def __init__(self, run: Run, ended: tuple[str, Outcome] | None, started: str | None) -> None:
        self.run, self.ended, self.started = run, ended, started


class Acts(RunBoard):
    def __init__(
        self,
        kernel: Kernel,
        library: Library,
        gateway: MachineGateway,
        gate: TicketGate,
        observers: Sequence[RunObserver],
    ) -> None:
        super().__init__(kernel.db)
        self._members = kernel.members
        self._library = library
        self._gateway = gateway
        self._gate = gate
        self._observers = tuple(observers)
        self._pictures = KeptFiles(kernel.settings.data_dir / "evidence")

    # starting

    async def start(
        self,
        procedure_code: str,
        locale: str,
        machine_id: int | None,
        ticket_id: int | None,
        member: Member,
        parameters: Mapping[str, str],
        *,
        parent: tuple[int, str] | None = None,
    ) -> Run:
        """Begin a run of the version in force. ``parameters`` are raw text by name; ``parent`` is (run id, step id).

        Without a ticket nothing is asked of an agent: every step is attested. Raises NotFound, Conflict (closed
        ticket), Forbidden (not the ticket's owner or collaborator), Invalid (parameter at fault in ``field``; a parent
        that is not a step of a run of the same ticket).
        """
        version = await self._library.published(procedure_code, locale)
        plan = plan_of_version(version)
        values = checked_parameters(plan, parameters)
        machine = await self._gateway.reference(machine_id) if machine_id is not None else None
        async with self._db.transaction() as conn:
            await self._check_place(conn, machine, ticket_id, member)
            await self._check_parent(conn, parent, ticket_id)
            await self._check_in_force(conn, version)
            run_id = await store.start(
                conn,
                version_id=version.id,
                machine=machine,
                ticket_id=ticket_id,
                parent_id=parent[0] if parent else None,
                parent_step=parent[1] if parent else None,
                member_id=member.id,
                parameters=values,
                step=plan.steps[0].id,
            )
            run = found(await store.get(conn, run_id))
            if machine_id is not None:
                await events.publish(conn, f"machine:{machine_id}", "run_started", {"run": run_id})
            await note(conn, run, Actor.member(member.id), "run.started", version=version.number, digest=version.digest)
        await self._tell(Ended(run, None, plan.steps[0].id))
        return run

    async def _check_place(
        self, conn: Connection, machine: MachineRef | None, ticket_id: int | None, member: Member
    ) -> None:
        """From here to the end of the transaction the ticket stays open."""
        ticket = await self._gate.require_open(ticket_id, conn=conn) if ticket_id is not None else None
        if ticket and not await self._gate.may_act(ticket.id, member.id, conn=conn):
            raise Forbidden(N_("Only the ticket's owner or a collaborator may start a run for it."))
        if ticket and machine and ticket.client_id != machine.client_id:
            raise Invalid(N_("This machine belongs to another client than the ticket."), field="machine")

    async def _check_parent(self, conn: Connection, parent: tuple[int, str] | None, ticket_id: int | None) -> None:
        if parent is None:
            return
        run = await store.get(conn, parent[0])
        if run is None or run.ticket_id != ticket_id or (await plan_for(conn, run)).manifest.step(parent[1]) is None:
            raise Invalid(N_("The step that led here belongs to no run of this ticket."), field="from")

    async def _check_in_force(self, conn: Connection, version: Version) -> None:
        current = await library_store.get(conn, version.id)
        if current is None or current.state != VersionState.PUBLISHED:
            raise Conflict(N_("A new version was published at this moment: please look at it first."))

    # acting

    async def attest(
        self, run_id: int, member: Member, *, revision: int, outcome: Outcome, justification: str = ""
    ) -> Run:
        """End the current step with an outcome that a person vouches for, and go on.

        ``revision`` is that of the page on which it was decided: of two members who act at once the second gets
        Conflict. Raises Invalid: a justification or evidence is missing, or nothing says it was already true.
        """
        async with self._db.transaction() as conn:
            run = await self._lock(conn, run_id, member, revision)
            seen = await view(conn, run)
            visit, justification = _current(seen), _clean(justification, JUSTIFICATION[1], "justification")
            check_idle(seen)
            contradicted = _contradicted(seen, visit)
            _check_outcome(seen, visit, outcome, justification, contradicted)
            verified = self._machine_says(seen, visit, outcome)
            ended = await self._complete(
                conn,
                seen,
                visit,
                outcome,
                actor=Actor.member(member.id),
                deviation=is_deviation(seen.plan.rule(visit.step_id), outcome, contradicted=contradicted),
                justification=justification,
                attested_by=member.id,
                verified_by=verified,
            )
        await self._tell(ended)
        return ended.run

    def _machine_says(self, seen: RunView, visit: Visit, outcome: Outcome) -> int | None:
        phases = {Outcome.ALREADY_TRUE: (Phase.CHECK,), Outcome.DONE: (Phase.VERIFY, Phase.EXECUTE)}.get(outcome)
        last = seen.last_attempt(visit, *phases) if phases else None
        return seen.run.machine_id if last and last.passed else None

    async def _complete(
        self,
        conn: Connection,
        seen: RunView,
        visit: Visit,
        outcome: Outcome,
        *,
        actor: Actor,
        deviation: bool = False,
        justification: str = "",
        attested_by: int | None = None,
        verified_by: int | None = None,
    ) -> Ended:
        run = seen.run
        kept = await store.end_visit(
            conn,
            visit.id,
            outcome,
            deviation=deviation,
            justification=justification,
            attested_by=attested_by,
            verified_by=verified_by,
            seconds=time_spent(run.touched_at, datetime.now(UTC)),
        )
        past = [(v.step_id, Outcome(v.outcome)) for v in seen.visits if v.outcome is not None]
        following = seen.plan.position([*past, (visit.step_id, outcome)])
        state = RunState.ACTIVE if following.step else RunState.COMPLETED
        if not kept or not await store.move(conn, run, step=following.step, state=state):
            raise Conflict(ACTED_MEANWHILE)
        now = found(await store.get(conn, run.id))
        details = {"step": visit.step_id, "outcome": outcome, "deviation": deviation, "next": following.step}
        await note(conn, now, actor, "run.step_ended", **details)
        if state is RunState.COMPLETED:
            await note(conn, now, actor, "run.completed")
        return Ended(now, (visit.step_id, outcome), following.step)

    async def hand_over(self, run_id: int, member: Member, *, revision: int, to_id: int) -> Run:
        """Pass the run to another active member."""
        other = await self._members.get(to_id)
        if not other.active or other.id == member.id:
            raise Invalid(N_("Please choose another member."), field="to")
        async with self._db.transaction() as conn:
            run = await self._lock(conn, run_id, member, revision)
            await store.touch_time(conn, run, time_spent(run.touched_at, datetime.now(UTC)))
            if not await store.hand_over(conn, run, other.id):
                raise Conflict(ACTED_MEANWHILE)
            await waiting_store.give_up_all(conn, run_id, "handed_over")
            run = found(await store.get(conn, run_id))
            await events.publish(conn, f"member:{other.id}", "run_handed_over", {"run": run_id})
            await note(conn, run, Actor.member(member.id), "run.handed_over", to=other.id)
        return run

    async def abandon(self, run_id: int, member: Member, *, revision: int, reason: str) -> Run:
        """Give the run up, with a reason."""
        reason = _clean(reason, JUSTIFICATION[1], "reason")
        if len(reason) < JUSTIFICATION[0]:
            raise Invalid(N_("Please say why."), field="reason")
        async with self._db.transaction() as conn:
            run = await self._lock(conn, run_id, member, revision)
            await store.touch_time(conn, run, time_spent(run.touched_at, datetime.now(UTC)))
            if not await store.move(conn, run, step=run.current_step, state=RunState.ABANDONED, reason=reason):
                raise Conflict(ACTED_MEANWHILE)
            waited_for = await store.abandon_attempts(conn, run_id)
            run = found(await store.get(conn, run_id))
            await note(conn, run, Actor.member(member.id), "run.abandoned", reason=reason[:500])
        await self._cancel(waited_for)
        return run

    async def _cancel(self, attempts: Sequence[tuple[str, int]]) -> None:
        """Tell agents that nobody waits for these (id, machine) any more; one that cannot be told reports in vain."""
        for attempt_id, machine_id in attempts:
            try:
                await self._gateway.cancel_step(machine_id, attempt_id)
            except Exception:
                log.warning("the request %s could not be cancelled at its machine", attempt_id, exc_info=True)

    # evidence

    async def add_note(self, run_id: int, member: Member, body: str, *, kind: EvidenceKind = EvidenceKind.NOTE) -> int:
        """Keep a note, or pasted output, with the current step (with the whole run when it is over)."""
        body = _clean(body, NOTE_LIMIT, "body")
        if not body:
            raise Invalid(N_("Please fill this in."), field="body")
        return await self._add_evidence(run_id, member, kind, body=body)

    async def add_picture(self, run_id: int, member: Member, data: bytes, *, caption: str = "") -> int:
        """Keep a PNG, JPEG or WebP picture of at most 5 MiB with the current step; judged by its own bytes."""
        caption = _clean(caption, 300, "caption")
        media_type = picture_type(data)
        if len(data) > PICTURE_LIMIT:
            raise Invalid(N_("A picture has {limit} MB at most."), field="picture", limit=PICTURE_LIMIT // 2**20)
        if media_type is None:
            raise Invalid(N_("Only PNG, JPEG and WebP pictures can be kept."), field="picture")
        async with self._db.connection() as conn:  # before megabytes are written for somebody who may not
            await self._check_may_act(conn, found(await store.get(conn, run_id)), member)
        digest = await self._pictures.keep(data)
        details = {"sha256": digest, "media_type": media_type, "size": len(data)}
        return await self._add_evidence(run_id, member, EvidenceKind.PICTURE, body=caption, **details)

    async def _add_evidence(
        self,
        run_id: int,
        member: Member,
        kind: EvidenceKind,
        *,
        body: str,
        **picture: Any,  # noqa: ANN401
    ) -> int:
        async with self._db.transaction() as conn:
            run = found(await store.lock(conn, run_id))
            await self._check_may_act(conn, run, member)
            if await store.count_evidence(conn, run_id) >= EVIDENCE_LIMIT:
                raise Invalid(N_("This run holds as many notes and pictures as it can."))
            visit = next((visit for visit in await store.visits(conn, run_id) if visit.outcome is None), None)
            visit_id = visit.id if visit else None
            evidence_id = await store.add_evidence(conn, run_id, visit_id, member.id, kind, body=body, **picture)
            await note(conn, run, Actor.member(member.id), "run.evidence_added", evidence=evidence_id, kind=kind)
        return evidence_id

    async def picture(self, run_id: int, evidence_id: int) -> tuple[bytes, str]:
        """A picture's bytes and media type. Raises NotFound."""
        item = await self.evidence(run_id, evidence_id)
        return await self._pictures.read(item.sha256 or ""), item.media_type or ""

    # who may, and when

    async def may_act(self, run: Run, member: Member, *, conn: Connection | None = None) -> bool:
        """Whoever holds the run, and the ticket's owner and collaborators. ``conn``: read in this transaction."""
        if member.id == run.member_id:
            return True
        return run.ticket_id is not None and await self._gate.may_act(run.ticket_id, member.id, conn=conn)

    async def _check_may_act(self, conn: Connection, run: Run, member: Member) -> None:
        if not await self.may_act(run, member, conn=conn):
            raise Forbidden(
                N_("Only {name}, who holds this run, and the ticket's collaborators may act on it."),
                name=run.member_name,
            )

    async def _lock(self, conn: Connection, run_id: int, member: Member, revision: int) -> Run:
        run = found(await store.lock(conn, run_id))
        await self._check_may_act(conn, run, member)
        if run.revision != revision:
            raise Conflict(ACTED_MEANWHILE)
        if not run.active:
            raise Conflict(OVER)
        return run

    async def _tell(self, change: Ended) -> None:
        """Observers are told after the commit; their trouble is theirs."""
        for observer in self._observers:
            try:
                if change.ended:
                    await observer.step_ended(reference(change.run), change.ended[0], str(change.ended[1]))
                if change.started:
                    await observer.step_started(reference(change.run), change.started)
            except Exception:
                log.exception("an observer of run %s failed", change.run.id)


def plan_of_version(version: Version) -> Plan:
    """The plan of a version that can be run. Raises Invalid for an environment, or a text without steps."""
    plan = read_plan(version.text, version.number or 1)
    if version.kind == "environment" or not plan.steps:
        raise Invalid(N_("There are no steps to follow here."))
    return plan


def checked_parameters(plan: Plan, raw: Mapping[str, str]) -> dict[str, str]:
    """Canonical values. Raises Invalid with ``field`` ``parameter-<name>``."""
    try:
        return validate_all(plan.procedure.parameters, raw)
    except ParameterError as error:
        raise Invalid(error.reason, field=f"parameter-{error.name}", **error.params) from None


def _current(seen: RunView) -> Visit:
    if seen.current is None:
        raise Conflict(OVER)
    return seen.current


def _contradicted(seen: RunView, visit: Visit) -> bool:
    last = seen.last_attempt(visit, Phase.VERIFY, Phase.EXECUTE)
    return last is not None and last.contradicts


def _check_outcome(seen: RunView, visit: Visit, outcome: Outcome, justification: str, contradicted: bool) -> None:
    enough = len(justification) >= JUSTIFICATION[0]
    if outcome is Outcome.SKIPPED and not enough:
        raise Invalid(N_("Please say why this step is skipped."), field="justification")
    if outcome is Outcome.DONE and contradicted and not enough:
        raise Invalid(N_("The agent found otherwise. Say why the step counts as done."), field="justification")
    if outcome is Outcome.DONE and seen.missing_evidence is not Wanted.NONE:
        raise Invalid(MISSING[seen.missing_evidence], field=str(seen.missing_evidence))
    if outcome is Outcome.ALREADY_TRUE:
        last = seen.last_attempt(visit, Phase.CHECK)
        if last is None or not last.passed:
            raise Invalid(N_("The agent has not found this to be true already."))


def _clean(text: str, limit: int, field: str) -> str:
    text = text.replace("\r\n", "\n").replace("\x00", "").strip()
    if len(text) > limit:
        raise Invalid(N_("This is too long: {limit} characters at most."), field=field, limit=limit)
    return text


async def note(conn: Connection, run: Run, actor: Actor, action: str, **details: object) -> None:
    """Tell those who watch, and write the audit record: last in its transaction."""
    await events.publish(conn, f"run:{run.id}", "changed", {"run": run.id})
    if run.ticket_id is not None:
        await events.publish(conn, f"ticket:{run.ticket_id}", "run", {"run": run.id})
    subject = f"run:{run.id}"
    more = {"procedure": run.code, "ticket": run.ticket_id, "machine": run.machine_id, **details}
    await audit.record(conn, actor=actor, action=action, subject=subject, details=more)
