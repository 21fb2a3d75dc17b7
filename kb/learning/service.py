"""Learning from the field: what was asked, what was opened, how it ended, and what that says about documents."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from compagnon import audit
from compagnon.audit import Actor
from compagnon.auth.model import Member
from compagnon.db import Connection, Database
from compagnon.errors import NotFound
from compagnon.i18n import N_
from compagnon.jobs import Jobs
from kb.learning import model, store
from kb.learning.model import Ending, Miss, Outcome, Recent, Use
from kb.learning.outcomes import KnownOutcomes, Outcomes
from kb.search.model import Boost, Reason

log = logging.getLogger(__name__)
Changed = Callable[[Connection, str, str], Awaitable[None]]
DAILY = 2_000  # questions of one member and day that are kept: nobody asks more
RECENTS = 8
MISSES = 100
MAX_ID = 200
ON_SUCH = N_("On {environment}, {well} of {total} runs ended well")
ON_ALL = N_("{well} of {total} runs ended well")


@dataclass(frozen=True, slots=True, kw_only=True)
class Signals:
    """What the field says about one document: how its runs ended (here, and everywhere), what led to it before."""

    here: Outcome | None = None
    everywhere: Outcome | None = None
    questions: int = 0

    @property
    def outcome(self) -> Outcome | None:
        """The one to show: of such machines where there are enough runs, else of all."""
        return self.here if self.here and self.here.known else self.everywhere


class Learning:
    """``changed`` is called in the transaction in which a document's past questions changed. Implements Evidence.

    What is recorded here is telemetry of small worth, not a state of anything: it has no audit record.
    """

    def __init__(self, db: Database, changed: Changed) -> None:
        self._db = db
        self._changed = changed
        self._outcomes = KnownOutcomes()

    def outcomes(self, source: Outcomes) -> None:
        """Register who knows how runs ended (while wiring)."""
        self._outcomes.source = source

    # what members do

    async def asked(self, member: Member, raw: str, results: int | None) -> None:
        """Keep a question. ``results``: how many documents and records it found; None when filters narrowed it."""
        async with self._db.transaction() as conn:
            await self._ask(conn, member.id, raw, results)

    async def opened(self, member: Member, raw: str, kind: str, id: str, *, results: int | None = None) -> None:
        """The member opened a library document that ``raw`` found. A second click changes nothing."""
        async with self._db.transaction() as conn:
            question = await self._ask(conn, member.id, raw, results, again=0)
            if question is not None:
                await self._learn(conn, kind, id, lambda key: store.open_(conn, question, key))

    async def confirmed(self, member: Member, raw: str, kind: str, id: str) -> bool:
        """The member says that the document answered the question. False when that was known, or nothing was asked."""
        async with self._db.transaction() as conn:
            question = await self._ask(conn, member.id, raw, None, again=0)
            if question is None:
                return False

            async def end(key: str) -> bool:
                await store.open_(conn, question, key)
                return await store.end_question(conn, question, key, Ending.WELL)

            return await self._learn(conn, kind, id, end)

    async def feedback(self, member: Member, kind: str, id: str, *, solved: bool) -> None:
        """Whether the document helped, as said on its own page: of the question that led there lately, if one did."""
        ending = Ending.WELL if solved else Ending.BADLY
        async with self._db.transaction() as conn:
            await self._learn(conn, kind, id, lambda key: store.end_last(conn, member.id, key, ending))

    async def followed(self, member_id: int, kind: str, id: str, run_id: int, *, symptom: str = "") -> None:
        """A run of the document began. ``symptom``: what the ticket says, which is a question as well."""
        async with self._db.transaction() as conn:

            async def follow(key: str) -> bool:
                known = await store.follow(conn, member_id, key, run_id)
                question = await self._ask(conn, member_id, symptom, None, again=0)
                if question is None:
                    return known
                await store.open_(conn, question, key)
                return await store.follow_question(conn, question, key, run_id) or known

            await self._learn(conn, kind, id, follow)

    async def ended_well(self, run_id: int, kind: str, id: str) -> None:
        """The run reached the end of the procedure. Said twice it counts once."""
        async with self._db.transaction() as conn:

            async def end(_key: str) -> bool:
                return bool(await store.run_ended(conn, run_id))

            await self._learn(conn, kind, id, end)

    async def _ask(
        self, conn: Connection, member_id: int, raw: str, results: int | None, *, again: int = 1
    ) -> int | None:
        text = model.clean(raw)
        norm = model.norm(text)
        if not norm:
            return None
        return await store.ask(conn, member_id, text, norm, results, again=again, daily=DAILY)

    async def _learn(self, conn: Connection, kind: str, id: str, act: Callable[[str], Awaitable[bool]]) -> bool:
        """Do ``act`` and have the document indexed anew when its past questions are others now."""
        if not kind or not id or len(id) > MAX_ID or len(kind) > 40:
            return False
        key = f"{kind}:{id}"
        before = await self._lessons(conn, key)
        done = await act(key)
        if done and await self._lessons(conn, key) != before:
            await self._changed(conn, kind, id)
        return done

    async def _lessons(self, conn: Connection, key: str) -> tuple[str, ...]:
        return model.lessons(await store.uses(conn, [key]), datetime.now(UTC))

    # Evidence

    async def queries(self, keys: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
        """The past questions of these documents, strongest first; documents without any are left out."""
        async with self._db.connection() as conn:
            uses = await store.uses(conn, keys)
        grouped: dict[str, list[Use]] = {}
        for use in uses:
            grouped.setdefault(use.document, []).append(use)
        now = datetime.now(UTC)
        found = {key: model.lessons(each, now) for key, each in grouped.items()}
        return {key: questions for key, questions in found.items() if questions}

    async def boosts(self, keys: Sequence[str], *, environment: str | None) -> Mapping[str, Boost]:
        """What the runs of these documents add to their rank, with the numbers."""
        await self._outcomes.refresh()
        found = {}
        for key in keys:
            outcome = self._outcome(key, environment).outcome
            if outcome and outcome.known and (weight := model.success_weight(outcome)) > 0:
                found[key] = Boost(reason=success_reason(outcome), weight=weight)
        return found

    async def signals(self, keys: Sequence[str], *, environment: str | None) -> Mapping[str, Signals]:
        """All that is known about these documents, to be shown."""
        await self._outcomes.refresh()
        queries = await self.queries(keys) if keys else {}
        return {key: self._outcome(key, environment, len(queries.get(key, ()))) for key in keys}

    def _outcome(self, key: str, environment: str | None, questions: int = 0) -> Signals:
        here = self._outcomes.of(key, environment) if environment else None
        return Signals(here=here, everywhere=self._outcomes.of(key, ""), questions=questions)

    # a member's own history

    async def recent(self, member: Member) -> Sequence[Recent]:
        async with self._db.connection() as conn:
            return await store.recent(conn, member.id, RECENTS)

    async def clear(self, member: Member, text: str | None = None) -> int:
        """Forget that this member asked (``text``: only this). What it taught stays, without their name."""
        norm = None if text is None else model.norm(model.clean(text))
        async with self._db.transaction() as conn:
            cleared = await store.clear(conn, member.id, norm)
            details = {"questions": cleared}
            who, subject = Actor.member(member.id), f"member:{member.id}"
            await audit.record(conn, actor=who, action="search.history_cleared", subject=subject, details=details)
        return cleared

    # asked and not found

    async def misses(self) -> Sequence[Miss]:
        """Questions that found nothing, the most frequent first; those that find something by now are left out."""
        async with self._db.connection() as conn:
            return await store.misses(conn, MISSES)

    async def miss_done(self, member: Member, norm: str) -> None:
        """Take a question off the list until somebody asks it again. Raises NotFound."""
        async with self._db.transaction() as conn:
            if not norm or len(norm) > 2 * model.MAX_TEXT or not await store.done(conn, member.id, norm):
                raise NotFound(N_("This question is not in the list any more."))
            actor = Actor.member(member.id)
            await audit.record(conn, actor=actor, action="search.miss_done", subject="search:misses", details={})

    # retention

    def register(self, jobs: Jobs) -> None:
        @jobs.periodic("kb.forget_questions", cron="23 3 * * *")
        async def forget(timestamp: int) -> None:
            await self.forget()

    async def forget(self) -> int:
        """Delete what is older than the retention time, and have what it taught taken out of the index.

        Strengths fade from day to day, so every document with past questions is looked at again.
        """
        async with self._db.transaction() as conn:
            documents = await store.documents(conn)
            deleted = await store.forget(conn, model.RETENTION)
            for key in documents:
                kind, _, id = key.partition(":")
                await self._changed(conn, kind, id)
        if deleted:
            log.info("%d old questions forgotten", deleted)
        return deleted


def success_reason(outcome: Outcome) -> Reason:
    numbers = {"well": str(outcome.well), "total": str(outcome.total)}
    if outcome.environment:
        return Reason(message=ON_SUCH, params={"environment": outcome.environment, **numbers})
    return Reason(message=ON_ALL, params=numbers)
