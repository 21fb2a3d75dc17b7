"""One of the screen's programs, as it is asked: in a process of its own here, or by the helper of the person."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import struct
import sys
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from typing import Protocol

from ..consent import has_display
from ..desk.channel import Ended, Exchange
from ..desk.core import Desk, NoDesk
from ..protocol.wire import JSON

ANSWER_LIMIT = 4 * 1024 * 1024
ANSWER_SECONDS = 20.0
LINE_LIMIT = 64 * 1024
_LENGTH = struct.Struct(">I")
NAMES = ("eye", "pointer", "hands")
WAYLAND = "this desktop (Wayland) does not let a program look at the screen: an X11 session is needed"


class Program(Protocol):
    async def ask(self, order: Mapping[str, JSON]) -> bytes:
        """One order, one answer, in turn. Raises ``OSError`` when the program has failed."""
        ...

    async def close(self) -> None: ...


class Local:
    """In a process of its own, started with the first order."""

    def __init__(self, name: str) -> None:
        assert name in NAMES
        self._name = name
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()

    async def ask(self, order: Mapping[str, JSON]) -> bytes:
        async with self._turn:
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    return await self._asked(order)
            except (TimeoutError, asyncio.IncompleteReadError, ConnectionError):
                await self.close()
                raise OSError(f"the program for the screen ({self._name}) has failed") from None
            except asyncio.CancelledError:
                await self.close()  # what it answers now would be taken for the answer to the next order
                raise

    async def _asked(self, order: Mapping[str, JSON]) -> bytes:
        process = self._process or await self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write((json.dumps(dict(order)) + "\n").encode())
        await process.stdin.drain()
        (length,) = _LENGTH.unpack(await process.stdout.readexactly(_LENGTH.size))
        if length > ANSWER_LIMIT:
            raise ConnectionError("an answer is too long")
        return await process.stdout.readexactly(length)

    async def _start(self) -> asyncio.subprocess.Process:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            f"compagnon_agent.screen.{self._name}",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        return self._process

    async def close(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


class AtTheDesk:
    """On the screen of whoever is there, through their helper."""

    def __init__(self, name: str, desk: Desk) -> None:
        self._name = name
        self._desk = desk
        self._stack: AsyncExitStack | None = None
        self._exchange: Exchange | None = None
        self._turn = asyncio.Lock()

    async def ask(self, order: Mapping[str, JSON]) -> bytes:
        async with self._turn:
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    exchange = self._exchange or await self._open()
                    await exchange.send(order)
                    return (await exchange.receive()).body
            except (NoDesk, Ended, TimeoutError) as fault:
                await self.close()
                raise OSError(str(fault) or "nobody's helper is at the screen") from None

    async def _open(self) -> Exchange:
        self._stack = AsyncExitStack()
        opened, _ = await self._stack.enter_async_context(self._desk.open("screen", {"program": self._name}))
        self._exchange = opened
        return opened

    async def close(self) -> None:
        stack, self._stack, self._exchange = self._stack, None, None
        if stack is not None:
            await stack.aclose()


def program(name: str, desk: Desk) -> Program:
    return Local(name) if has_display() else AtTheDesk(name, desk)


def why_not() -> str:
    """Why the desktop of this process cannot be looked at, or nothing."""
    wayland = os.environ.get("WAYLAND_DISPLAY") or os.environ.get("XDG_SESSION_TYPE") == "wayland"
    return WAYLAND if wayland and sys.platform.startswith("linux") else ""


async def for_the_core(exchange: Exchange) -> None:
    """The helper's end: payload ``program``; then an order and an answer, again and again."""
    name = exchange.payload.get("program")
    if not isinstance(name, str) or name not in NAMES or not has_display():
        return
    if refusal := why_not():
        raise OSError(refusal)
    local = Local(name)
    try:
        while True:
            order = (await exchange.receive()).payload
            await exchange.send({}, await local.ask(order))
    finally:
        await local.close()


def serve(answer: Callable[[Mapping[str, object]], bytes]) -> None:
    """The program's side: an order a line, an answer each, until the orders end."""
    for line in iter(lambda: sys.stdin.buffer.readline(LINE_LIMIT), b""):
        order = json.loads(line)
        data = answer(order if isinstance(order, dict) else {})
        sys.stdout.buffer.write(_LENGTH.pack(len(data)) + data)
        sys.stdout.buffer.flush()
