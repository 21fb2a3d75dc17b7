"""The agent's own door: a Unix socket in its private folder, for ``status``, ``stop-session`` and ``withdraw``."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from .protocol.wire import JSON

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
    with _address(folder) as address:
        server = await asyncio.start_unix_server(
            lambda reader, writer: _serve(reader, writer, answer), address, limit=LINE_LIMIT
        )
    try:
        yield
    finally:
        server.close()
        with contextlib.suppress(OSError):
            (folder / SOCKET_FILE).unlink(missing_ok=True)


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
    try:
        with _address(folder) as address, socket.socket(socket.AF_UNIX) as link:
            link.settimeout(TIMEOUT)
            link.connect(address)
            link.sendall(command.encode() + b"\n")
            with link.makefile("rb") as file:
                answer = json.loads(file.readline(64 * 1024))
    except (OSError, ValueError):
        raise NotRunning from None
    return answer if isinstance(answer, dict) else {}
