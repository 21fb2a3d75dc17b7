"""How much one machine may write into the audit log by itself: its agent may be hostile, and the log is for ever."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

PER_HOUR = 60
SAME_FOR = 600.0  # seconds in which the same message again says nothing new


@dataclass(slots=True)
class Account:
    left: float
    at: float
    unsaid: int = 0  # messages that were only counted since the last one that was written
    last: tuple[str, ...] = ()
    last_at: float = 0.0


class Budget:
    """A token bucket for each machine. In memory: a restart gives everybody a full one."""

    def __init__(self, per_hour: int = PER_HOUR, clock: Callable[[], float] = time.monotonic) -> None:
        self._size = float(per_hour)
        self._clock = clock
        self._accounts: dict[int, Account] = {}

    def spend(self, machine_id: int, *message: str) -> int | None:
        """None: do not write this (a repeat, or too much). Else how many messages were not written before it."""
        now = self._clock()
        account = self._accounts.setdefault(machine_id, Account(left=self._size, at=now))
        account.left = min(self._size, account.left + (now - account.at) * self._size / 3600)
        account.at = now
        repeated = account.last == message and now - account.last_at < SAME_FOR
        if repeated or account.left < 1:
            account.unsaid += 1
            return None
        account.left -= 1
        account.last, account.last_at = message, now
        unsaid, account.unsaid = account.unsaid, 0
        return unsaid
