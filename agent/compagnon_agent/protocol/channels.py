"""The binary channels of a call session: a :class:`~.stream.Stream` each, numbered from 1, opened by the server.

How to use it, on either side: ``connected()`` gives the frames to send first on a new connection, ``disconnected()``
when it is lost; every frame of a channel goes to ``receive()``; send ``next_frame()`` until it gives None. The agent
accepts channels (``accepts=True``): the first RESUME of a number higher than all before opens it there. No I/O.
"""

from __future__ import annotations

from collections import deque

from .frames import MAX_PAYLOAD, Frame, FrameKind
from .stream import Received, Stream

AT_ONCE = 16
"""Channels open at the same time."""

LAST = 60_000
"""The number of the last channel that a session may open."""

IN_FLIGHT = 2 * 1024 * 1024
"""Bytes of one channel kept, and sent ahead: 40 MB/s over 50 ms. No keys wait behind them, so frames are large."""


class NoChannel(Exception):
    """No further channel can be opened in this session."""


class Channels:
    """Streams by number. A channel whose both ends have finished is taken away by ``close``."""

    def __init__(self, *, accepts: bool = False) -> None:
        self._accepts = accepts
        self._streams: dict[int, Stream] = {}
        self._turns: deque[int] = deque()
        self._opening: deque[Frame] = deque()
        self._highest = 0
        self._connected = False

    def __contains__(self, number: int) -> bool:
        return number in self._streams

    def __getitem__(self, number: int) -> Stream:
        """Raises KeyError."""
        return self._streams[number]

    @property
    def numbers(self) -> list[int]:
        return list(self._streams)

    def hold(self, on: bool) -> None:
        """While ``on`` no data goes out on any channel that is open."""
        for stream in self._streams.values():
            stream.held = on

    def open(self) -> int:
        """A new channel's number. Raises :class:`NoChannel` beyond :data:`AT_ONCE` or :data:`LAST`."""
        if len(self._streams) >= AT_ONCE or self._highest >= LAST:
            raise NoChannel
        self._add(self._highest + 1)
        return self._highest

    def _add(self, number: int) -> None:
        self._highest = number
        stream = Stream(channel=number, capacity=IN_FLIGHT, window=IN_FLIGHT, chunk=MAX_PAYLOAD)
        self._streams[number] = stream
        self._turns.append(number)
        if self._connected:
            self._opening.append(stream.connected())

    def close(self, number: int) -> None:
        """Late frames of it are ignored from now on. Idempotent."""
        if self._streams.pop(number, None) is not None:
            self._turns.remove(number)

    def reset(self) -> None:
        """The other side has forgotten every channel: so does this one."""
        self._streams.clear()
        self._turns.clear()
        self._opening.clear()
        self._highest = 0

    def connected(self) -> list[Frame]:
        self._connected = True
        self._opening.clear()
        return [stream.connected() for stream in self._streams.values()]

    def disconnected(self) -> None:
        self._connected = False
        for stream in self._streams.values():
            stream.disconnected()

    def receive(self, frame: Frame) -> Received | None:
        """None for a channel that is not (or no longer) open. Raises ``WireError`` when the peer breaks the rules."""
        if frame.channel not in self._streams and not self._accept(frame):
            return None
        return self._streams[frame.channel].receive(frame)

    def _accept(self, frame: Frame) -> bool:
        new = frame.kind is FrameKind.RESUME and self._highest < frame.channel <= LAST
        if not (self._accepts and new and len(self._streams) < AT_ONCE):
            return False
        self._add(frame.channel)
        return True

    def next_frame(self) -> Frame | None:
        """The channels take turns, so that none keeps another waiting."""
        if self._opening:
            return self._opening.popleft()
        for _ in range(len(self._turns)):
            self._turns.rotate(-1)
            frame = self._streams[self._turns[-1]].next_frame()
            if frame is not None:
                return frame
        return None
