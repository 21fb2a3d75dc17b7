"""The bytes of one channel of a call session, as either side reads and writes them.

Waiting is left to a ``Signal`` of the caller's own (an ``asyncio.Event``): nothing here knows an event loop.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Literal, Protocol

from .channels import Channels
from .stream import Received

AT_ONCE = 512 * 1024
"""Bytes that one ``read`` gives at most, unless it says otherwise."""


class ChannelLost(Exception):
    """The other side left, was replaced or lost bytes before the end."""


class Signal(Protocol):
    def set(self) -> None: ...

    def clear(self) -> None: ...

    async def wait(self) -> Literal[True]: ...


class Channel:
    """Both ways at the other side's pace: ``write`` waits while it takes no more, ``read`` for more to come.

    A lost connection is waited for: the bytes go on where they were. ``wake``: there is something to send.
    """

    def __init__(self, channels: Channels, number: int, *, wake: Callable[[], None], moved: Signal) -> None:
        self.number = number
        self._stream = channels[number]
        self._wake = wake
        self._moved = moved
        self._arrived: deque[bytes] = deque()
        self._in_hand = 0
        self._ended: int | None = None
        self._lost = False

    def took(self, received: Received) -> None:
        """Whatever a frame of this channel brought."""
        if received.data:
            self._arrived.append(received.data)
        if received.exit_code is not None:
            self._ended = received.exit_code
        self._lost = self._lost or received.missing > 0
        self._moved.set()

    def lost(self) -> None:
        """Nothing more will come or go."""
        self._lost = True
        self._moved.set()

    @property
    def ended(self) -> int | None:
        """With which code the other side finished; None while it goes on."""
        return self._ended

    async def read(self, maximum: int = AT_ONCE) -> bytes:
        """What has arrived, at most about ``maximum`` bytes; empty at the end.

        What was read before is dealt with for good by the time of this call.

        Raises :class:`ChannelLost`.
        """
        self._stream.consumed(self._in_hand)
        self._in_hand = 0
        self._wake()
        while not self._arrived and self._ended is None:
            await self._wait()
        if not self._arrived:
            return b""
        data = self._take(maximum)
        self._in_hand = len(data)
        return data

    def _take(self, maximum: int) -> bytes:
        pieces = [self._arrived.popleft()]
        size = len(pieces[0])
        while self._arrived and size + len(self._arrived[0]) <= maximum:
            pieces.append(self._arrived.popleft())
            size += len(pieces[-1])
        return b"".join(pieces)

    async def write(self, data: bytes) -> None:
        """Raises :class:`ChannelLost`."""
        rest = memoryview(data)
        while rest:
            taken = self._stream.write(rest)
            rest = rest[taken:]
            self._wake()
            if rest:
                await self._wait()

    async def settle(self, below: int) -> None:
        """Wait until the other side has dealt with all but fewer than ``below`` bytes. Raises :class:`ChannelLost`."""
        while self._stream.unacknowledged >= below:
            await self._wait()

    async def finish(self, code: int = 0) -> None:
        """Say the end, and wait until the other side has dealt with everything. Raises :class:`ChannelLost`."""
        self._stream.finish(code)
        self._wake()
        while not self._stream.settled:
            await self._wait()

    async def _wait(self) -> None:
        if not self._lost:
            self._moved.clear()
            await self._moved.wait()
        if self._lost:
            raise ChannelLost("the channel was lost")
