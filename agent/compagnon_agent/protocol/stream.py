"""One channel's bytes, both ways, kept whole over any number of connections. No I/O.

How to use it, on either side:

- when a connection is made, send ``connected()``; when it is lost, call ``disconnected()``;
- give every DATA, ACK, RESUME, GAP and EXIT frame of the channel to ``receive()``; use the bytes it returns, and call
  ``consumed(n)`` once ``n`` of them are dealt with *for good* (written to the terminal, stored in the recording): only
  then is the other side told that it may forget them;
- put bytes in with ``write()`` while ``room`` is positive, and send ``next_frame()`` until it gives None;
- with ``lazy`` acknowledgements a few bytes are not acknowledged each by itself: call ``acknowledge()`` a moment after
  ``owes`` became true;
- a side that starts again after a crash passes ``received_at``: how many bytes it had dealt with.

Frames may be lost with their connection, come twice, or come late from an older connection: nothing is lost or doubled.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from . import frames
from .frames import Frame, FrameKind
from .wire import WireError

CAPACITY = 1024 * 1024
"""Bytes kept until the other side has dealt with them; a full stream takes no more (back-pressure)."""

WINDOW = 256 * 1024
"""Bytes the other side may send ahead of what has been consumed here."""

CHUNK = 32 * 1024
"""Bytes of payload in one DATA frame, at most: small, so that keys and output interleave."""


class Received(NamedTuple):
    """What one frame brought: new bytes; the exit code, once; how many bytes are missing before them (a GAP)."""

    data: bytes = b""
    exit_code: int | None = None
    missing: int = 0


NOTHING = Received()


class Stream:
    """See the module. ``received_at``: bytes already dealt with before this object existed."""

    def __init__(
        self,
        *,
        channel: int = frames.TERMINAL,
        capacity: int = CAPACITY,
        window: int = WINDOW,
        chunk: int = CHUNK,
        received_at: int = 0,
        lazy: bool = False,
    ) -> None:
        self.channel = channel
        self.chunk = chunk
        self.capacity = capacity
        self.window = window
        # Sending: _kept holds [_start, _start + len); the peer has dealt with everything before _start.
        self._kept = bytearray()
        self._start = 0
        self._next = 0
        self._limit = 0
        self._met = False
        self._ready = False
        self._exit: int | None = None
        self._exit_due = False
        self.held = False  # while True no data goes out, not even again: what was written waits
        # Receiving: consumed <= received; the peer may send up to consumed + window.
        self._received = received_at
        self._consumed = received_at
        self._acked = received_at
        self._exit_seen = False
        self._unforced = window // 8 if lazy else 0  # bytes that are not acknowledged without being asked to
        self._ack_wanted = False
        self._urgent: deque[Frame] = deque()

    @property
    def room(self) -> int:
        """How many bytes ``write`` would take now."""
        return 0 if self._exit is not None else self.capacity - len(self._kept)

    @property
    def written(self) -> int:
        """How many bytes were ever written."""
        return self._start + len(self._kept)

    @property
    def unacknowledged(self) -> int:
        return len(self._kept)

    @property
    def received(self) -> int:
        return self._received

    @property
    def settled(self) -> bool:
        """Whether the peer has dealt with everything written."""
        return not self._kept

    def write(self, data: bytes | memoryview) -> int:
        """Take as much of ``data`` as there is room for; returns how many bytes were taken."""
        taken = data[: self.room]
        self._kept += taken
        return len(taken)

    def finish(self, code: int) -> None:
        """No more bytes: EXIT follows the last of them. Only the first call counts."""
        if self._exit is None:
            self._exit = code
            self._exit_due = True

    def connected(self) -> Frame:
        """A new connection: the frame to send first. Nothing else goes out until the peer's own RESUME came."""
        self._ready = False
        self._urgent.clear()
        return self._resume()

    def disconnected(self) -> None:
        self._ready = False
        self._urgent.clear()

    def _resume(self) -> Frame:
        # Acknowledgements may be lost with their connection, and RESUME is none: the peer would stay full for ever.
        self._acked = 0
        self._ack_wanted = True
        credit = max(0, self._consumed + self.window - self._received)
        return frames.resume(self._received, credit, channel=self.channel)

    def receive(self, frame: Frame) -> Received:
        """Take in one frame of this channel; :class:`WireError` when the peer breaks the rules."""
        if frame.kind is FrameKind.DATA:
            return self._on_data(frame)
        if frame.kind is FrameKind.GAP:
            return self._on_gap(frame)
        if frame.kind is FrameKind.EXIT:
            return self._on_exit(frame)
        if frame.kind is FrameKind.ACK:
            self._on_ack(frame)
        elif frame.kind is FrameKind.RESUME:
            self._on_resume(frame)
        return NOTHING

    def _on_data(self, frame: Frame) -> Received:
        if frame.end <= self._received:
            return NOTHING  # had it already
        if frame.offset > self._received:
            self._ask_again()
            return NOTHING
        if frame.end > self._consumed + self.window:
            raise WireError("stream", "more bytes than the window allows")
        fresh = frame.payload[self._received - frame.offset :]
        self._received += len(fresh)
        return Received(data=fresh)

    def _on_gap(self, frame: Frame) -> Received:
        missing = frame.offset - self._received
        if missing <= 0:
            return NOTHING
        self._received = self._consumed = frame.offset
        return Received(missing=missing)

    def _on_exit(self, frame: Frame) -> Received:
        if frame.offset > self._received:
            self._ask_again()
            return NOTHING
        if self._exit_seen or frame.offset < self._received:
            return NOTHING
        self._exit_seen = True
        return Received(exit_code=frame.number)

    def _ask_again(self) -> None:
        if not any(frame.kind is FrameKind.RESUME for frame in self._urgent):
            self._urgent.append(self._resume())

    def _on_ack(self, frame: Frame) -> None:
        if frame.offset > self.written:
            raise WireError("stream", "acknowledges bytes that were never sent")
        self._forget(frame.offset)
        self._limit = max(self._limit, frame.offset + frame.number)

    def _forget(self, offset: int) -> None:
        done = offset - self._start
        if done > 0:
            del self._kept[:done]
            self._start = offset
            self._next = max(self._next, offset)

    def _on_resume(self, frame: Frame) -> None:
        if not self._met:
            self._start = frame.offset  # this side is new: where the peer already has bytes, go on at its count
            self._met = True
        elif frame.offset > self.written:
            raise WireError("stream", "asks for bytes that were never sent")
        elif frame.offset < self._start:
            self._urgent.append(frames.gap(self._start, channel=self.channel))
        self._next = max(frame.offset, self._start)
        self._limit = max(self._limit, frame.offset + frame.number)
        self._exit_due = self._exit is not None
        self._ready = True

    def consumed(self, count: int) -> None:
        """``count`` more of the received bytes are dealt with for good."""
        if not 0 <= count <= self._received - self._consumed:
            raise ValueError("more than was received")
        self._consumed += count

    @property
    def owes(self) -> bool:
        """Whether something is dealt with that the other side has not been told of."""
        return self._acked != self._consumed

    def acknowledge(self) -> None:
        """Tell it with the next frame, however little it is."""
        self._ack_wanted = True

    def next_frame(self) -> Frame | None:
        """The next frame to send on the present connection, or None when there is none for now."""
        if not self._ready:
            return None
        if self._urgent:
            return self._urgent.popleft()
        return self._next_ack() or self._next_data() or self._next_exit()

    def _next_ack(self) -> Frame | None:
        owed = self._consumed - self._acked
        if owed == 0 or (owed < self._unforced and not self._ack_wanted):
            return None
        self._acked = self._consumed
        self._ack_wanted = False
        return frames.ack(self._consumed, self.window, channel=self.channel)

    def _next_data(self) -> Frame | None:
        size = min(self.chunk, self.written - self._next, self._limit - self._next)
        if size <= 0 or self.held:
            return None
        at = self._next - self._start
        with memoryview(self._kept) as kept:  # one copy, not two
            frame = frames.data(bytes(kept[at : at + size]), self._next, channel=self.channel)
        self._next += size
        return frame

    def _next_exit(self) -> Frame | None:
        if not self._exit_due or self._exit is None or self._next < self.written:
            return None
        self._exit_due = False
        return frames.exited(self._exit, self.written, channel=self.channel)
