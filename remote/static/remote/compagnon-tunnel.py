#!/usr/bin/env python3
"""Reach one host and port of a client's network, through an open tunnel session of Compagnon.

    python3 compagnon-tunnel.py https://server/sessions/ID --listen 127.0.0.1:8080 --code CODE

The code is on the session's page, good once. Listens on this computer only; Ctrl-C ends it. Standard library only.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import getpass
import ipaddress
import json
import os
import ssl
import struct
import sys
import urllib.error
import urllib.request
from collections.abc import Coroutine
from typing import Any
from urllib.parse import urlsplit

PIECE = 64 * 1024
MESSAGE_LIMIT = 2 * 1024 * 1024
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA  # RFC 6455 §5.2


class Refused(Exception):
    """The server does not let this connection through; the text says why."""


class Socket:
    """The client's side of a WebSocket (RFC 6455), as far as a tunnel needs it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, url: str, shown: str) -> Socket:
        parts = urlsplit(url)
        assert parts.hostname
        secure = parts.scheme == "https"
        port = parts.port or (443 if secure else 80)
        context = ssl.create_default_context() if secure else None
        reader, writer = await asyncio.open_connection(parts.hostname, port, ssl=context)
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [
            f"GET {parts.path} HTTP/1.1",
            f"Host: {parts.netloc}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {key}",
            "Sec-WebSocket-Version: 13",
            f"Authorization: Bearer {shown}",
        ]
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        answer = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        if " 101 " not in answer.partition("\r\n")[0] + " ":
            writer.close()
            raise Refused("the server does not take this connection: make a new command on the session's page")
        return cls(reader, writer)

    async def send(self, payload: bytes, kind: int = BINARY) -> None:
        """A client masks what it sends (§5.3)."""
        size = len(payload)
        if size < 126:
            head = struct.pack(">BB", 0x80 | kind, 0x80 | size)
        elif size < 65_536:
            head = struct.pack(">BBH", 0x80 | kind, 0x80 | 126, size)
        else:
            head = struct.pack(">BBQ", 0x80 | kind, 0x80 | 127, size)
        mask = os.urandom(4)
        self._writer.write(head + mask + masked(payload, mask))
        await self._writer.drain()

    async def receive(self) -> tuple[int, bytes]:
        """The next whole message: TEXT or BINARY, or CLOSE with the server's reason."""
        whole, kind = b"", 0
        while True:
            final, code, payload = await self._frame()
            if code == PING:
                await self.send(payload, PONG)
            elif code == CLOSE:
                return CLOSE, payload[2:]
            elif code in (TEXT, BINARY, CONTINUATION):
                kind = code or kind
                whole += payload
                if len(whole) > MESSAGE_LIMIT:
                    raise Refused("the server sends too much at once")
                if final:
                    return kind, whole

    async def _frame(self) -> tuple[bool, int, bytes]:
        first, second = await self._reader.readexactly(2)
        size = second & 0x7F
        if size == 126:
            (size,) = struct.unpack(">H", await self._reader.readexactly(2))
        elif size == 127:
            (size,) = struct.unpack(">Q", await self._reader.readexactly(8))
        if size > MESSAGE_LIMIT or second & 0x80:
            raise Refused("this is not a server of Compagnon")
        return bool(first & 0x80), first & 0x0F, await self._reader.readexactly(size)

    async def close(self) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await self.send(struct.pack(">H", 1000), CLOSE)
            self._writer.close()
            await self._writer.wait_closed()


def masked(payload: bytes, mask: bytes) -> bytes:
    """As one number each: a loop over the bytes would be the slowest part of all."""
    size = len(payload)
    stream = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(stream, "big")).to_bytes(size, "big")


async def serve_one(
    url: str, shown: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
) -> None:
    try:
        socket = await Socket.open(url + "/tunnel", shown)
    except (OSError, Refused, asyncio.IncompleteReadError) as fault:
        print(f"connection {number}: {fault}", flush=True)
        writer.close()
        return
    print(f"connection {number}: open", flush=True)
    reason = ""
    try:
        reason = await carry(socket, reader, writer)
    except (OSError, Refused, asyncio.IncompleteReadError) as fault:
        reason = str(fault)
    finally:
        await socket.close()
        writer.close()
    print(f"connection {number}: closed{f' ({reason})' if reason else ''}", flush=True)


