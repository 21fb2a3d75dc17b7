"""A session whose capability the server calls: see :mod:`..protocol.calls` for what is kept over lost connections."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from ..identity import Identity
from ..protocol import calls
from ..protocol.calls import Answerer, Attached, Call, Noted, Reply
from ..protocol.channel import Channel, ChannelLost
from ..protocol.channels import Channels
from ..protocol.frames import Frame
from ..protocol.messages import Message, OpenSession
from ..protocol.wire import JSON, WireError
from .around import Around
from .capability import Arguments, CallError, Capability, Method
from .link import SessionLink

log = logging.getLogger(__name__)

Permit = Callable[[str, str, bool], str]
"""Capability, method, whether to write it down → why it may not be done, or nothing."""


class CallSession(SessionLink):
    """``make`` makes the capability; ``permit`` asks :func:`..authorise.authorise` for every single call."""

    def __init__(
        self,
        request: OpenSession,
        identity: Identity,
        *,
        until: datetime,
        grace: float,
        make: Callable[[CallSession], Capability],
        permit: Permit,
        around: Around,
    ) -> None:
        super().__init__(request, identity, until=until, grace=grace)
        self.around = around
        self._permit = permit
        self._answerer = Answerer()
        self._channels = Channels(accepts=True)
        self._opened: dict[int, Channel] = {}
        self._urgent: deque[str | Frame] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._seen_methods: set[str] = set()
        self._capability = make(self)

    # -- what a capability may do

    def channel(self, number: JSON) -> Channel:
        """The channel that a call names. Raises ``WireError`` when the server did not open it."""
        if type(number) is not int or number not in self._channels:
            raise WireError("channel", "is not open")
        if number not in self._opened:
            self._opened[number] = Channel(self._channels, number, wake=self.wake, moved=asyncio.Event())
        return self._opened[number]

    def leave(self, channel: Channel) -> None:
        """The channel is not used any more."""
        self._opened.pop(channel.number, None)
        self._channels.close(channel.number)
        channel.lost()

    def notify(self, name: str, value: Mapping[str, JSON]) -> None:
        """Tell the server, once, as soon as there is a connection. Raises ``TooMany`` when too much waits."""
        self._say(self._answerer.notice(name, value))

    # -- connections

    async def _begin(self) -> None:
        await self._capability.begin()

    async def _close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for channel in list(self._opened.values()):
            channel.lost()
        await self._capability.close()

    def _greeting(self) -> list[Frame]:
        """The server speaks first: which one it is decides what is said again."""
        self._urgent.clear()
        return []

    def _disconnected(self) -> None:
        self._answerer.disconnected()
        self._channels.disconnected()

    def _tick(self) -> None:
        self.wake()

    def _next(self) -> str | Frame | None:
        return self._urgent.popleft() if self._urgent else self._channels.next_frame()

    def _say(self, said: Iterable[Message]) -> None:
        self._urgent.extend(map(calls.encode, said))
        self.wake()

    def _take(self, frame: Frame) -> None:
        received = self._channels.receive(frame)
        if received is not None:
            self.channel(frame.channel).took(received)  # perhaps before the call that names it
        self.wake()

    async def _hear(self, text: str) -> None:
        message = calls.decode(text)
        if isinstance(message, Attached):
            await self._attached(message)
        elif isinstance(message, Noted):
            self._answerer.noted(message.upto)
        elif isinstance(message, Call):
            self._called(message)

    async def _attached(self, message: Attached) -> None:
        another, again = self._answerer.attached(message)
        if another:
            await self._forget_the_other()
        self._urgent.extend(self._channels.connected())
        self._say(again)

    async def _forget_the_other(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        for channel in list(self._opened.values()):
            self.leave(channel)
        self._channels.reset()
        await self._capability.reset()

    # -- calls

    def _called(self, call: Call) -> None:
        verdict = self._answerer.begin(call)
        if isinstance(verdict, Reply):
            self._say([verdict])
        elif verdict is True:
            task = asyncio.create_task(self._carry_out(call, self._answerer.epoch))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _carry_out(self, call: Call, epoch: str) -> None:
        reply = await self._reply(call)
        self._say(self._answerer.done(reply, epoch))

    async def _reply(self, call: Call) -> Reply:
        try:
            value = await self._do(call)
            return _fitting(Reply(id=call.id, value=value))
        except CallError as fault:
            return Reply(id=call.id, code=fault.code[:40], error=str(fault)[:500])
        except WireError as fault:
            return Reply(id=call.id, code="invalid", error=str(fault)[:500])
        except ChannelLost:
            return Reply(id=call.id, code="lost", error="the transfer was cut off")
        except OSError as fault:
            return Reply(id=call.id, code="failed", error=(fault.strerror or str(fault) or "it failed")[:500])
        except asyncio.CancelledError:
            raise
        except Exception:
            log.exception("session %s: %s", self.id[:8], call.method)
            return Reply(id=call.id, code="failed", error="unexpected error, see the agent's log")

    async def _do(self, call: Call) -> Arguments:
        capability, _, name = call.method.partition(".")
        method = self._capability.methods.get(name) if capability == self.request.capability else None
        if method is None:
            raise CallError("unknown", f"this agent does not know {call.method}")
        self._check(method, call.method)
        return await method.handler(call.arguments)

    def _check(self, method: Method, name: str) -> None:
        first = name not in self._seen_methods
        self._seen_methods.add(name)
        refusal = self._permit(method.needs or self.request.capability, name, method.changes or first)
        if refusal:
            raise CallError("refused", refusal)


def _fitting(reply: Reply) -> Reply:
    """A result that is longer than a message is a fault of the method, told as such."""
    try:
        calls.encode(reply)
    except WireError as fault:
        return Reply(id=reply.id, code="too_long", error=str(fault)[:500])
    return reply
