"""The declared environment, checked by the agent itself: at its own pace, also while there is no connection.

The server gives the checks and the period. Changes are queued when they are seen, everything once a day, and when the
server asks. What may be looked at is decided as for any other request (:mod:`.authorise`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import sqlite3
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from .clock import Clock
from .outbox import Outbox, together
from .protocol.checks import CheckResult
from .protocol.duties import schedule_digest
from .protocol.messages import Checked, CheckReport, Finding, Message, Schedule, decode, encode
from .protocol.wire import WireError

log = logging.getLogger(__name__)

DAILY = timedelta(days=1)
LIMIT = 180.0
"""Seconds for all checks together."""

SOON = (0.1, 2.0)
"""Seconds until a new schedule is evaluated the first time: a new standard must not move all machines at once."""

SPREAD = 0.2
"""Of the period, either way."""

Look = Callable[[Schedule], Awaitable[Sequence[CheckResult]]]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS found (place INTEGER PRIMARY KEY, outcome TEXT NOT NULL, reason TEXT NOT NULL);
"""
_FOUND = "SELECT place, outcome, reason FROM found"
_FORGET = "DELETE FROM found"
_KEEP = """
INSERT INTO found (place, outcome, reason) VALUES (:place, :outcome, :reason)
ON CONFLICT (place) DO UPDATE SET outcome = excluded.outcome, reason = excluded.reason
"""


class Scheduled:
    """``look`` evaluates; ``send`` reaches the server if it is there, and forgets what it cannot send."""

    def __init__(
        self, db: sqlite3.Connection, outbox: Outbox, clock: Clock, look: Look, send: Callable[[Message], None]
    ) -> None:
        self._db = db
        self._outbox = outbox
        self._clock = clock
        self._look = look
        self._send = send
        self._asked: list[str] = []
        self._changed = asyncio.Event()
        self._wait = 0.0
        db.executescript(_SCHEMA)
        self.schedule = _read(outbox.read("schedule"))
        self.digest = schedule_digest(self.schedule) if self.schedule else ""
        self._again(random.uniform(1, 10))  # noqa: S311 - spreading load

    def take(self, schedule: Schedule) -> None:
        """Replace the schedule; the one that is in force already changes nothing."""
        digest = schedule_digest(schedule)
        if digest == self.digest:
            return
        with together(self._db):
            self._outbox.write("schedule", encode(schedule))
            self._outbox.write("full_at", "")
            self._db.execute(_FORGET)
        self.schedule, self.digest = schedule, digest
        self._again(random.uniform(*SOON))  # noqa: S311 - spreading load
        self._changed.set()

    def now(self, request_id: str) -> bool:
        """Evaluate at once and report everything; False without a schedule."""
        if self.schedule is None or len(self._asked) >= 20:
            return False
        self._asked.append(request_id)
        self._changed.set()
        return True

    def _again(self, seconds: float) -> None:
        self._wait = seconds

    async def run(self) -> None:
        """For ever."""
        while True:
            await self._due()
            try:
                await self._evaluate()
            except (sqlite3.Error, OSError) as fault:
                log.error("the scheduled checks could not be made: %s", fault)

    async def _due(self) -> None:
        while not self._asked:
            self._changed.clear()
            idle = self.schedule is None or not self.schedule.checks
            try:
                async with asyncio.timeout(None if idle else self._wait):
                    await self._changed.wait()
            except TimeoutError:
                return

    async def _evaluate(self) -> None:
        schedule, digest, asked = self.schedule, self.digest, self._asked[:]
        assert schedule is not None  # due
        self._again(schedule.period * random.uniform(1 - SPREAD, 1 + SPREAD))  # noqa: S311 - jitter
        results = await self._look(schedule) if schedule.checks else ()
        if digest != self.digest:
            return  # replaced meanwhile: this was about another standard
        del self._asked[: len(asked)]
        findings = [_finding(place, result) for place, result in enumerate(results)]
        self._report(findings, asked)

    def _report(self, findings: Sequence[Finding], asked: Sequence[str]) -> None:
        known = {place: (outcome, reason) for place, outcome, reason in self._db.execute(_FOUND)}
        full = bool(asked) or not known or self._stale()
        changed = [one for one in findings if full or known.get(one.index) != (one.outcome, one.reason)]
        if not changed and not asked:
            self._send(Checked(schedule=self.digest))
            return
        report = CheckReport(schedule=self.digest, full=full, findings=tuple(changed), request_ids=tuple(asked))
        with together(self._db):
            if not self._outbox.put(_fitting(report)):
                return  # nothing is noted: it is a change the next time as well
            self._db.executemany(_KEEP, [_row(one) for one in changed])
            if full:
                self._outbox.write("full_at", self._clock.now().isoformat())

    def _stale(self) -> bool:
        given = self._outbox.read("full_at")
        return not given or self._clock.age(datetime.fromisoformat(given)) >= DAILY.total_seconds()


def _row(one: Finding) -> Mapping[str, object]:
    return {"place": one.index, "outcome": str(one.outcome), "reason": one.reason}


def _read(text: str) -> Schedule | None:
    with contextlib.suppress(WireError):
        found = decode(text) if text else None
        return found if isinstance(found, Schedule) else None
    return None


def _finding(place: int, result: CheckResult) -> Finding:
    return Finding(index=place, outcome=result.outcome, observed=result.observed, reason=result.reason)


def _fitting(report: CheckReport) -> CheckReport:
    """The report, without what was observed where all of it together is too long for one message."""
    if len(encode(replace(report, findings=()))) + sum(_length(one) for one in report.findings) < 150 * 1024:
        return report
    return replace(
        report, findings=tuple(replace(one, observed={}, reason=one.reason[:100]) for one in report.findings)
    )


def _length(one: Finding) -> int:
    return 200 + len(str(one.observed)) * 2 + len(one.reason) * 3
