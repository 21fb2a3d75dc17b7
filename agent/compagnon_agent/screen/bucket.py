"""How many bytes may be sent now: a token bucket."""

from __future__ import annotations

RATE = 160_000
"""Bytes a second: with what was saved up, 200,000 in the worst one."""

BURST_SECONDS = 0.25


class Bucket:
    """Filled with ``rate`` bytes a second, for at most :data:`BURST_SECONDS`. Times are the caller's, monotonic."""

    def __init__(self, rate: int = RATE, *, now: float) -> None:
        self.rate = rate
        self._tokens = rate * BURST_SECONDS
        self._at = now

    @property
    def least(self) -> float:
        """Half of what is saved up at most."""
        return self.rate * BURST_SECONDS / 2

    def available(self, now: float) -> int:
        self._tokens = min(self.rate * BURST_SECONDS, self._tokens + (now - self._at) * self.rate)
        self._at = now
        return max(0, int(self._tokens))

    def spend(self, count: int) -> None:
        self._tokens -= count
