"""The server's WebSockets: uvicorn's, with a way to drop a peer that does not read, and small enough for ten thousand.

ASGI knows only a polite close, which waits for the peer: a stalled one would keep its connection, and whoever waits to
send to it, for ever. The scope's extension ``compagnon.abort`` holds the transport's ``abort``; its ``writable`` says
whether what is sent now would leave without waiting.

A connection that lasts for weeks keeps nothing of its handshake, and no queue or event that it does not use. Addresses
in ``Config.direct`` go straight to their handler: each layer of the web framework would keep a frame for each of them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import Any, Literal

import uvicorn
from litestar.types import ASGIApp
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState


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


class AbortableWebSocket(WebSocketsSansIOProtocol):
    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.queue = Inlet()  # type: ignore[assignment]
        self._gate = Gate()
        self.writable = self._gate  # type: ignore[assignment]

    async def run_asgi(self) -> None:
        extensions = dict(self.scope.get("extensions") or {})
        extensions["compagnon.abort"] = {
            "abort": self.transport.abort,
            "settle": self.settle,
            "writable": self._gate.is_open,
        }
        self.scope["extensions"] = extensions
        if isinstance(self.config, Config):
            self.app = self.config.direct.get(self.scope["path"], self.app)
        await super().run_asgi()

    def settle(self) -> None:
        """The handshake is over: forget what only it needed."""
        del self.request, self.response
        self.scope["headers"] = []
        self.scope["state"] = {}
