"""Whom to bring into a remote session: the expert finder, asked with the skill of the step that is open."""

from __future__ import annotations

from collections.abc import Sequence

from compagnon.auth.model import Member
from compagnon.auth.skill_words import named
from compagnon.i18n import gettext
from procedures.runs.service import Runs
from remote.sessions.model import Suggestion
from tickets.desk.service import Desk
from tickets.escalation.model import Ranked
from tickets.escalation.service import Escalations

SHOWN = 4
REASONS = 3


class SessionExperts:
    """Implements ``remote.sessions.people.Experts``."""

    def __init__(self, desk: Desk, escalations: Escalations, runs: Runs) -> None:
        self._desk = desk
        self._escalations = escalations
        self._runs = runs

    async def suggested(self, ticket_id: int, member: Member) -> Sequence[Suggestion]:
        ticket = await self._desk.get(ticket_id)
        skill = await self._skill_of_step(ticket_id) or ticket.skill
        if not skill:
            return ()
        return [_suggestion(one) for one in (await self._escalations.preview(ticket, skill, member))[:SHOWN]]

    async def _skill_of_step(self, ticket_id: int) -> str | None:
        """Where a failure of the open step would lead; the newest open run counts."""
        active = [run for run in await self._runs.for_ticket(ticket_id) if run.active and run.current_step]
        if not active:
            return None
        seen = await self._runs.show(active[-1].id)
        failing = seen.plan.rule(active[-1].current_step or "").on_fail
        return failing.escalate if failing else None


def _suggestion(one: Ranked) -> Suggestion:
    reasons = [gettext(reason.message).format(**named(reason.params)) for reason in one.reasons[:REASONS]]
    candidate = one.candidate
    return Suggestion(
        member_id=candidate.member_id, name=candidate.name, available=candidate.available, why=" · ".join(reasons)
    )
