"""A WebSocket client that costs next to nothing: thousands of simulated agents share the cores with what is measured.

It does what RFC 6455 asks of a client on a clean line and no more: one upgrade, whole messages, the close frame.
"""

from __future__ import annotations

import asyncio
import base64
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

TEXT, BINARY, CLOSE = 0x1, 0x2, 0x8


class Gone(Exception):
    """The connection has ended; ``reason`` as the server gave it."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(slots=True)
class PlainSocket:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def recv(self) -> str | bytes:
        """The next message. Raises Gone."""
        try:
            while True:
                first, length = await self.reader.readexactly(2)
                if length == 126:
                    (length,) = struct.unpack("!H", await self.reader.readexactly(2))
                elif length == 127:
                    (length,) = struct.unpack("!Q", await self.reader.readexactly(8))
                payload = await self.reader.readexactly(length)
                if first & 0x0F == CLOSE:
                    self.writer.close()
                    raise Gone(payload[2:].decode())
                if first & 0x0F == TEXT:
                    return payload.decode()
                if first & 0x0F == BINARY:
                    return payload
        except (asyncio.IncompleteReadError, ConnectionError):
            raise Gone from None

    def send(self, message: str | bytes) -> None:
        """A message of less than 64 KiB."""
        payload, kind = (message.encode(), TEXT) if isinstance(message, str) else (message, BINARY)
        size, mask, first = len(payload), os.urandom(4), 0x80 | kind
        head = struct.pack("!BB", first, 0x80 | size) if size < 126 else struct.pack("!BBH", first, 0xFE, size)
        pad = (mask * (size // 4 + 1))[:size]
        masked = (int.from_bytes(payload, "big") ^ int.from_bytes(pad, "big")).to_bytes(size, "big")
        self.writer.write(head + mask + masked)


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
