"""Bytes between a browser's request and the machine. Nothing is kept here: all go at the slowest side's pace."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from litestar.exceptions import HTTPException

from compagnon.errors import AppError
from compagnon_agent.protocol.channel import Channel, ChannelLost
from compagnon_agent.protocol.wire import record
from remote.files.model import About, Sent
from remote.sessions.call_room import CallRoom, Value, told

log = logging.getLogger(__name__)
PIECE = 512 * 1024  # bytes handed on at a time
ABANDON_WAIT = 15.0  # seconds
UNREAD = 30.0  # seconds after which a transfer that nobody takes is given up
WHOLE, CHANGED = 0, 2  # how the machine ends a channel
T = TypeVar("T")
_SENT = record(Sent)
_ending: set[asyncio.Task[None]] = set()  # the loop itself keeps no task alive


class Broken(Exception):
    """The answer that was begun cannot be finished: its connection is dropped, so that nobody takes it for whole."""


class Rate:
    """Bytes a second for all transfers of a session together; 0: as fast as they go."""

    def __init__(self) -> None:
        self.limit = 0
        self._due = 0.0

    async def take(self, count: int) -> None:
        """Wait until ``count`` more bytes may pass."""
        if not self.limit:
            return
        now = time.monotonic()
        self._due = max(self._due, now) + count / self.limit
        if self._due > now:
            await asyncio.sleep(self._due - now)


class Outgoing:
    """A file on its way to a browser. ``ended`` is told once: how it went, None when the machine cannot say.

    The last piece is held back until the machine has said that all went well.
    """

    def __init__(
        self,
        room: CallRoom,
        channel: Channel,
        *,
        member_id: int,
        rate: Rate,
        about: About | None,
        ended: Callable[[str, Sent | None], Awaitable[None]],
    ) -> None:
        self._room = room
        self._channel = channel
        self._member_id = member_id
        self._rate = rate
        self._about = about
        self._ended = ended
        self._digest = hashlib.sha256()
        self._count = 0
        self._over = False
        self._hashed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._hashed.set_result(None)
        self._unread = asyncio.get_running_loop().call_later(UNREAD, self.give_up)

    async def pieces(self) -> AsyncIterator[bytes]:
        """Raises Broken."""
        self._unread.cancel()
        held = b""
        try:
            while data := await self._next():
                if held:
                    yield held
                held = data
            await self._finish()
            if held:
                yield held
        except ChannelLost:
            raise Broken("the machine is gone") from None
        finally:
            self.give_up()

    async def _next(self) -> bytes:
        data = await self._channel.read(PIECE)
        await self._rate.take(len(data))
        await self._hashed
        self._hashed = asyncio.ensure_future(asyncio.to_thread(self._digest.update, data))  # while it is sent
        self._count += len(data)
        return data

    async def _finish(self) -> None:
        await self._hashed
        sent = await self._close(abandon=False)
        problem = self._problem(sent)
        await self._ended(problem, sent)
        if problem:
            raise Broken(problem)

    def _problem(self, sent: Sent | None) -> str:
        if sent is None or self._channel.ended != WHOLE:
            return "changed" if self._channel.ended == CHANGED else "failed"
        whole = self._about is None or self._about.length == self._about.size
        short = self._about is not None and self._count != self._about.length
        return "damaged" if short or (whole and sent.sha256 != self._digest.hexdigest()) else ""

    async def _close(self, *, abandon: bool) -> Sent | None:
        self._over = True
        arguments: Value = {"channel": self._channel.number, "abandon": abandon}
        try:
            answer = await self._room.call("files.got", arguments, member_id=self._member_id, wait=ABANDON_WAIT)
            return told(_SENT, {"sent": dict(answer)}, "sent")
        except AppError as error:
            log.info("session %s: how a transfer ended is not known: %s", self._room.session_id, error)
            return None
        finally:
            self._room.leave_channel(self._channel)

    def give_up(self) -> None:
        """Idempotent. The browser went away, or the machine did: beside, as whoever waits here may be cancelled."""
        if self._over:
            return
        task = asyncio.create_task(self._abandon())
        _ending.add(task)
        task.add_done_callback(_ending.discard)

    async def _abandon(self) -> None:
        sent = await self._close(abandon=True)
        await self._ended("stopped", sent)


async def feed(channel: Channel, body: AsyncIterator[bytes], rate: Rate, answered: Awaitable[T]) -> T:
    """Hand a request's body on until it ends, or the machine has answered. Gives the answer.

    A body that is cut off ends the channel early: the machine then answers with what it has.
    """
    answer = asyncio.ensure_future(answered)
    feeding = asyncio.create_task(_feed(channel, body, rate))
    try:
        await asyncio.wait({answer, feeding}, return_when=asyncio.FIRST_COMPLETED)
        return await answer
    finally:
        answer.cancel()
        feeding.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await feeding


async def _feed(channel: Channel, body: AsyncIterator[bytes], rate: Rate) -> None:
    try:
        async for data in body:
            await rate.take(len(data))
            await channel.write(data)
    except HTTPException as gone:  # the browser's connection
        log.info("an upload's request was cut off: %s", gone.detail)
    with suppress(ChannelLost):
        await channel.finish()
