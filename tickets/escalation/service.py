"""Calling an expert: ask a circle, wait, widen, until somebody accepts."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from compagnon import events
from compagnon.auth.model import Member, SkilledMember
from compagnon.db import Connection
from compagnon.errors import Conflict, Forbidden, Invalid, NotFound
from compagnon.i18n import N_
from compagnon.jobs import Jobs
from compagnon.kernel import Kernel
from tickets.desk import bounds
from tickets.desk import store as desk_store
from tickets.desk.model import State, Ticket
from tickets.desk.service import CLOSED, Desk, announce
from tickets.escalation import store
from tickets.escalation.model import (
    ANSWER_LIMIT,
    QUESTION_LIMIT,
    Candidate,
    Escalation,
    EscalationState,
    Offer,
    OfferState,
    Ranked,
    next_circle,
    rank_all,
)

WIDEN_TASK = "tickets.widen"
GONE = N_("There is no such call for an expert.")
NOBODY = N_("Nobody else has this skill: choose another one, or ask by another way.")
OVER = N_("{name} has accepted already.")
TAKEN_BACK = N_("This call was taken back.")
NOT_ASKED = N_("You were not asked.")


class Runs(Protocol):
    """What a call needs of ``procedures.runs``: that the run exists and belongs to the ticket."""

    async def for_ticket(self, ticket_id: int) -> Any: ...  # noqa: ANN401 - procedures' own type


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call with everyone who was asked."""

    escalation: Escalation
    offers: tuple[Offer, ...]

    def asked(self, member_id: int) -> bool:
        """Whether this member can still answer."""
        mine = any(offer.member_id == member_id and offer.state is OfferState.ASKED for offer in self.offers)
        return mine and self.escalation.state is EscalationState.OPEN


