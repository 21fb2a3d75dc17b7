"""Time for what ends by itself, whatever becomes of the machine's clock.

A machine's clock may be wrong by years, and be put right at any moment. So the wall clock is read once, when the agent
starts; from then on time is what the steady clock adds to it (which counts on while the machine sleeps). How long a
consent holds depends neither on the server's clock nor on corrections of this one.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta


def steady() -> float:
    """Seconds that no setting of the clock moves, asleep or awake."""
    if sys.platform == "linux":
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    if sys.platform == "darwin":
        return time.clock_gettime(time.CLOCK_MONOTONIC)
    return time.monotonic()


class Clock:
    """``wall`` in seconds since 1970, ``steady`` as the function above; given by tests."""

    def __init__(self, wall: Callable[[], float] = time.time, steady: Callable[[], float] = steady) -> None:
        self._started = datetime.fromtimestamp(wall(), UTC)
        self._steady = steady
        self._origin = steady()

    def now(self) -> datetime:
        return self._started + timedelta(seconds=self._steady() - self._origin)

    def age(self, moment: datetime) -> int:
        """Whole seconds since ``moment``, never negative."""
        return max(0, int((self.now() - moment).total_seconds()))
