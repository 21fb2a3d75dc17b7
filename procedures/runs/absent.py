"""Requests for a machine that is away: they wait for it, are looked at again when it is back, and end by themselves.

A request that waits is ``queued`` until its machine connects, it expires, or nothing stands for it any more: its step
is over, its run ended or was handed on, its ticket closed. Nothing is executed on what was known before: where the step
has checks they are evaluated first, and only when they say that the step is still to be done does the request go out.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta

from compagnon.audit import Actor
from compagnon.auth.model import Member
from compagnon.db import Connection
from compagnon.errors import Conflict, Invalid
from compagnon.i18n import N_
from procedures.ports import Phase, ReportState, StepRequest
from procedures.runs import store, waiting_store
from procedures.runs.acts import OVER, note
from procedures.runs.asking import check_askable, step_request, there
from procedures.runs.board import RunView, found, view
from procedures.runs.launching import Launching
from procedures.runs.model import Attempt, Run, Visit, WaitingRequest, time_spent

HOURS = (1, 168)
"""A request waits for at least an hour and at most a week."""

DEFAULT_HOURS = 24


class Absent(Launching):
    """Part of :class:`procedures.runs.service.Runs`."""

    async def ask_when_back(
        self, run_id: int, member: Member, *, revision: int, phase: Phase, hours: int = DEFAULT_HOURS
    ) -> Attempt:
        """Have the agent do this once its machine is back, within so many hours; consent is asked for then, as always.

        Raises Conflict (somebody acted, a request waits already, closed ticket), Invalid (no machine or ticket, nothing
        for an agent in this step, hours out of bounds), Forbidden.
        """
        if not HOURS[0] <= hours <= HOURS[1]:
            raise Invalid(N_("Please choose how long the request may wait."), field="hours")
        async with self._db.transaction() as conn:
            run = await self._lock(conn, run_id, member, revision)
            await self._check_open_ticket(conn, run)
            seen = await view(conn, run)
            if seen.current is None:
                raise Conflict(OVER)
            check_askable(seen, seen.current, phase)
            attempt = await self._queue(conn, run, seen.current, phase, member, hours)
        assert run.machine_id is not None  # checked with the ticket
        if (await self._gateway.reference(run.machine_id)).online:  # it came back while this was decided
            await self.machine_returned(run.machine_id)
        return attempt

    async def _queue(
        self, conn: Connection, run: Run, visit: Visit, phase: Phase, member: Member, hours: int
    ) -> Attempt:
        attempt_id = await self._insert(conn, run, visit, phase, member.id)
        await waiting_store.queue(conn, attempt_id, timedelta(hours=hours))
        await store.touch(conn, run, time_spent(run.touched_at, datetime.now(UTC)))
        details = {"step": run.current_step, "phase": phase, "attempt": attempt_id, "hours": hours}
        await note(conn, run, Actor.member(member.id), "run.asked_when_back", **details)
        return there(await store.attempt(conn, attempt_id))

    async def waiting_for_machine(self, machine_id: int) -> Sequence[WaitingRequest]:
        """What waits for this machine, oldest first."""
        async with self._db.connection() as conn:
            return await waiting_store.waiting_requests(conn, machine_id=machine_id)

    async def waiting_for_ticket(self, ticket_id: int) -> Sequence[WaitingRequest]:
        async with self._db.connection() as conn:
            return await waiting_store.waiting_requests(conn, ticket_id=ticket_id)

    # the machine is back

    async def awaited(self, machine_ids: Sequence[int]) -> Collection[int]:
        """Those of these machines that something waits for."""
        async with self._db.connection() as conn:
            return await waiting_store.awaited(conn, machine_ids)

    async def machine_returned(self, machine_id: int) -> None:
        """Go on with everything that waits for this machine. Called whenever its agent connects; may be doubled."""
        for waiting in await self.waiting_for_machine(machine_id):
            follow = await self._take_up(waiting.attempt_id)
            if follow:
                self._launch(follow)

    async def _take_up(self, attempt_id: str) -> StepRequest | None:
        async with self._db.transaction() as conn:
            attempt = there(await store.attempt(conn, attempt_id))
            run = found(await store.lock(conn, attempt.run_id))
            attempt = there(await store.attempt(conn, attempt_id))
            if not attempt.queued:
                return None
            seen = await view(conn, run)
            why = await self._why_not(conn, seen, attempt)
            if why:
                await give_up(conn, run, attempt, why)
                return None
            return await self._begin(conn, seen, attempt)

    async def _why_not(self, conn: Connection, seen: RunView, attempt: Attempt) -> str:
        """The reason why this is not to be done any more, or nothing."""
        if attempt.expires_at is None or attempt.expires_at <= datetime.now(UTC):
            return "expired"
        if seen.current is None or seen.current.id != attempt.run_step_id:
            return "step_over"
        if not await self._due(conn, seen.run, attempt):
            return "ticket_closed"
        member = await self._members.get(attempt.member_id, conn=conn)
        if not member.active or not await self.may_act(seen.run, member, conn=conn):
            return "not_allowed"
        return ""

    async def _begin(self, conn: Connection, seen: RunView, attempt: Attempt) -> StepRequest | None:
        """Look first where there is something to look at; else send it now."""
        if seen.waiting:
            return None  # it is being looked at: the machine connected twice
        member = await self._members.get(attempt.member_id, conn=conn)
        if attempt.phase != Phase.EXECUTE or not seen.plan.checks(attempt.step_id):
            return await self._release(conn, seen, attempt)
        look = await self._insert(conn, seen.run, seen.current, Phase.CHECK, attempt.member_id)
        details = {"step": attempt.step_id, "phase": Phase.CHECK, "attempt": look, "before": attempt.id}
        await note(conn, seen.run, Actor.system(), "run.asked", **details)
        return step_request(seen.run, seen.plan, look, attempt.step_id, Phase.CHECK, member)

    async def _release(self, conn: Connection, seen: RunView, attempt: Attempt) -> StepRequest | None:
        """From here on it is a request like any other: it survives a restart, and is never done twice."""
        if not await waiting_store.release(conn, attempt.id):
            return None
        member = await self._members.get(attempt.member_id, conn=conn)
        details = {"step": attempt.step_id, "phase": attempt.phase, "attempt": attempt.id}
        await note(conn, seen.run, Actor.system(), "run.machine_returned", **details)
        return step_request(seen.run, seen.plan, attempt.id, attempt.step_id, Phase(attempt.phase), member)

    async def _after_look(self, conn: Connection, seen: RunView, look: Attempt) -> StepRequest | None:
        """The checks before a request that waited were evaluated, in the same transaction that keeps their results."""
        waiting = seen.queued
        if waiting is None:
            return None
        why = await self._why_not(conn, seen, waiting)
        if not why and look.state in {ReportState.DONE, ReportState.FAILED} and look.contradicts:
            return await self._release(conn, seen, waiting)
        if not why and look.state == ReportState.REFUSED:
            why = "refused"
        await give_up(conn, seen.run, waiting, why or ("already_true" if look.passed else "unclear"))
        return None

    async def expire_waiting(self) -> int:
        """End what waited too long, and what nothing stands for any more. Called every minute."""
        async with self._db.connection() as conn:
            waiting = await waiting_store.waiting_requests(conn)
        return sum([await self._expired(one) for one in waiting])

    async def _expired(self, one: WaitingRequest) -> bool:
        async with self._db.transaction() as conn:
            run = found(await store.lock(conn, one.run_id))
            attempt = there(await store.attempt(conn, one.attempt_id))
            why = await self._why_not(conn, await view(conn, run), attempt) if attempt.queued else ""
            return bool(why) and await give_up(conn, run, attempt, why)


async def give_up(conn: Connection, run: Run, attempt: Attempt, why: str) -> bool:
    """The request does not wait any more; False when somebody else ended its wait at the same moment."""
    if not await waiting_store.give_up(conn, attempt.id, why):
        return False
    await note(conn, run, Actor.system(), "run.stopped_waiting", attempt=attempt.id, why=why)
    return True
