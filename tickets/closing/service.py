"""Closing: look at the result on the machine, end what is open, keep the word about the procedure."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime

from compagnon.auth.model import Member
from compagnon.db import Connection
from compagnon.errors import AppError, Conflict, Forbidden, Invalid, NotFound
from compagnon.i18n import N_
from compagnon.jobs import Jobs
from compagnon.kernel import Kernel
from procedures.library.service import Library
from procedures.runs.model import Run
from procedures.runs.service import Runs
from remote.sessions.service import Sessions
from tickets.closing import store
from tickets.closing.model import (
    JUSTIFICATION_LIMIT,
    JUSTIFICATION_MINIMUM,
    REMARK_LIMIT,
    REMARK_MINIMUM,
    RESOLUTION_LIMIT,
    CloseRequest,
    Closing,
    Verdict,
    Verification,
    needs_justification,
    to_verify,
)
from tickets.desk import bounds
from tickets.desk import store as desk_store
from tickets.desk.model import State, Ticket, may_close
from tickets.desk.service import CLOSED, GONE, MOVED, Desk, announce
from tickets.escalation.service import Escalations

log = logging.getLogger(__name__)
END_SESSIONS_TASK = "tickets.end_sessions"
NOT_YOURS = N_("Only the owner and the collaborators of a ticket can close it. Take it, or ask to join.")
RUN_ACTIVE = N_("“{title}” is still being followed. Finish that run or give it up, then close the ticket.")
AGENT_AT_WORK = N_(
    "The agent is still at work for “{title}”. Wait for its answer, or stop waiting, then close the ticket."
)
PROPOSED_BY = N_("Only the owner and the collaborators of a ticket can propose the change it asks for.")
NOT_VERIFIED = N_("The result does not hold on the machine, or could not be looked at: say why you close all the same.")
SAY_WHAT = N_("Please say what is wrong or missing: it becomes a proposed change.")
WHICH_RUN = N_("Please choose the run whose procedure you mean.")


class NeedsJustification(Invalid):
    """The agent's word is against closing; the page shows it and asks why."""


