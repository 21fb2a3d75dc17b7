"""How fast one member may search: quicker than anyone types, slower than what would harm the others."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from compagnon.errors import TooMany
from compagnon.i18n import N_

BURST = 60  # searches at once
PER_SECOND = 10.0  # in the long run; typing without a pause asks about five times a second
SAID_AFTER = 1.0  # seconds: a script asks again as soon as it is refused, and being refused costs the others time too
REMEMBERED = 10_000  # members; beyond, all begin anew
TOO_FAST = N_("These are too many searches at once: please wait a moment.")


class Pace:
    """A bucket of searches for each member, in this process; it fills again with time."""

    def __init__(
        self,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._now = now
        self._sleep = sleep
        self._left: dict[int, tuple[float, float]] = {}  # member → searches left, and when that was

    async def take(self, member_id: int) -> None:
        """Count one search. Raises TooMany, after a second, when the member has none left."""
        now = self._now()
        left, at = self._left.get(member_id, (float(BURST), now))
        left = min(BURST, left + (now - at) * PER_SECOND)
        if left < 1:
            await self._sleep(SAID_AFTER)
            raise TooMany(TOO_FAST, retry_after=1)
        if len(self._left) >= REMEMBERED:
            self._left.clear()
        self._left[member_id] = (left - 1, now)
