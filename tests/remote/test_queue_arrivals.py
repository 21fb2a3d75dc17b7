"""Agents that arrive all at once: a few at a time, asked together, and told when to come again."""

from __future__ import annotations

import asyncio

import pytest
from websockets.exceptions import ConnectionClosedError
from websockets.frames import Close

from compagnon_agent.link import Backoff, refused, retry_after
from remote.control.arrivals import AGAIN, TOGETHER, Crowded, Door, Together


async def test_a_few_at_a_time_and_the_rest_later():
    door, inside, most = Door(at_once=3, waiting=5), 0, 0
    leave = asyncio.Event()

    async def agent():
        nonlocal inside, most
        async with door.passing():
            inside += 1
            most = max(most, inside)
            await leave.wait()
            inside -= 1

    tasks = [asyncio.create_task(agent()) for _ in range(8)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    with pytest.raises(Crowded) as crowded:
        async with door.passing():
            pass
    assert AGAIN[0] <= crowded.value.after <= AGAIN[1]
    leave.set()
    await asyncio.gather(*tasks)
    assert most == 3
    async with door.passing():
        pass


async def test_who_gives_up_at_the_door_leaves_no_place_taken():
    door = Door(at_once=1, waiting=1)
    async with door.passing():
        waiting = asyncio.create_task(door.passing().__aenter__())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    async with door.passing():
        pass


async def test_many_questions_one_answer_each_in_its_place():
    asked = []

    async def answer(questions):
        asked.append(len(questions))
        return [question * 2 for question in questions]

    together = Together(answer)
    count = TOGETHER + 7
    assert await asyncio.gather(*(together.ask(number) for number in range(count))) == [2 * n for n in range(count)]
    assert asked == [TOGETHER, 7]
    assert await together.ask(4) == 8


async def test_a_question_that_fails_fails_for_those_who_shared_it_only():
    async def answer(questions):
        if 13 in questions:
            raise OSError("the database is gone")
        return questions

    together = Together(answer)
    found = await asyncio.gather(together.ask(1), together.ask(13), return_exceptions=True)
    assert [type(one) for one in found] == [OSError, OSError]
    assert await together.ask(1) == 1


def closed(code: int, reason: str) -> ConnectionClosedError:
    return ConnectionClosedError(Close(code, reason), None)


def test_an_agent_does_what_it_is_told_at_the_door():
    assert retry_after(closed(1013, str(Crowded(7)))) == 7
    for other in (closed(1012, "retry after 7"), closed(1013, "retry after 7777"), closed(1013, ""), OSError()):
        assert retry_after(other) == 0
    pauses = [Backoff(1.0, 30.0).pause(7) for _ in range(200)]
    assert all(7 <= pause <= 14 for pause in pauses)
    assert max(pauses) - min(pauses) > 3, "spread, or they would all come at the same moment"
    assert refused(closed(4001, "not authenticated"))
    assert not refused(closed(1006, ""))
