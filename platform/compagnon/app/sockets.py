"""The server's WebSockets: uvicorn's, with a way to drop a peer that does not read, and small enough for ten thousand.

ASGI knows only a polite close, which waits for the peer: a stalled one would keep its connection, and whoever waits to
send to it, for ever; and what it sends and receives passes through every layer of the framework, with a turn of the
loop. The scope's extension ``compagnon.socket`` is the protocol itself: see the public methods of ``DirectWebSocket``.
A key and its echo go that way, in the turn that read them.

A connection that lasts for weeks keeps nothing of its handshake, and no queue or event that it does not use. Addresses
in ``Config.direct`` go straight to their handler: each layer of the web framework would keep a frame for each of them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Literal

import uvicorn
from litestar.types import ASGIApp
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.exceptions import InvalidState
from websockets.frames import Frame
from websockets.utils import apply_mask

from compagnon_agent.protocol import short_frames
from compagnon_agent.protocol.short_frames import Between

SHORT = 1024  # bytes of a message that does not stop the reading while a few like it wait
FEW = 16


class Config(uvicorn.Config):
    """``direct``: WebSocket addresses that need nothing of the application around their handler."""

    direct: Mapping[str, Any]

    def serve_directly(self, handlers: Mapping[str, ASGIApp]) -> None:
        trusted: Any = self.forwarded_allow_ips
        self.direct = {
            path: ProxyHeadersMiddleware(handler, trusted)  # type: ignore[arg-type]  # two names for one protocol
            for path, handler in handlers.items()
        }


class Gate:
    """The part of ``asyncio.Event`` that the protocol uses; it costs nothing while nobody waits."""

    __slots__ = ("_open", "_waiting")

    def __init__(self) -> None:
        self._open = True
        self._waiting: list[asyncio.Future[None]] | None = None

    def set(self) -> None:
        self._open = True
        for future in self._waiting or ():
            if not future.done():
                future.set_result(None)
        self._waiting = None

    def clear(self) -> None:
        self._open = False

    def is_open(self) -> bool:
        return self._open

    async def wait(self) -> Literal[True]:
        while not self._open:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting = [*(self._waiting or ()), future]
            await future
        return True


class Inlet:
    """The part of ``asyncio.Queue`` that the protocol uses, for one reader; empty, it is as good as nothing."""

    __slots__ = ("_items", "_reader")

    def __init__(self) -> None:
        self._items: deque[Any] | None = None
        self._reader: asyncio.Future[None] | None = None

    def put_nowait(self, item: Any) -> None:  # noqa: ANN401 - an ASGI event
        if self._items is None:
            self._items = deque()
        self._items.append(item)
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    async def get(self) -> Any:  # noqa: ANN401
        while not self._items:
            self._reader = asyncio.get_running_loop().create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        item = self._items.popleft()
        if not self._items:
            self._items = None
        return item

    def empty(self) -> bool:
        return not self._items

    def __len__(self) -> int:
        return len(self._items or ())

    @property
    def awaited(self) -> bool:
        """Whether somebody waits for the next item, and nothing is on its way there."""
        return self._reader is not None and not self._reader.done()


class DirectWebSocket(WebSocketsSansIOProtocol):
    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._inlet = Inlet()
        self.queue = self._inlet  # type: ignore[assignment]
        self._gate = Gate()
        self._take: Callable[[bytes], bool] | None = None
        self._between = Between(masks=True)
        self.writable = self._gate  # type: ignore[assignment]

    async def run_asgi(self) -> None:
        self.scope["extensions"] = {**(self.scope.get("extensions") or {}), "compagnon.socket": self}  # type: ignore[dict-item]
        if isinstance(self.config, Config):
            self.app = self.config.direct.get(self.scope["path"], self.app)
        await super().run_asgi()

    def abort(self) -> None:
        """Drop the connection at once."""
        self.transport.abort()

    def is_writable(self) -> bool:
        """Whether what is sent now leaves without waiting."""
        return self._gate.is_open()

    def settle(self) -> None:
        """The handshake is over: forget what only it needed."""
        del self.request, self.response
        self.scope["headers"] = []
        self.scope["state"] = {}

    def deliver(self, take: Callable[[bytes], bool]) -> None:
        """Show ``take`` each short binary message that comes by itself while the handler waits for one.

        It returns whether it dealt with it; else the handler gets it.
        """
        self._take = take

    def data_received(self, data: bytes) -> None:
        if not self.handshake_complete:
            super().data_received(data)
        elif not self._is_taken(data):
            self._between.fed(len(data))
            super().data_received(data)

    def _is_taken(self, packet: bytes) -> bool:
        """Whether the packet was one short message, as keys are, for a handler that waits, and was taken at once."""
        if self._take is None or not self._inlet.awaited or not self._between or self.close_sent:
            return False
        found = short_frames.masked(packet)
        return found is not None and self._take(apply_mask(*found))

    def handle_text(self, event: Frame) -> None:
        if event.fin:
            self._between.came(len(event.data))
        super().handle_text(event)

    def handle_bytes(self, event: Frame) -> None:
        """Short messages do not stop the reading one by one, which costs four system calls each."""
        if event.fin:
            self._between.came(len(event.data))
        if event.fin and not self.close_sent and len(event.data) <= SHORT and len(self._inlet) < FEW:
            self._inlet.put_nowait({"type": "websocket.receive", "bytes": event.data})
        else:
            super().handle_bytes(event)

    def post(self, message: bytes) -> bool:
        """Send a binary message at once; False, and nothing is sent, where it would have to wait or nobody is there."""
        if not self._gate.is_open() or self.transport.is_closing():
            return False
        try:
            self.conn.send_binary(message)
        except InvalidState:
            return False
        self.transport.write(b"".join(self.conn.data_to_send()))
        return True
