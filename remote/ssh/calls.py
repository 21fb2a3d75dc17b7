"""A session that the server calls (``remote.sessions.call_room``), as a device's agent answers it in this process.

The wire is never cut, so of what ``compagnon_agent.protocol.calls`` keeps over lost connections little is needed here.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Awaitable, Callable, Mapping

from compagnon_agent.protocol import calls, frames
from compagnon_agent.protocol.calls import Answerer, Attached, Call, Noted, Reply
from compagnon_agent.protocol.channel import Channel, ChannelLost
from compagnon_agent.protocol.channels import Channels
from compagnon_agent.protocol.frames import Frame, FrameKind
from compagnon_agent.protocol.messages import EndReason
from compagnon_agent.protocol.wire import JSON, WireError
from remote.ssh.pipe import Pipe

log = logging.getLogger(__name__)
PING_EVERY = 2.0  # seconds
Arguments = Mapping[str, JSON]
Method = Callable[[Arguments], Awaitable[Arguments]]


class Fault(Exception):
    """A call that cannot be carried out: ``code`` for programs, the text for people."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class CallLink:
    """``methods`` by their whole name (``files.list``); ``run`` ends with the session, ``close`` then lets go."""

    def __init__(self) -> None:
        self.pipe = Pipe(self._hear, self._hung_up)
        self.methods: dict[str, Method] = {}
        self._answerer = Answerer()
        self._channels = Channels(accepts=True)
        self._opened: dict[int, Channel] = {}
        self._urgent: deque[str | Frame] = deque()
        self._wake = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._over: asyncio.Future[EndReason] = asyncio.get_running_loop().create_future()

    # what a capability may do

    def channel(self, number: JSON) -> Channel:
        """The channel that a call names. Raises WireError."""
        if type(number) is not int or number not in self._channels:
            raise WireError("channel", "is not open")
        if number not in self._opened:
            self._opened[number] = Channel(self._channels, number, wake=self._wake.set, moved=asyncio.Event())
        return self._opened[number]

    def leave(self, channel: Channel) -> None:
        self._opened.pop(channel.number, None)
        self._channels.close(channel.number)
        channel.lost()

    # its life

    async def run(self) -> EndReason:
        beside = [asyncio.create_task(self._send()), asyncio.create_task(self._ping())]
        try:
            return await asyncio.shield(self._over)
        finally:
            for task in [*beside, *self._tasks]:
                task.cancel()
            await asyncio.gather(*beside, *self._tasks, return_exceptions=True)
            for channel in list(self._opened.values()):
                channel.lost()
            await self.pipe.hang_up()

    def _hung_up(self) -> None:
        self._end(EndReason.MEMBER)

    def _end(self, reason: EndReason) -> None:
        if not self._over.done():
            self._over.set_result(reason)

    async def _send(self) -> None:
        while True:
            self._wake.clear()
            while (message := self._next()) is not None:
                await self.pipe.say(message if isinstance(message, str) else message.encode())
            await self._wake.wait()

    def _next(self) -> str | Frame | None:
        return self._urgent.popleft() if self._urgent else self._channels.next_frame()

    async def _ping(self) -> None:
        while True:
            await self.pipe.say(frames.ping(secrets.randbits(53)).encode())
            await asyncio.sleep(PING_EVERY)

    # what comes

    async def _hear(self, data: str | bytes) -> None:
        try:
            if isinstance(data, str):
                self._message(calls.decode(data))
            elif (frame := frames.decode(data)) is not None:
                self._frame(frame)
        except WireError:
            log.exception("a session on a device heard nonsense")
            self._end(EndReason.LOST)

    def _frame(self, frame: Frame) -> None:
        if frame.kind is FrameKind.CLOSE:
            self._end(EndReason.MEMBER)
        elif frame.kind not in {FrameKind.PING, FrameKind.PONG}:
            received = self._channels.receive(frame)
            if received is not None:
                self.channel(frame.channel).took(received)
            self._wake.set()

    def _message(self, message: calls.Message | None) -> None:
        if isinstance(message, Attached):
            _, again = self._answerer.attached(message)
            self._urgent.extend(self._channels.connected())
            self._urgent.extend(map(calls.encode, again))
        elif isinstance(message, Noted):
            self._answerer.noted(message.upto)
        elif isinstance(message, Call):
            self._called(message)
        self._wake.set()

    def _called(self, call: Call) -> None:
        verdict = self._answerer.begin(call)
        if isinstance(verdict, Reply):
            self._urgent.append(calls.encode(verdict))
        elif verdict is True:
            task = asyncio.create_task(self._carry_out(call, self._answerer.epoch))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _carry_out(self, call: Call, epoch: str) -> None:
        reply = await self._reply(call)
        self._urgent.extend(map(calls.encode, self._answerer.done(reply, epoch)))
        self._wake.set()

    async def _reply(self, call: Call) -> Reply:
        method = self.methods.get(call.method)
        try:
            if method is None:
                raise Fault("unknown", f"a device does not know {call.method}")
            return Reply(id=call.id, value=await method(call.arguments))
        except Fault as fault:
            return Reply(id=call.id, code=fault.code[:40], error=str(fault)[:500])
        except WireError as fault:
            return Reply(id=call.id, code="invalid", error=str(fault)[:500])
        except ChannelLost:
            return Reply(id=call.id, code="lost", error="the transfer was cut off")
        except Exception:
            log.exception("a session on a device: %s", call.method)
            return Reply(id=call.id, code="failed", error="unexpected error, see the server's log")
