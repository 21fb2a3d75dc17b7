"""What core and helper say to each other: exchanges, any number at once, over one local stream.

A frame is two lengths (4 bytes each, big-endian), a JSON head and bytes. An *exchange* is opened by the core with a
kind and a payload; then both sides send events until one ends it. Who does not read in time loses its exchange, the
others go on: ask for one picture after the other instead of having them poured out.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import struct
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from ..protocol.wire import JSON, WireError, dumps, loads

HEAD_LIMIT = 2 * 1024 * 1024
BODY_LIMIT = 8 * 1024 * 1024
WAITING = 64
"""Events of one exchange that wait to be received; one more ends it."""

EXCHANGES = 32
"""Exchanges that may be open at once."""

_LENGTHS = struct.Struct(">II")
Write = Callable[[Mapping[str, JSON], bytes], Awaitable[None]]


class Ended(Exception):
    """The exchange is over; the text is the other side's reason, or empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    payload: Mapping[str, JSON] = field(default_factory=dict)
    body: bytes = b""


class Exchange:
    """One end of a conversation about one thing. Used by one task."""

    def __init__(self, number: int, kind: str, payload: Mapping[str, JSON], write: Write) -> None:
        self.number = number
        self.kind = kind
        self.payload = payload
        self._write = write
        self._arrived: asyncio.Queue[Event | Ended] = asyncio.Queue(WAITING)
        self.over = False

    async def send(self, payload: Mapping[str, JSON] | None = None, body: bytes = b"") -> None:
        """An event for the other side; waits while it does not read. Raises :class:`Ended`, ``OSError``."""
        if self.over:
            raise Ended
        await self._write({"id": self.number, "event": dict(payload or {})}, body)

    async def receive(self) -> Event:
        """The next event of the other side. Raises :class:`Ended`."""
        event = await self._arrived.get()
        if isinstance(event, Ended):
            self.over = True
            self._arrived.put_nowait(event)
            raise event
        return event

    def deliver(self, event: Event | Ended) -> bool:
        """From the channel; False when it was not read for too long, and is over."""
        if isinstance(event, Event) and self._arrived.full():
            self.over = True
            return False
        if self._arrived.full():
            self._arrived.get_nowait()
        self._arrived.put_nowait(event)
        return True


Handler = Callable[[Exchange], Awaitable[None]]


class Channel:
    """One stream between a core and a helper. Handlers answer what the other side opens; the core has none."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, handlers: Mapping[str, Handler]
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._handlers = handlers
        self._numbers = itertools.count(1)
        self._open: dict[int, Exchange] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Read until the other side is gone. Raises ``WireError`` for nonsense, ``OSError``, ``EOFError``."""
        try:
            while True:
                head, body = await self._frame()
                await self._take(head, body)
        finally:
            self._lose()

    async def begin(self, kind: str, payload: Mapping[str, JSON]) -> Exchange:
        """Open an exchange with the other side. Raises ``OSError`` when it is gone."""
        exchange = Exchange(next(self._numbers), kind, payload, self._write)
        self._open[exchange.number] = exchange
        await self._write({"id": exchange.number, "open": kind, "payload": dict(payload)}, b"")
        return exchange

    async def end(self, exchange: Exchange, reason: str = "") -> None:
        """Idempotent, and never raises: the other side may be gone."""
        exchange.over = True
        if self._open.pop(exchange.number, None) is exchange:
            with contextlib.suppress(OSError):
                await self._write({"id": exchange.number, "end": reason[:500]}, b"")

    async def close(self) -> None:
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    async def _write(self, head: Mapping[str, JSON], body: bytes) -> None:
        source = dumps(dict(head)).encode()
        if len(source) > HEAD_LIMIT or len(body) > BODY_LIMIT:
            raise WireError("", "too long for the desk's channel")
        self._writer.write(_LENGTHS.pack(len(source), len(body)) + source + body)
        await self._writer.drain()

    async def _frame(self) -> tuple[dict[str, JSON], bytes]:
        head_size, body_size = _LENGTHS.unpack(await self._reader.readexactly(_LENGTHS.size))
        if head_size > HEAD_LIMIT or body_size > BODY_LIMIT:
            raise WireError("", "too long for the desk's channel")
        head = loads(await self._reader.readexactly(head_size), limit=HEAD_LIMIT)
        body = await self._reader.readexactly(body_size)
        if not isinstance(head, dict) or type(head.get("id")) is not int:
            raise WireError("id", "must be a number")
        return head, body

    async def _take(self, head: dict[str, JSON], body: bytes) -> None:
        number = head["id"]
        assert isinstance(number, int)
        if isinstance(head.get("open"), str):
            await self._opened(number, str(head["open"]), _object(head.get("payload")))
        elif number in self._open:
            await self._heard(self._open[number], head, body)

    async def _heard(self, exchange: Exchange, head: dict[str, JSON], body: bytes) -> None:
        if "end" in head:
            del self._open[exchange.number]
            self._stop(exchange.number)
            exchange.deliver(Ended(str(head["end"])[:500]))
        elif not exchange.deliver(Event(payload=_object(head.get("event")), body=body)):
            await self.end(exchange, "not read in time")

    async def _opened(self, number: int, kind: str, payload: Mapping[str, JSON]) -> None:
        exchange = Exchange(number, kind, payload, self._write)
        handler = self._handlers.get(kind)
        if handler is None or number in self._open or len(self._open) >= EXCHANGES:
            await self._write({"id": number, "end": "not possible here"}, b"")
            return
        self._open[number] = exchange
        task = asyncio.create_task(self._handle(handler, exchange))
        self._tasks[number] = task
        task.add_done_callback(lambda _: self._tasks.pop(number, None))

    async def _handle(self, handler: Handler, exchange: Exchange) -> None:
        reason = ""
        try:
            await handler(exchange)
        except Ended:
            pass
        except Exception as fault:  # whatever a handler meets ends its exchange, and is told
            reason = f"{type(fault).__name__}: {fault}"
        await self.end(exchange, reason)

    def _stop(self, number: int) -> None:
        if task := self._tasks.get(number):
            task.cancel()

    def _lose(self) -> None:
        for exchange in self._open.values():
            exchange.deliver(Ended("the other side is gone"))
        self._open.clear()
        for task in self._tasks.values():
            task.cancel()


def _object(value: object) -> Mapping[str, JSON]:
    return value if isinstance(value, dict) else {}
