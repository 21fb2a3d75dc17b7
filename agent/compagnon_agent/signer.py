"""Who signs: this process, or one apart that ends with the handshake and leaves the agent small (:mod:`.keys`)."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

LINE = 64 * 1024


class Signer(Protocol):
    async def sign(self, file: str, data: bytes) -> bytes:
        """With the key in this file of the agent's folder. Raises OSError when it cannot."""
        ...

    async def verify(self, key: bytes, signature: bytes, data: bytes) -> bool: ...

    async def public(self, file: str) -> bytes:
        """The public half of the key in this file, which is made when there is none."""
        ...


class Here:
    """In this process: at once, for a session that somebody waits for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def sign(self, file: str, data: bytes) -> bytes:
        from . import keys

        return keys.sign(self._folder / file, data)

    async def verify(self, key: bytes, signature: bytes, data: bytes) -> bool:
        from . import keys

        return keys.verify(key, signature, data)

    async def public(self, file: str) -> bytes:
        from . import keys

        return keys.public_bytes(keys.load_or_make(self._folder / file))


class _Apart:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def sign(self, file: str, data: bytes) -> bytes:
        return await self._bytes({"sign": _text(data), "file": file})

    async def public(self, file: str) -> bytes:
        return await self._bytes({"public": file})

    async def _bytes(self, wish: dict[str, str]) -> bytes:
        answer = await self._ask(wish)
        if not isinstance(answer, str):
            raise OSError("the agent's key could not be used")
        return base64.b64decode(answer)

    async def verify(self, key: bytes, signature: bytes, data: bytes) -> bool:
        wish = {"verify": _text(data), "signature": _text(signature), "key": _text(key)}
        return await self._ask(wish) is True

    async def _ask(self, wish: dict[str, str]) -> object:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(wish).encode() + b"\n")
        line = await self._process.stdout.readline()
        if not line:
            raise OSError("the agent's key could not be used")
        return json.loads(line)


@asynccontextmanager
async def apart(folder: Path) -> AsyncIterator[Signer]:
    """A process of its own inside the block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "compagnon_agent.keys",
        str(folder),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        limit=LINE,
        start_new_session=True,
    )
    try:
        yield _Apart(process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
