"""How much one member may search."""

from __future__ import annotations

import pytest

from compagnon.errors import TooMany
from kb.search.pacing import AT_ONCE, BURST, LEAST, REMEMBERED, SAID_AFTER, SHARE, Pace


class Clock:
    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def pace(self) -> Pace:
        return Pace(lambda: self.now, self.sleep)

    async def search(self, pace: Pace, member_id: int, seconds: float) -> None:
        async with pace.turn(member_id):
            self.now += seconds

    async def until_refused(self, pace: Pace, member_id: int, seconds: float) -> int:
        for count in range(10_000):
            try:
                await self.search(pace, member_id, seconds)
            except TooMany:
                return count
        raise AssertionError("never refused")


async def test_a_member_who_asks_without_end_is_stopped_and_the_others_are_not() -> None:
    clock = Clock()
    pace = clock.pace()
    count = await clock.until_refused(pace, 1, 0.0)
    assert count == pytest.approx(BURST / LEAST, abs=2)
    assert clock.slept == [SAID_AFTER]  # whoever asks again at once is not refused a thousand times a second
    await clock.search(pace, 2, 0.0)
    clock.now += 1.0
    assert await clock.until_refused(pace, 1, 0.0) == pytest.approx(SHARE / LEAST, abs=1.5)


async def test_what_is_made_to_be_slow_costs_what_it_takes() -> None:
    clock = Clock()
    pace = clock.pace()
    assert await clock.until_refused(pace, 1, 0.6) == 4  # a little comes back while each lasts
    clock.now += 4.0
    assert await clock.until_refused(pace, 1, 0.6) < 3


async def test_what_was_not_answered_counts_and_is_given_back_when_it_fails() -> None:
    clock = Clock()
    pace = clock.pace()
    turns = [pace.turn(1) for _ in range(AT_ONCE + 1)]
    for turn in turns[:AT_ONCE]:
        await turn.__aenter__()
    with pytest.raises(TooMany):
        await turns[AT_ONCE].__aenter__()
    assert not await turns[0].__aexit__(ValueError, ValueError("broken"), None)
    await clock.search(pace, 1, 0.0)


async def test_typing_without_a_pause_is_never_too_fast() -> None:
    clock = Clock()
    pace = clock.pace()
    for _ in range(2_000):
        await clock.search(pace, 1, 0.02)
        clock.now += 1 / 5 - 0.02  # the page waits for a fifth of a second without a key
    assert not clock.slept


async def test_the_accounts_of_many_members_do_not_grow_without_end() -> None:
    clock = Clock()
    pace = clock.pace()
    running = pace.turn(0)
    await running.__aenter__()
    for member_id in range(1, 2 * REMEMBERED):
        await clock.search(pace, member_id, 0.0)
    assert len(pace._accounts) <= REMEMBERED
    assert pace._accounts[0].running == 1
