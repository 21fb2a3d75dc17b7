"""How fast one member may search."""

from __future__ import annotations

import pytest

from compagnon.errors import TooMany
from kb.search.pacing import BURST, PER_SECOND, SAID_AFTER, Pace


class Clock:
    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def pace(self) -> Pace:
        return Pace(lambda: self.now, self.sleep)


async def test_a_member_who_asks_without_end_is_stopped_and_the_others_are_not() -> None:
    clock = Clock()
    pace = clock.pace()
    for _ in range(BURST):
        await pace.take(1)
    with pytest.raises(TooMany):
        await pace.take(1)
    assert clock.slept == [SAID_AFTER]  # whoever asks again at once is not refused a thousand times a second
    await pace.take(2)
    clock.now += 1.0
    for _ in range(int(PER_SECOND)):
        await pace.take(1)
    with pytest.raises(TooMany):
        await pace.take(1)


async def test_typing_without_a_pause_is_never_too_fast() -> None:
    clock = Clock()
    pace = clock.pace()
    for _ in range(2_000):
        await pace.take(1)
        clock.now += 1 / 8
    assert not clock.slept
