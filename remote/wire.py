"""A WebSocket as the rest of this package sees it: thin over ASGI, so that one connection costs one small object.

Litestar's own WebSocket object, its request scope copies and its stream wrappers cost several kilobytes a connection;
an agent's control connection lives for weeks, ten thousand at a time (``bench/agents.py`` measures it).
"""

from __future__ import annotations

import contextlib
from urllib.parse import parse_qs

from litestar.types import Receive, Scope, Send

# RFC 6455 §7.4.1, and our own (docs/reference/protocol.md).
NORMAL = 1000
TRY_AGAIN = 1013
PROTOCOL_ERROR = 4000
NOT_AUTHENTICATED = 4001
NO_SESSION = 4004
SILENT = 4008
REPLACED = 4009
TOO_FAST = 4029


class Closed(Exception):
    """The other side is gone."""


class Wire:
    """One accepted WebSocket. Sending waits while the other side does not read (64 KiB are buffered below)."""

    __slots__ = ("_receive", "_send", "closed")

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self.closed = False

    async def accept(self) -> None:
        await self._receive()
        await self._send({"type": "websocket.accept", "subprotocol": None, "headers": []})

    async def reject(self) -> None:
        """Answer the handshake with 403 (ASGI: close before accept)."""
        await self._receive()
        await self.close()

    async def receive(self) -> str | bytes:
        """The next message. Raises Closed."""
        message = await self._receive()
        if message["type"] != "websocket.receive":
            self.closed = True
            raise Closed
        text = message.get("text")
        if text is not None:
            return text
        return message.get("bytes") or b""

    async def send(self, data: str | bytes) -> None:
        """Raises Closed."""
        if self.closed:
            raise Closed
        try:
            if isinstance(data, str):
                await self._send({"type": "websocket.send", "text": data, "bytes": None})
            else:
                await self._send({"type": "websocket.send", "bytes": data, "text": None})
        except Closed:
            raise
        except Exception:
            self.closed = True
            raise Closed from None

    async def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Idempotent; never raises."""
        if self.closed:
            return
        self.closed = True
        with contextlib.suppress(Exception):  # the other side was faster
            await self._send({"type": "websocket.close", "code": code, "reason": reason[:120]})


def query(scope: Scope, name: str) -> str:
    """The first value of a query parameter, or empty."""
    raw = scope.get("query_string", b"")
    return parse_qs(raw.decode("latin-1"), max_num_fields=20).get(name, [""])[0]


def header(scope: Scope, name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), "")


def address(scope: Scope) -> str:
    """The peer's address, as the trusted proxies tell it (uvicorn has read X-Forwarded-For)."""
    client = scope.get("client")
    return client[0] if client else ""
