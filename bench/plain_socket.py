"""A WebSocket client that costs next to nothing: thousands of simulated agents share the cores with what is measured.

It does what RFC 6455 asks of a client on a clean line and no more: one upgrade, whole messages, the close frame.
"""

from __future__ import annotations

import asyncio
import base64
import os
import struct
from collections.abc import Mapping
from urllib.parse import urlsplit

TEXT, BINARY, CLOSE = 0x1, 0x2, 0x8
MASK = bytes(4)
AT_ONCE = 64 * 1024  # bytes of one read


class Gone(Exception):
    """The connection has ended; ``reason`` as the server gave it."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = reason


class PlainSocket:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer
        self._arrived = bytearray()

    async def recv(self) -> str | bytes:
        """The next message. Raises Gone."""
        while (found := self._next()) is None:
            try:
                more = await self._reader.read(AT_ONCE)
            except ConnectionError:
                raise Gone from None
            if not more:
                raise Gone
            self._arrived += more
        kind, payload = found
        if kind == CLOSE:
            self.writer.close()
            raise Gone(payload[2:].decode())
        return payload.decode() if kind == TEXT else payload

    def _next(self) -> tuple[int, bytes] | None:
        """The kind and payload of the next whole frame, taken from what has arrived."""
        arrived = self._arrived
        if len(arrived) < 2:
            return None
        start, size = 2, arrived[1]
        if size >= 126:
            start = 4 if size == 126 else 10
            size = int.from_bytes(arrived[2:start], "big")
        if len(arrived) < start + size:
            return None
        kind, payload = arrived[0] & 0x0F, bytes(arrived[start : start + size])
        del arrived[: start + size]
        return kind, payload

    def send(self, message: str | bytes) -> None:
        """A message of less than 64 KiB. Its mask changes nothing: there is no proxy here to be confused (§5.3)."""
        payload, kind = (message.encode(), TEXT) if isinstance(message, str) else (message, BINARY)
        size, first = len(payload), 0x80 | kind
        head = struct.pack("!BB", first, 0x80 | size) if size < 126 else struct.pack("!BBH", first, 0xFE, size)
        self.writer.write(head + MASK + payload)


async def connect(url: str, headers: Mapping[str, str] | None = None) -> PlainSocket:
    """Raises OSError, Gone (not upgraded)."""
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    key = base64.b64encode(os.urandom(16)).decode()
    more = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
    writer.write(
        f"GET {address.path}?{address.query} HTTP/1.1\r\nHost: {address.netloc}\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n{more}\r\n".encode()
    )
    try:
        answer = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        raise Gone from None
    if not answer.startswith(b"HTTP/1.1 101"):
        writer.close()
        raise Gone(answer.split(b"\r\n", 1)[0].decode())
    return PlainSocket(reader, writer)
