"""What runs teach the search: which procedure was followed for which question, and how well procedures do."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from compagnon.db import Database
from compagnon.errors import AppError
from kb.learning.model import Outcome
from kb.learning.service import Learning
from procedures.ports import RunRef, TicketGate
from procedures.runs import store
from procedures.runs.model import Run, RunState

AGE = timedelta(days=730)  # older runs were of other versions, on other machines


class RunLessons:
    """Implements ``RunObserver`` and ``kb.learning.outcomes.Outcomes``.

    Told after the commit: what a crash in between loses is one vote among many.
    """

    def __init__(self, db: Database, gate: TicketGate, learning: Learning) -> None:
        self._db = db
        self._gate = gate
        self._learning = learning

    async def step_started(self, run: RunRef, step_id: str) -> None:
        now = await self._run(run)
        if now is None or now.revision > 1:  # not the first step
            return
        symptom = await self._symptom(run.ticket_id)
        await self._learning.followed(run.member_id, "procedure", _document(now), run.id, symptom=symptom)

    async def step_ended(self, run: RunRef, step_id: str, outcome: str) -> None:
        now = await self._run(run)
        if now is not None and now.state == RunState.COMPLETED:
            await self._learning.ended_well(run.id, "procedure", _document(now))

    async def outcomes(self) -> Sequence[Outcome]:
        async with self._db.connection() as conn:
            return await store.outcomes(conn, AGE)

    async def _run(self, run: RunRef) -> Run | None:
        async with self._db.connection() as conn:
            return await store.get(conn, run.id)

    async def _symptom(self, ticket_id: int | None) -> str:
        try:
            return (await self._gate.require_open(ticket_id)).title if ticket_id is not None else ""
        except AppError:  # closed meanwhile
            return ""


def _document(run: Run) -> str:
    return f"{run.code}.{run.locale}"
