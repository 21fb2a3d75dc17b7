"""A WebSocket as the rest of this package sees it: thin over ASGI, so that one connection costs one small object.

Litestar's own WebSocket object, its request scope copies and its stream wrappers cost several kilobytes a connection;
an agent's control connection lives for weeks, ten thousand at a time (``bench/agents.py`` measures it).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, Protocol, cast
from urllib.parse import parse_qs

from litestar.types import Message, Receive, ReceiveMessage, Scope, Send

# RFC 6455 §7.4.1, and our own (docs/reference/protocol.md).
NORMAL = 1000
RESTART = 1012
TRY_AGAIN = 1013
PROTOCOL_ERROR = 4000
NOT_AUTHENTICATED = 4001
NO_SESSION = 4004
SILENT = 4008
REPLACED = 4009
TOO_FAST = 4029
NOT_ALLOWED = 4003

IN_A_ROW = 32  # messages of one peer before others have their turn: thousands may have come in one packet
PATIENCE = 8.0  # seconds a peer may leave its buffers full before it is cut off
LINGER = 15.0  # seconds a closed connection may take to send its last bytes
SOCKET = "compagnon.socket"  # the ASGI extension


class Closed(Exception):
    """The other side is gone."""


class Socket(Protocol):
    """What our own server's connections can do beyond ASGI (compagnon.app.sockets)."""

    def abort(self) -> None: ...

    def settle(self) -> None: ...

    def is_writable(self) -> bool: ...

    def post(self, message: bytes) -> bool: ...

    def deliver(self, take: Callable[[bytes], bool]) -> None: ...

    async def receive(self) -> ReceiveMessage: ...


class AsgiOnly:
    """The same for another server, which can do none of it."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive

    async def receive(self) -> ReceiveMessage:
        return await self._receive()

    def abort(self) -> None:
        return

    def settle(self) -> None:
        return

    def is_writable(self) -> bool:
        return False

    def post(self, message: bytes) -> bool:
        return False

    def deliver(self, take: Callable[[bytes], bool]) -> None:
        return


class Wire:
    """One accepted WebSocket. Sending waits while the other side does not read (64 KiB are buffered below).

    Nothing waits longer than its patience: a peer that does not read is then cut off, so that whoever reads from it
    notices. What looks after several peers uses ``dismiss``, which waits for nobody.
    """

    __slots__ = ("_receive", "_send", "_socket", "_taken", "closed")

    def __init__(self, receive: Receive, send: Send, scope: Scope | None = None) -> None:
        extensions = cast("dict[str, Any]", scope or {}).get("extensions") or {}
        self._receive = receive
        self._send = send
        self._socket: Socket = extensions.get(SOCKET) or AsgiOnly(receive)
        self._taken = 0
        self.closed = False

    async def accept(self) -> None:
        await self._receive()
        await self._send({"type": "websocket.accept", "subprotocol": None, "headers": []})

    def settle(self) -> None:
        """For a connection that lasts: the server may forget what only the HTTP handshake needed, headers and all."""
        self._socket.settle()

    async def reject(self) -> None:
        """Answer the handshake with 403 (ASGI: close before accept)."""
        await self._receive()
        await self.close()

    async def receive(self) -> str | bytes:
        """The next message. Raises Closed."""
        self._taken = (self._taken + 1) % IN_A_ROW
        if not self._taken:
            await asyncio.sleep(0)
        message = await self._socket.receive()
        if message["type"] != "websocket.receive":
            self.closed = True
            raise Closed
        text = message.get("text")
        if text is not None:
            return text
        return message.get("bytes") or b""

    def deliver(self, take: Callable[[bytes], bool]) -> None:
        """While ``receive`` waits, show ``take`` each short binary message that comes by itself.

        It returns whether it dealt with it.
        """
        self._socket.deliver(take)

    @property
    def ready(self) -> bool:
        """Whether ``post`` would send now."""
        return not self.closed and self._socket.is_writable()

    def post(self, data: bytes) -> bool:
        """Send without waiting; False, and nothing is sent, where it would have to wait or the other side is gone."""
        return not self.closed and self._socket.post(data)

    async def send(self, data: str | bytes, patience: float = PATIENCE) -> None:
        """Raises Closed, also when the other side read nothing for ``patience`` seconds: it is then cut off."""
        if self.closed:
            raise Closed
        text, raw = (data, None) if isinstance(data, str) else (None, data)
        try:
            await self._put({"type": "websocket.send", "text": text, "bytes": raw}, patience)
        except Exception:
            self.closed = True
            raise Closed from None

    async def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Idempotent; never raises; bounded by PATIENCE."""
        if self.closed:
            return
        self.closed = True
        with contextlib.suppress(Exception):  # the other side was faster
            await self._put({"type": "websocket.close", "code": code, "reason": reason[:120]}, PATIENCE)
            # The closing handshake waits for the last bytes to leave, which a stalled peer never lets them.
            asyncio.get_running_loop().call_later(LINGER, self._socket.abort)

    def dismiss(self, code: int, reason: str = "", *, last: str | bytes | None = None) -> None:
        """Close beside the caller, after a ``last`` message if there is one."""
        task = asyncio.create_task(self._leave(code, reason, last))
        _leaving.add(task)
        task.add_done_callback(_leaving.discard)

    def drop(self, code: int, reason: str) -> None:
        """Close it at once: its peer has gone elsewhere, and whoever waits to send to it is not to wait any longer."""
        self.dismiss(code, reason)
        self._socket.abort()

    async def _leave(self, code: int, reason: str, last: str | bytes | None) -> None:
        with contextlib.suppress(Closed):
            if last is not None:
                await self.send(last)
        await self.close(code, reason)

    async def _put(self, message: Message, patience: float) -> None:
        if self._socket.is_writable():  # as nearly always: nothing waits, so nothing needs a timer
            await self._send(message)
            return
        try:
            async with asyncio.timeout(patience):
                await self._send(message)
        except TimeoutError:
            self._socket.abort()
            raise


_leaving: set[asyncio.Task[None]] = set()  # the loop itself keeps no task alive


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