async def carry(socket: Socket, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
    """Until both sides have finished, or the server closes; its reason then."""
    up, down = asyncio.create_task(to_server(socket, reader)), asyncio.create_task(from_server(socket, writer))
    try:
        done, _ = await asyncio.wait({up, down}, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()
        return down.result()
    finally:
        for task in (up, down):
            task.cancel()
        await asyncio.gather(up, down, return_exceptions=True)


async def to_server(socket: Socket, reader: asyncio.StreamReader) -> None:
    while data := await reader.read(PIECE):
        await socket.send(data)
    await socket.send(b"eof", TEXT)


async def from_server(socket: Socket, writer: asyncio.StreamWriter) -> str:
    while True:
        kind, data = await socket.receive()
        if kind == CLOSE:
            raise Refused(data.decode("utf-8", "replace") or "closed by the server")
        if kind == TEXT:
            if writer.can_write_eof():
                writer.write_eof()
            return ""
        writer.write(data)
        await writer.drain()


def redeem(url: str, code: str) -> tuple[str, str]:
    """A pass for the code, and where the tunnel leads."""
    body = json.dumps({"code": code}).encode()
    request = urllib.request.Request(url + "/tunnel/pass", body, {"Content-Type": "application/json"})  # noqa: S310 - https, or this computer
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - the same
            said = json.load(answer)
    except urllib.error.HTTPError as fault:
        with contextlib.suppress(ValueError, AttributeError):
            raise Refused(json.load(fault).get("detail", str(fault))) from None
        raise Refused(str(fault)) from None
    except (OSError, ValueError) as fault:
        raise Refused(f"the server does not answer: {fault}") from None
    return said["pass"], f"{said['target']} ({said['machine']})"


def address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    host = host.strip("[]")
    try:
        if not ipaddress.ip_address("127.0.0.1" if host == "localhost" else host).is_loopback:
            raise argparse.ArgumentTypeError("only this computer itself: 127.0.0.1:PORT or [::1]:PORT")
        return host, int(port)
    except ValueError:
        raise argparse.ArgumentTypeError("must be like 127.0.0.1:8080") from None


def server_url(text: str) -> str:
    parts = urlsplit(text)
    local = parts.hostname in {"127.0.0.1", "localhost", "::1"}
    if parts.scheme not in {"http", "https"} or not parts.hostname or (parts.scheme == "http" and not local):
        raise argparse.ArgumentTypeError("must be the session's address: https://server/sessions/…")
    return text.rstrip("/")


async def run(url: str, shown: str, listen: tuple[str, int], target: str) -> None:
    count = 0
    tasks: set[asyncio.Task[None]] = set()

    def begin(work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        count += 1
        begin(serve_one(url, shown, reader, writer, count))

    server = await asyncio.start_server(accepted, *listen)
    host, port = server.sockets[0].getsockname()[:2]
    print(f"{host}:{port} leads to {target}. Ctrl-C ends it.", flush=True)
    async with server:
        await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("session", type=server_url, help="the address of the session's page")
    parser.add_argument("--listen", type=address, default=("127.0.0.1", 0), help="default: any free port")
    parser.add_argument("--code", help="asked for when it is not given")
    options = parser.parse_args()
    try:
        shown, target = redeem(options.session, options.code or getpass.getpass("Code: "))
        asyncio.run(run(options.session, shown, options.listen, target))
    except Refused as fault:
        sys.exit(f"compagnon-tunnel: {fault}")
    except OSError as fault:
        sys.exit(f"compagnon-tunnel: {options.listen[0]}:{options.listen[1]}: {fault.strerror}")
    except KeyboardInterrupt:
        print("\nThe tunnel is closed.")


if __name__ == "__main__":
    main()