class Escalations:
    def __init__(self, kernel: Kernel, desk: Desk, runs: Runs) -> None:
        self._db = kernel.db
        self._jobs = kernel.jobs
        self._members = kernel.members
        self._patience = timedelta(minutes=kernel.settings.escalation_minutes)
        self._desk = desk
        self._runs = runs

    def register(self, jobs: Jobs) -> None:
        """Make the widening a background job."""
        jobs.task(WIDEN_TASK)(self.widen)

    # reading

    async def get(self, escalation_id: int) -> Escalation:
        async with self._db.connection() as conn:
            found = await store.get(conn, bounds.identity(escalation_id, GONE))
        if found is None:
            raise NotFound(GONE)
        return found

    async def for_ticket(self, ticket_id: int) -> list[Call]:
        """The ticket's calls, newest first, with who was asked, when, and the answers."""
        async with self._db.connection() as conn:
            found = await store.for_ticket(conn, ticket_id)
            offers = await store.offers(conn, [item.id for item in found])
        return [
            Call(escalation=item, offers=tuple(offer for offer in offers if offer.escalation_id == item.id))
            for item in found
        ]

    async def asked_of(self, member_id: int) -> list[Escalation]:
        async with self._db.connection() as conn:
            return await store.asked_of(conn, member_id)

    async def preview(self, ticket: Ticket, skill: str, member: Member) -> list[Ranked]:
        """Who would be asked, best first, with the reasons."""
        skilled = await self._members.by_skill(skill)
        async with self._db.connection() as conn:
            return await _ranked(conn, skilled, ticket, skill, ticket.departement, member.id)

    # calling

    async def call(
        self,
        ticket_id: int,
        member: Member,
        *,
        skill: str,
        question: str = "",
        run_id: int | None = None,
        step_id: str | None = None,
        session_id: str | None = None,
    ) -> int:
        """Ask the first circle; returns the call's id, or that of a call for the same skill that is still open.

        Raises Invalid (unknown skill, nobody has it, a run of another ticket), Conflict (closed ticket).
        """
        bounds.check_text(question, QUESTION_LIMIT, "question", required=False)
        await self._check_context(ticket_id, skill, run_id, step_id)
        skilled = await self._members.by_skill(skill)
        async with self._db.transaction() as conn:
            ticket = await desk_store.lock(conn, bounds.identity(ticket_id, N_("There is no ticket number {id}.")))
            _check_open(ticket, ticket_id)
            assert ticket is not None, "checked just above"
            values = {"ticket_id": ticket_id, "run_id": run_id, "step_id": step_id, "session_id": session_id}
            values |= {"skill": skill, "departement": ticket.departement, "question": question.strip()}
            escalation_id = await store.insert(conn, {**values, "asked_by": member.id})
            if escalation_id is None:
                running = await store.open_for(conn, ticket_id, skill)
                assert running is not None, "the ticket is locked, so the call that stood in the way is still open"
                return running.id
            asked = await self._widen(conn, escalation_id, ticket, 0, skilled)
            if not asked:
                raise Invalid(NOBODY, field="skill")
            await desk_store.set_skill(conn, ticket_id, skill)
            details = {"escalation": escalation_id, "skill": skill, "asked": asked, "run": run_id, "step": step_id}
            await announce(conn, ticket_id, member.id, "ticket.expert_called", details)
            return escalation_id

    async def _check_context(self, ticket_id: int, skill: str, run_id: int | None, step_id: str | None) -> None:
        if skill not in {known.name for known in await self._members.all_skills()}:
            raise Invalid(N_("There is no such skill."), field="skill")
        if step_id is not None:
            bounds.check_text(step_id, 64, "step")
        if run_id is not None and run_id not in {run.id for run in await self._runs.for_ticket(ticket_id)}:
            raise Invalid(N_("This run does not belong to the ticket."), field="run")

    async def widen(self, *, escalation_id: int, circle: int) -> None:
        """The background job: ask the next circle, unless somebody answered or it was widened since."""
        skilled = await self._members.by_skill((await self.get(escalation_id)).skill)
        async with self._db.transaction() as conn:
            call = await self._lock(conn, escalation_id)
            if call.state is not EscalationState.OPEN or call.circle != circle:
                return
            ticket = await desk_store.get(conn, call.ticket_id)
            assert ticket is not None, "a call refers to a ticket"
            asked = await self._widen(conn, escalation_id, ticket, circle, skilled)
            details = {"escalation": escalation_id, "asked": asked}
            await announce(conn, ticket.id, None, "ticket.call_widened", details)

    async def _widen(
        self, conn: Connection, escalation_id: int, ticket: Ticket, circle: int, skilled: Sequence[SkilledMember]
    ) -> list[int]:
        """Ask the next circle and plan the one after it; the ids of who is asked now."""
        call = await store.get(conn, escalation_id)
        assert call is not None, "the caller holds it"
        known = await store.offers(conn, [escalation_id])
        ranked = await _ranked(conn, skilled, ticket, call.skill, call.departement, call.asked_by)
        number, people = next_circle(ranked, asked={offer.member_id for offer in known}, circle=circle)
        widen_at = datetime.now(UTC) + self._patience if people else None
        if not await store.widen(conn, escalation_id, old=circle, new=number, widen_at=widen_at):
            return []
        await store.offer(conn, escalation_id, number, people)
        for item in people:
            await events.publish(conn, f"member:{item.candidate.member_id}", "asked", {"escalation": escalation_id})
        if widen_at:
            await self._jobs.defer(conn, WIDEN_TASK, at=widen_at, escalation_id=escalation_id, circle=number)
        return [item.candidate.member_id for item in people]

    # answering

    async def accept(self, escalation_id: int, member: Member) -> Escalation:
        """Join the ticket. The first acceptance wins; the second gets a Conflict that names the first."""
        async with self._db.transaction() as conn:
            call = await self._lock(conn, escalation_id)
            if call.state is EscalationState.ACCEPTED and call.accepted_by == member.id:
                return call
            _check_running(call)
            await self._answer(conn, call, member, OfferState.ACCEPTED, "")
            if not await store.end(conn, call.id, EscalationState.ACCEPTED.value, member.id):
                raise Conflict(OVER, name=call.accepted_by_name or "?")
            await desk_store.add_collaborator(conn, call.ticket_id, member.id, call.asked_by)
            await desk_store.touch(conn, call.ticket_id)
            await self._tell(conn, [call.asked_by, *await store.lapse(conn, call.id)], call.id, "call_ended")
            details = {"escalation": call.id}
            await announce(conn, call.ticket_id, member.id, "ticket.call_accepted", details)
        return await self.get(escalation_id)

    async def decline(self, escalation_id: int, member: Member, reason: str) -> None:
        """Say no, with a reason. When nobody of the circle is left to answer, the next one is asked at once."""
        bounds.check_text(reason, ANSWER_LIMIT, "reason")
        skilled = await self._members.by_skill((await self.get(escalation_id)).skill)
        async with self._db.transaction() as conn:
            call = await self._lock(conn, escalation_id)
            _check_running(call)
            await self._answer(conn, call, member, OfferState.DECLINED, reason.strip())
            ticket = await desk_store.get(conn, call.ticket_id)
            assert ticket is not None, "a call refers to a ticket"
            if not await store.waiting(conn, call.id):
                await self._widen(conn, call.id, ticket, call.circle, skilled)
            await self._tell(conn, [call.asked_by], call.id, "call_declined")
            details = {"escalation": call.id, "reason": reason.strip()}
            await announce(conn, call.ticket_id, member.id, "ticket.call_declined", details)

    async def cancel(self, escalation_id: int, member: Member) -> None:
        """Take the call back: whoever asked, or who may act on the ticket."""
        async with self._db.transaction() as conn:
            call = await self._lock(conn, escalation_id)
            if call.asked_by != member.id and not await desk_store.may_act(conn, call.ticket_id, member.id):
                raise Forbidden(N_("Only who called, or who works on the ticket, can take the call back."))
            _check_running(call)
            await store.end(conn, call.id, EscalationState.CANCELLED.value)
            await self._tell(conn, await store.lapse(conn, call.id), call.id, "call_ended")
            await announce(conn, call.ticket_id, member.id, "ticket.call_cancelled", {"escalation": call.id})

    async def cancel_all(self, conn: Connection, ticket_id: int) -> None:
        """The ticket is being closed (in the caller's transaction): nobody needs to answer any more."""
        for call in await store.for_ticket(conn, ticket_id):
            if call.state is EscalationState.OPEN and await store.end(conn, call.id, EscalationState.CANCELLED.value):
                await self._tell(conn, await store.lapse(conn, call.id), call.id, "call_ended")

    async def _lock(self, conn: Connection, escalation_id: int) -> Escalation:
        """The call, locked after its ticket: whoever locks both does so in this order, or they might wait in a ring."""
        call = await store.get(conn, bounds.identity(escalation_id, GONE))
        if call is None:
            raise NotFound(GONE)
        await desk_store.lock(conn, call.ticket_id)
        locked = await store.lock(conn, escalation_id)
        assert locked is not None, "calls are never deleted"
        return locked

    async def _answer(self, conn: Connection, call: Escalation, member: Member, new: OfferState, text: str) -> None:
        old = {OfferState.ASKED.value}
        if new is OfferState.ACCEPTED:
            old.add(OfferState.DECLINED.value)  # one may change one's mind while nobody else came
        if not await store.answer(conn, call.id, member.id, old=old, new=new.value, text=text):
            raise Conflict(NOT_ASKED)

    @staticmethod
    async def _tell(conn: Connection, members: Collection[int], escalation_id: int, kind: str) -> None:
        for member_id in members:
            await events.publish(conn, f"member:{member_id}", kind, {"escalation": escalation_id})


