"""Agents that arrive at once, after a restart all of them: let in a few at a time, asked and noted together.

Ten thousand single queries and transactions take a server longer than ten thousand handshakes. Whoever arrives within
the same moment shares one of each; who would have to wait too long is told when to come again.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

AT_ONCE = 48
"""Handshakes under way."""

WAITING = 5000
"""More wait for their turn: less than the 15 seconds that an agent waits for its verdict."""

AGAIN = (2, 6)
"""Seconds after which those that are turned away may come again."""

MOMENT = 0.01  # seconds that a query waits for others to join it
TOGETHER = 500

K = TypeVar("K")
V = TypeVar("V")


class Crowded(Exception):
    """Too many wait already; ``after``: seconds until it is worth another try."""

    def __init__(self, after: int) -> None:
        super().__init__(f"retry after {after}")
        self.after = after


class Door:
    """How many agents may be at their handshake at once."""

    def __init__(self, at_once: int = AT_ONCE, waiting: int = WAITING) -> None:
        self._room = asyncio.Semaphore(at_once)
        self._most = waiting
        self._waiting = 0

    @asynccontextmanager
    async def passing(self) -> AsyncIterator[None]:
        """Raises Crowded."""
        if self._waiting >= self._most:
            raise Crowded(random.randint(*AGAIN))  # noqa: S311 - spreading load
        self._waiting += 1
        try:
            await self._room.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._room.release()


class Together(Generic[K, V]):
    """Asks for many what single callers ask for one by one. ``answer`` gets the questions and answers each in order.

    What it raises, everyone who shared the question gets.
    """

    def __init__(self, answer: Callable[[Sequence[K]], Awaitable[Sequence[V]]]) -> None:
        self._answer = answer
        self._asked: list[tuple[K, asyncio.Future[V]]] = []
        self._task: asyncio.Task[None] | None = None

    async def ask(self, question: K) -> V:
        future: asyncio.Future[V] = asyncio.get_running_loop().create_future()
        self._asked.append((question, future))
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        return await future

    async def _run(self) -> None:
        await asyncio.sleep(MOMENT)
        while self._asked:
            batch, self._asked = self._asked[:TOGETHER], self._asked[TOGETHER:]
            await self._one(batch)
        self._task = None

    async def _one(self, batch: Sequence[tuple[K, asyncio.Future[V]]]) -> None:
        try:
            answers = await self._answer([question for question, _ in batch])
        except Exception as error:
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), answer in zip(batch, answers, strict=True):
            if not future.done():
                future.set_result(answer)
