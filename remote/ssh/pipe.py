"""The other end of a ``Wire``, in this process: what plays the agent's side of a connection without a network."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

from litestar.types import Receive, Send

from remote.wire import Wire

WAITING = 64  # messages that wait to be read before ``say`` waits


class Pipe:
    """``wire`` is the server's end. ``heard`` gets what the server sends, ``closed`` is called when it hangs up.

    Both ends hold the other back: ``say`` waits while the server does not read, the server while ``heard`` works.
    """

    def __init__(self, heard: Callable[[str | bytes], Awaitable[None]], closed: Callable[[], None]) -> None:
        self._heard = heard
        self._closed = closed
        self._inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue(WAITING)
        self.wire = Wire(cast("Receive", self._receive), cast("Send", self._send))

    async def say(self, data: str | bytes) -> None:
        text, raw = (data, None) if isinstance(data, str) else (None, data)
        await self._inbox.put({"type": "websocket.receive", "text": text, "bytes": raw})

    async def hang_up(self) -> None:
        await self._inbox.put({"type": "websocket.disconnect", "code": 1000, "reason": ""})

    async def _receive(self) -> dict[str, Any]:
        return await self._inbox.get()

    async def _send(self, message: dict[str, Any]) -> None:
        if message["type"] == "websocket.close":
            self._closed()
        elif message["type"] == "websocket.send":
            text = message.get("text")
            await self._heard(text if text is not None else message.get("bytes") or b"")
