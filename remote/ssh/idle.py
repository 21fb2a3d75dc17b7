"""The agent's side of a session in which the server itself does the work (SFTP): a connection that lives, and ends."""

from __future__ import annotations

import asyncio
import secrets

from compagnon_agent.protocol import frames
from compagnon_agent.protocol.frames import FrameKind
from compagnon_agent.protocol.messages import EndReason
from remote.ssh.pipe import Pipe

PING_EVERY = 5.0  # seconds


class IdleLink:
    def __init__(self) -> None:
        self.pipe = Pipe(self._hear, self._hung_up)
        self._over: asyncio.Future[EndReason] = asyncio.get_running_loop().create_future()

    async def run(self) -> EndReason:
        pinging = asyncio.create_task(self._ping())
        try:
            return await asyncio.shield(self._over)
        finally:
            pinging.cancel()
            await asyncio.gather(pinging, return_exceptions=True)
            await self.pipe.hang_up()

    async def _ping(self) -> None:
        while True:
            await self.pipe.say(frames.ping(secrets.randbits(53)).encode())
            await asyncio.sleep(PING_EVERY)

    async def _hear(self, data: str | bytes) -> None:
        frame = frames.decode(data) if isinstance(data, bytes) else None
        if frame is not None and frame.kind is FrameKind.CLOSE:
            self._end(EndReason.MEMBER)

    def _hung_up(self) -> None:
        self._end(EndReason.MEMBER)

    def _end(self, reason: EndReason) -> None:
        if not self._over.done():
            self._over.set_result(reason)
