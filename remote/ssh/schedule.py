"""The declared environment of a device, looked at over SSH at the agents' pace, and when somebody asks.

Nothing is looked at on a schedule behind another machine's agent: each tunnel asks a person there.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from compagnon.errors import Conflict, Unavailable
from compagnon_agent.protocol import messages
from compagnon_agent.protocol.checks import CheckResult
from compagnon_agent.protocol.duties import Schedule, schedule_digest
from compagnon_agent.protocol.messages import CheckReport, Finding, Queued

log = logging.getLogger(__name__)
SOON = (0.1, 2.0)  # seconds until a new schedule is looked at: a new standard must not move all devices at once
SPREAD = 0.2  # of the period, either way
LIMIT = 180  # seconds for all checks
REPORT_LIMIT = 150 * 1024  # bytes; beyond it what was observed is left out
Look = Callable[[Schedule], Awaitable[Sequence[CheckResult]]]


class DeviceSchedule:
    """``look`` raises Unavailable or Conflict when the device cannot be looked at; ``failed`` tells who asked."""

    def __init__(
        self,
        look: Look,
        say: Callable[[messages.Message], Awaitable[None]],
        failed: Callable[[str, Unavailable | Conflict], None],
    ) -> None:
        self._look = look
        self._say = say
        self._failed = failed
        self._schedule: Schedule | None = None
        self._asked: list[str] = []
        self._changed = asyncio.Event()
        self._wait = 0.0

    def take(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self._wait = random.uniform(*SOON)  # noqa: S311 - spreading load
        self._changed.set()

    def now(self, request_id: str) -> None:
        self._asked.append(request_id)
        self._changed.set()

    async def run(self) -> None:
        """For ever."""
        while True:
            await self._due()
            await self._evaluate()

    async def _due(self) -> None:
        while not self._asked:
            self._changed.clear()
            idle = self._schedule is None or not self._schedule.checks
            try:
                async with asyncio.timeout(None if idle else self._wait):
                    await self._changed.wait()
            except TimeoutError:
                return

    async def _evaluate(self) -> None:
        schedule, asked, self._asked = self._schedule, self._asked, []
        if schedule is None:
            return
        self._wait = schedule.period * random.uniform(1 - SPREAD, 1 + SPREAD)  # noqa: S311 - jitter
        try:
            results = await self._look(schedule) if schedule.checks else ()
        except (Unavailable, Conflict) as error:
            for request_id in asked:
                self._failed(request_id, error)
            return
        except Exception:
            log.exception("the scheduled checks of a device could not be made")
            return
        await self._say(_queued(_report(schedule, results, asked)))


def _report(schedule: Schedule, results: Sequence[CheckResult], asked: Sequence[str]) -> CheckReport:
    findings = tuple(
        Finding(index=index, outcome=result.outcome, observed=result.observed, reason=result.reason)
        for index, result in enumerate(results)
    )
    report = CheckReport(
        schedule=schedule_digest(schedule), full=True, findings=findings, request_ids=tuple(asked[:20])
    )
    if sum(len(str(one.observed)) * 2 + len(one.reason) * 3 + 200 for one in findings) < REPORT_LIMIT:
        return report
    return replace(report, findings=tuple(replace(one, observed={}, reason=one.reason[:100]) for one in findings))


def _queued(report: CheckReport) -> Queued:
    """Agents tell out of a queue; what happens now is a queue of one."""
    content = json.loads(messages.encode(report))
    return Queued(queue=str(uuid.uuid4()), number=1, age=0, message=content)