class Closer:
    def __init__(
        self,
        kernel: Kernel,
        desk: Desk,
        *,
        runs: Runs,
        sessions: Sessions,
        library: Library,
        escalations: Escalations,
    ) -> None:
        self._db = kernel.db
        self._jobs = kernel.jobs
        self._desk = desk
        self._runs = runs
        self._sessions = sessions
        self._library = library
        self._escalations = escalations

    def register(self, jobs: Jobs) -> None:
        jobs.task(END_SESSIONS_TASK)(self.end_sessions)

    # reading

    async def verifications(self, ticket_id: int) -> list[Verification]:
        async with self._db.connection() as conn:
            return await store.latest_verifications(conn, ticket_id)

    async def closing(self, ticket_id: int) -> Closing | None:
        async with self._db.connection() as conn:
            return await store.get(conn, ticket_id)

    # verifying

    async def verify(self, ticket_id: int, member: Member) -> list[Verification]:
        """Ask the agent whether the result of each completed run holds now; keep and return what it said.

        A machine that does not answer is kept as ``unavailable``. Takes as long as the agent does.
        """
        await self._check_may_act(await self._desk.get(ticket_id), member)
        for run in _completed(await self._runs.for_ticket(ticket_id)):
            await self._verify(ticket_id, run, member)
        return await self.verifications(ticket_id)

    async def _verify(self, ticket_id: int, run: Run, member: Member) -> None:
        result = await self._runs.verify_result(run.id, member)
        async with self._db.transaction() as conn:
            await store.add_verification(conn, ticket_id, run.id, member.id, result.state.value, result.checks)
            details = {"run": run.id, "state": result.state.value}
            await announce(conn, ticket_id, member.id, "ticket.result_verified", details)

    # closing

    async def close(self, ticket_id: int, member: Member, asked: CloseRequest) -> int | None:
        """Close the ticket; the id of the draft that proposes a change, when the verdict asks for one.

        Raises NeedsJustification (the result does not hold), Invalid, Conflict (changed meanwhile, a run is active),
        Forbidden (neither owner nor collaborator).
        """
        _check(asked)
        ticket = await self._desk.get(ticket_id)
        await self._check_may_act(ticket, member)
        if not may_close(ticket.state):
            raise Conflict(CLOSED, id=ticket_id)
        runs = await self._runs.for_ticket(ticket_id)
        _check_runs(runs, asked)
        await self._look(ticket_id, runs, member, asked)
        async with self._db.transaction() as conn:
            await self._close(conn, ticket, member, asked)
        await self._end_sessions_now(ticket_id)
        return await self.propose(ticket_id, member) if asked.verdict.proposes_change else None

    async def _look(self, ticket_id: int, runs: Sequence[Run], member: Member, asked: CloseRequest) -> None:
        now = datetime.now(UTC)
        completed = {run.id: run for run in _completed(runs)}
        for run_id in to_verify(list(completed), await self.verifications(ticket_id), now):
            await self._verify(ticket_id, completed[run_id], member)
        known = [item for item in await self.verifications(ticket_id) if item.run_id in completed]
        if needs_justification(known) and len(asked.justification.strip()) < JUSTIFICATION_MINIMUM:
            raise NeedsJustification(NOT_VERIFIED, field="justification")

    async def _close(self, conn: Connection, seen: Ticket, member: Member, asked: CloseRequest) -> None:
        ticket = await desk_store.lock(conn, seen.id)
        if ticket is None:
            raise NotFound(GONE, id=seen.id)
        if ticket.revision != asked.revision or ticket.state is State.CLOSED:
            raise Conflict(MOVED, name=ticket.owner_name or ticket.opened_by_name)
        await self._check_settled(conn, ticket, asked)
        if not await desk_store.move(conn, ticket, new=State.CLOSED, owner_id=ticket.owner_id):
            raise Conflict(MOVED, name=ticket.owner_name or ticket.opened_by_name)
        await desk_store.enter_state(conn, ticket.id, State.CLOSED, member.id, "")
        await store.insert(conn, _closing_values(ticket.id, member, asked))
        if asked.minutes:
            time = {"ticket_id": ticket.id, "member_id": member.id, "minutes": asked.minutes, "note": ""}
            await desk_store.add_time(conn, {**time, "request_key": None})
        await self._escalations.cancel_all(conn, ticket.id)
        # Should this process die before it ends the sessions itself, the job does.
        await self._jobs.defer(conn, END_SESSIONS_TASK, ticket_id=ticket.id)
        details = {"verdict": asked.verdict.value, "run": asked.run_id, "justification": asked.justification}
        await announce(conn, ticket.id, member.id, "ticket.closed", details)

    async def _check_settled(self, conn: Connection, ticket: Ticket, asked: CloseRequest) -> None:
        """Under the ticket's lock: no run was started, and no agent was asked, since these were looked at."""
        runs = await self._runs.for_ticket(ticket.id, conn=conn)
        _check_runs(runs, asked)
        busy = await self._runs.unsettled(conn, ticket.id)
        if busy is not None:
            raise Conflict(RUN_ACTIVE if busy.active else AGENT_AT_WORK, title=busy.title)
        completed = [run.id for run in _completed(runs)]
        if to_verify(completed, await store.latest_verifications(conn, ticket.id), datetime.now(UTC)):
            raise Conflict(MOVED, name=ticket.owner_name or ticket.opened_by_name)

    async def end_sessions(self, *, ticket_id: int) -> None:
        """The background job: no session outlives its ticket."""
        await self._sessions.end_for_ticket(ticket_id)

    async def _end_sessions_now(self, ticket_id: int) -> None:
        try:
            await self._sessions.end_for_ticket(ticket_id)
        except AppError:
            log.warning("the sessions of ticket %s could not be ended at once; the job tries again", ticket_id)

    # the word about the procedure

    async def propose(self, ticket_id: int, member: Member) -> int:
        """Turn the verdict into a proposed change with the ticket as evidence; made once, then only returned.

        Raises Conflict (the verdict asks for none), Forbidden (neither owner nor collaborator; everybody may ask for
        one that is made).
        """
        async with self._db.transaction() as conn:
            closing = await store.lock(conn, ticket_id)
            if closing is None or not closing.verdict.proposes_change:
                raise Conflict(N_("This ticket asks for no change."))
            if closing.draft_id is not None:
                return closing.draft_id
            if not await desk_store.may_act(conn, ticket_id, member.id):
                raise Forbidden(PROPOSED_BY)
            return await self._propose(conn, closing, member)

    async def _propose(self, conn: Connection, closing: Closing, member: Member) -> int:
        code, locale, evidence = await self._evidence(conn, closing)
        draft_id = await self._library.propose_change(
            procedure_code=code,
            locale=locale,
            member=member,
            reason=closing.remark,
            evidence=evidence,
            conn=conn,
        )
        if not await store.set_draft(conn, closing.id, draft_id):
            raise Conflict(N_("This change was proposed already."))
        await announce(conn, closing.ticket_id, member.id, "ticket.change_proposed", {"draft": draft_id})
        return draft_id

    async def _evidence(self, conn: Connection, closing: Closing) -> tuple[str | None, str, dict[str, object]]:
        ticket = await desk_store.get(conn, closing.ticket_id)
        assert ticket is not None, "a foreign key"
        evidence: dict[str, object] = {
            "ticket": ticket.id,
            "title": ticket.title,
            "resolution": closing.resolution[:500],
        }
        runs = {run.id: run for run in await self._runs.for_ticket(ticket.id, conn=conn)}
        run = runs.get(closing.run_id or 0)
        if run is None or closing.verdict is Verdict.MISSING:
            return None, "fr", evidence
        return run.code, run.locale, {**evidence, "run": run.id, "version": run.number}

    async def _check_may_act(self, ticket: Ticket, member: Member) -> None:
        if not await self._desk.may_act(ticket.id, member.id):
            raise Forbidden(NOT_YOURS)


