"""A conversation with the person at the machine, and where it is shown: a window, their helper's, or the terminal."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Protocol

from .consent import has_display, has_terminal, read_line
from .desk.channel import Ended, Exchange
from .desk.core import Desk, NoDesk
from .protocol.spoken import spoken
from .protocol.wire import JSON
from .words import own_locale, say

KEPT = 200
"""Lines that a window shows again when it was closed meanwhile."""

LINE_LIMIT = 64 * 1024
Shown = Mapping[str, JSON]


class Listener(Protocol):
    """What the person does. ``said`` answers whether the line was taken."""

    def said(self, text: str) -> bool: ...

    def typing(self) -> None: ...


class Conversation:
    """Both sides' lines, for whatever shows them. All of it runs on one loop."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._lines: list[Shown] = []
        self._first = 0
        self._typing = ""
        self._moved = asyncio.Event()

    def add(self, name: str, text: str) -> None:
        self._lines.append({"name": name, "text": text})
        if len(self._lines) > KEPT:
            self._first += 1
            del self._lines[0]
        self._move()

    def types(self, name: str) -> None:
        """Somebody elsewhere is typing: said to who looks now, and forgotten."""
        self._typing = name
        self._move()

    def _move(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()

    async def follow(self) -> AsyncIterator[Shown]:
        """Everything that is kept, then what comes."""
        at = self._first
        while True:
            moved = self._moved
            at = max(at, self._first)
            while at < self._first + len(self._lines):
                yield self._lines[at - self._first]
                at += 1
            if self._typing:
                typing, self._typing = self._typing, ""
                yield {"typing": typing}
                continue
            await moved.wait()

    def hear(self, told: object) -> None:
        """What a window told: hostile, as everything that comes from another process."""
        if not isinstance(told, dict):
            return
        if isinstance(told.get("say"), str):
            self.say_here(told["say"])
        elif told.get("typing") is True:
            self._listener.typing()

    def say_here(self, raw: str) -> None:
        text = spoken(raw)
        if not text:
            return
        if self._listener.said(text):
            self.add(say(own_locale(), "You"), text)
        else:
            self.add("!", say(own_locale(), "This was not sent: too much is waiting. Write it again in a moment."))


async def can_show(desk: Desk) -> bool:
    """Whether there is anybody to write with."""
    if has_display() or has_terminal():
        return True
    with contextlib.suppress(NoDesk):
        await desk.helper()
        return True
    return False


async def show(talk: Conversation, desk: Desk) -> None:
    """Until the person closes it, or it fails."""
    if has_display():
        await in_window(talk.follow(), talk.hear)
    elif not await _at_the_desk(talk, desk) and has_terminal():
        await _in_terminal(talk)


def texts() -> dict[str, str]:
    locale = own_locale()
    return {
        "title": say(locale, "Compagnon: write with the technician"),
        "note": say(locale, "What is written here is recorded with the ticket."),
        "send": say(locale, "Send"),
        "typing": say(locale, "{name} is writing…"),
    }


async def in_window(shown: AsyncIterator[Shown], hear: Callable[[object], object]) -> None:
    """In a process of its own, on the screen of whoever runs this one."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "compagnon_agent.chat_window",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        limit=LINE_LIMIT,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    feeding = asyncio.create_task(_feed(process.stdin, shown))
    try:
        async for line in process.stdout:
            hear(json.loads(line))
    except ValueError:
        return  # not JSON, or an endless line: no window of ours
    finally:
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _feed(pipe: asyncio.StreamWriter, shown: AsyncIterator[Shown]) -> None:
    pipe.write((json.dumps(texts()) + "\n").encode())
    async for one in shown:
        pipe.write((json.dumps(one) + "\n").encode())
        await pipe.drain()


async def _at_the_desk(talk: Conversation, desk: Desk) -> bool:
    """False when nobody's helper is there."""
    try:
        async with desk.open("chat", {}) as (exchange, _person):
            feeding = asyncio.create_task(_feed_exchange(exchange, talk))
            try:
                while True:
                    talk.hear(dict((await exchange.receive()).payload))
            finally:
                feeding.cancel()
                await asyncio.gather(feeding, return_exceptions=True)
    except NoDesk:
        return False
    except Ended:
        return True


async def _feed_exchange(exchange: Exchange, talk: Conversation) -> None:
    async for one in talk.follow():
        await exchange.send(one)


async def for_the_core(exchange: Exchange) -> None:
    """The helper's end: the window on its person's screen, until it is closed."""

    async def shown() -> AsyncIterator[Shown]:
        while True:
            yield (await exchange.receive()).payload

    if not has_display():
        return
    waiting: set[asyncio.Task[None]] = set()

    def hear(told: object) -> None:
        if isinstance(told, dict):
            task = asyncio.create_task(exchange.send(told))
            waiting.add(task)
            task.add_done_callback(waiting.discard)

    await in_window(shown(), hear)
    await asyncio.gather(*waiting, return_exceptions=True)


async def _in_terminal(talk: Conversation) -> None:
    print("● " + say(own_locale(), "The technician writes with you: answer here, a line each."), flush=True)
    printing = asyncio.create_task(_print(talk))
    try:
        while (line := await read_line()) is not None:
            talk.say_here(line)
    finally:
        printing.cancel()
        await asyncio.gather(printing, return_exceptions=True)


async def _print(talk: Conversation) -> None:
    async for one in talk.follow():
        if "text" in one:
            print(f"{one['name']}: {one['text']}", flush=True)