def _check_open(ticket: Ticket | None, ticket_id: int) -> None:
    if ticket is None:
        raise NotFound(N_("There is no ticket number {id}."), id=ticket_id)
    if ticket.state is State.CLOSED:
        raise Conflict(CLOSED, id=ticket_id)


def _check_running(call: Escalation) -> None:
    if call.state is EscalationState.ACCEPTED:
        raise Conflict(OVER, name=call.accepted_by_name or "?")
    if call.state is EscalationState.CANCELLED:
        raise Conflict(TAKEN_BACK)


async def _ranked(
    conn: Connection, skilled: Sequence[SkilledMember], ticket: Ticket, skill: str, departement: str, asked_by: int
) -> list[Ranked]:
    """Who could be asked, best first: everyone with the skill who is not on the ticket already."""
    there = {item.member_id for item in await desk_store.collaborators(conn, ticket.id)}
    there |= {asked_by, ticket.owner_id or asked_by}
    others = [item for item in skilled if item.member.active and item.member.id not in there]
    ids = [item.member.id for item in others]
    loads, helped = await store.loads(conn, ids), await store.helped(conn, ticket.client_id, ids)
    candidates = [
        Candidate(
            member_id=item.member.id,
            name=item.member.name,
            level=item.level,
            available=item.member.available,
            departements=item.member.departements,
            load=loads.get(item.member.id, 0),
            helped=helped.get(item.member.id, 0),
        )
        for item in others
    ]
    return rank_all(candidates, skill=skill, departement=departement)
