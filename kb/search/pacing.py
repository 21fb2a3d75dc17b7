"""How much one member may search: more than anyone types, less than what would harm the others.

What is counted is the time that the answers take, not their number: a question made to be slow costs what it takes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from compagnon.errors import TooMany
from compagnon.i18n import N_

BURST = 2.0  # seconds of searching without a pause: about eighty answers
SHARE = 0.12  # of each second, in the long run; typing without a pause takes about a tenth
LEAST = 0.025  # seconds that any search counts, taken in advance
AT_ONCE = 8  # searches of one member that have not been answered
SAID_AFTER = 1.0  # seconds: a script asks again as soon as it is refused, and being refused costs the others time too
REMEMBERED = 10_000  # members; beyond, all who wait for nothing begin anew
TOO_FAST = N_("These are too many searches at once: please wait a moment.")


@dataclass(slots=True)
class _Account:
    """Seconds that are left, when that was, and how many searches are not answered yet."""

    left: float
    at: float
    running: int = 0


class Pace:
    """An account of searching time for each member, in this process; it fills again as time passes."""

    def __init__(
        self,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._now = now
        self._sleep = sleep
        self._accounts: dict[int, _Account] = {}

    @asynccontextmanager
    async def turn(self, member_id: int) -> AsyncIterator[None]:
        """Around one search. Raises TooMany, after a second, when no time is left or too much is asked at once."""
        account = self._account(member_id)
        started = self._now()
        account.left = min(BURST, account.left + (started - account.at) * SHARE)
        account.at = started
        if account.left <= 0 or account.running >= AT_ONCE:
            await self._sleep(SAID_AFTER)
            raise TooMany(TOO_FAST, retry_after=1)
        account.left -= LEAST
        account.running += 1
        try:
            yield
        finally:
            account.running -= 1
            account.left -= max(0.0, self._now() - started - LEAST)

    def _account(self, member_id: int) -> _Account:
        if len(self._accounts) >= REMEMBERED:
            self._accounts = {number: known for number, known in self._accounts.items() if known.running}
        return self._accounts.setdefault(member_id, _Account(BURST, self._now()))
