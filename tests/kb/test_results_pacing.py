"""How fast one member may search."""

from __future__ import annotations

import pytest

from compagnon.errors import TooMany
from kb.search.pacing import BURST, PER_SECOND, Pace


def test_a_member_who_asks_without_end_is_stopped_and_the_others_are_not() -> None:
    clock = [100.0]
    pace = Pace(lambda: clock[0])
    for _ in range(BURST):
        pace.take(1)
    with pytest.raises(TooMany):
        pace.take(1)
    pace.take(2)
    clock[0] += 1.0
    for _ in range(int(PER_SECOND)):
        pace.take(1)
    with pytest.raises(TooMany):
        pace.take(1)


def test_typing_without_a_pause_is_never_too_fast() -> None:
    clock = [0.0]
    pace = Pace(lambda: clock[0])
    for _ in range(2_000):
        pace.take(1)
        clock[0] += 1 / 8
