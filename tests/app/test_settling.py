"""A started server's objects are taken out of the garbage collector's sight, and nothing of it is left at its end."""

from __future__ import annotations

import asyncio
import gc

import pytest

from compagnon.app.settling import settling


async def test_what_a_started_server_holds_is_not_looked_through_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compagnon.app.settling.MOMENTS", (0.0,))
    before, ready = gc.get_freeze_count(), asyncio.Event()
    try:
        async with settling(ready):
            await asyncio.sleep(0.01)
            assert gc.get_freeze_count() == before  # not while it starts
            ready.set()
            async with asyncio.timeout(10):
                while gc.get_freeze_count() == before:
                    await asyncio.sleep(0.01)
    finally:
        gc.unfreeze()
    assert [task for task in asyncio.all_tasks() if task.get_name() == "settling"] == []


async def test_a_server_that_never_answered_leaves_nothing_behind() -> None:
    async with settling(asyncio.Event()):
        await asyncio.sleep(0)
    assert [task for task in asyncio.all_tasks() if task.get_name() == "settling"] == []
