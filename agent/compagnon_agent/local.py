"""The agent's own door, for ``status``, ``stop-session`` and ``withdraw``: a Unix socket in its private folder.

On Windows it is a port of the loopback interface, and a secret in that folder.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import os
import secrets
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from .protocol.wire import JSON
from .settings import write_private

SOCKET_FILE = "agent.sock"
LINE_LIMIT = 4096
TIMEOUT = 5.0
_MAX_PATH = 100
"""sun_path holds 108 bytes (unix(7)), less on other systems."""

Answerer = Callable[[str], dict[str, JSON]]


class NotRunning(Exception):
    """No agent runs on this state folder."""


@contextmanager
def _address(folder: Path) -> Iterator[str]:
    """A path short enough for a Unix socket, through the folder's descriptor where the real one is too long."""
    path = folder / SOCKET_FILE
    if len(os.fsencode(path)) <= _MAX_PATH or not sys.platform.startswith("linux"):
        yield str(path)
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}/{SOCKET_FILE}"
    finally:
        os.close(descriptor)


@asynccontextmanager
async def door(folder: Path, answer: Answerer) -> AsyncIterator[None]:
    """Open inside the block. The folder is private, so is the door."""
    (folder / SOCKET_FILE).unlink(missing_ok=True)
    server = await (_listen_loopback if sys.platform == "win32" else _listen)(folder, answer)
    try:
        yield
    finally:
        server.close()
        with contextlib.suppress(OSError):
            (folder / SOCKET_FILE).unlink(missing_ok=True)


async def _listen(folder: Path, answer: Answerer) -> asyncio.Server:
    with _address(folder) as address:
        return await asyncio.start_unix_server(
            lambda reader, writer: _serve(reader, writer, answer), address, limit=LINE_LIMIT
        )


async def _listen_loopback(folder: Path, answer: Answerer) -> asyncio.Server:
    """Windows has no Unix sockets in Python: a port of this machine, and a secret in the private folder."""
    secret = secrets.token_hex(32)

    def checked(line: str) -> dict[str, JSON]:
        given, _, command = line.partition(" ")
        return answer(command) if hmac.compare_digest(given.encode(), secret.encode()) else {"error": "not allowed"}

    server = await asyncio.start_server(
        lambda reader, writer: _serve(reader, writer, checked), "127.0.0.1", 0, limit=LINE_LIMIT
    )
    port = server.sockets[0].getsockname()[1]
    write_private(folder / SOCKET_FILE, json.dumps({"port": port, "secret": secret}).encode())
    return server


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: Answerer) -> None:
    try:
        async with asyncio.timeout(TIMEOUT):
            line = await reader.readline()
            writer.write(json.dumps(answer(line.decode("utf-8", "replace").strip())).encode() + b"\n")
            await writer.drain()
    except (OSError, TimeoutError, ValueError):
        pass
    finally:
        writer.close()


def call(folder: Path, command: str) -> dict[str, JSON]:
    """Ask the running agent; :class:`NotRunning` when there is none."""
    knock = _knock_loopback if sys.platform == "win32" else _knock
    try:
        with knock(folder, command) as link, link.makefile("rb") as file:
            answer = json.loads(file.readline(64 * 1024))
    except (OSError, ValueError, KeyError, TypeError):
        raise NotRunning from None
    return answer if isinstance(answer, dict) else {}


def _knock(folder: Path, command: str) -> socket.socket:
    link = socket.socket(socket.AF_UNIX)
    try:
        link.settimeout(TIMEOUT)
        with _address(folder) as address:
            link.connect(address)
        link.sendall(command.encode() + b"\n")
    except OSError:
        link.close()
        raise
    return link


def _knock_loopback(folder: Path, command: str) -> socket.socket:
    known = json.loads((folder / SOCKET_FILE).read_text(encoding="ascii"))
    link = socket.create_connection(("127.0.0.1", int(known["port"])), TIMEOUT)
    try:
        link.sendall(f"{known['secret']} {command}\n".encode())
    except OSError:
        link.close()
        raise
    return link