def _completed(runs: Sequence[Run]) -> list[Run]:
    return [run for run in runs if run.state == "completed"]


def _check(asked: CloseRequest) -> None:
    bounds.check_text(asked.resolution, RESOLUTION_LIMIT, "resolution")
    bounds.check_text(asked.justification, JUSTIFICATION_LIMIT, "justification", required=False)
    bounds.check_text(asked.remark, REMARK_LIMIT, "remark", required=False)
    if asked.minutes is not None:
        bounds.check_minutes(asked.minutes)
    if asked.verdict.proposes_change and len(asked.remark.strip()) < REMARK_MINIMUM:
        raise Invalid(SAY_WHAT, field="remark")


def _check_runs(runs: Sequence[Run], asked: CloseRequest) -> None:
    for run in runs:
        if run.active:
            raise Conflict(RUN_ACTIVE, title=run.title)
    if asked.run_id is not None and asked.run_id not in {run.id for run in runs}:
        raise Invalid(WHICH_RUN, field="run_id")
    if asked.verdict in {Verdict.WRONG, Verdict.CORRECT} and asked.run_id is None:
        raise Invalid(WHICH_RUN, field="run_id")


def _closing_values(ticket_id: int, member: Member, asked: CloseRequest) -> dict[str, object]:
    return {
        "ticket_id": ticket_id,
        "member_id": member.id,
        "resolution": asked.resolution,
        "justification": asked.justification,
        "verdict": asked.verdict.value,
        "remark": asked.remark,
        "run_id": asked.run_id,
    }
