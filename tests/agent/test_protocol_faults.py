"""Two streams and a network that cuts, delays, drops, doubles, reorders and replays frames; and forged frames.

Whatever it does, each side has exactly the beginning of what the other wrote, and all of it once a connection holds.
"""

from __future__ import annotations

import random
from collections import deque

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from compagnon_agent.protocol import frames
from compagnon_agent.protocol.frames import Frame, FrameKind
from compagnon_agent.protocol.stream import Stream
from compagnon_agent.protocol.wire import WireError

CAPACITY, WINDOW = 4000, 900
SIDES = st.sampled_from([0, 1])


class Faults(RuleBasedStateMachine):
    """Side 0 is the server, which may also crash and go on from what it had stored; side 1 is the agent."""

    def __init__(self) -> None:
        super().__init__()
        self.dice = random.Random(7)
        self.streams: list[Stream] = []
        self.written = [b"", b""]
        self.taken = [b"", b""]  # what each side was given by its stream
        self.stored = [b"", b""]  # and what of it is dealt with for good
        self.lines: list[deque[bytes]] = [deque(), deque()]  # on their way to side 0, to side 1
        self.history: list[list[bytes]] = [[], []]
        self.connected = False

    @initialize(lazy=st.booleans())
    def begin(self, lazy: bool) -> None:
        self.lazy = lazy
        self.streams = [Stream(capacity=CAPACITY, window=WINDOW, lazy=lazy) for _ in range(2)]

    # what the two do

    @rule(side=SIDES, sizes=st.lists(st.integers(1, 400), min_size=1, max_size=4))
    def talk(self, side: int, sizes: list[int]) -> None:
        """Some frames of different sizes, and now and then a connection to send them over."""
        if not self.connected:
            self.connect(True)
        for size in sizes:
            self.write(side, size)
            self.send(side, 2)

    @rule(side=SIDES, size=st.integers(1, 700))
    def write(self, side: int, size: int) -> None:
        data = self.dice.randbytes(size)
        self.written[side] += data[: self.streams[side].write(data)]

    @rule(side=SIDES, share=st.floats(0, 1))
    def store(self, side: int, share: float) -> None:
        waiting = len(self.taken[side]) - len(self.stored[side])
        count = round(waiting * share)
        self.stored[side] = self.taken[side][: len(self.stored[side]) + count]
        self.streams[side].consumed(count)
        self.streams[side].acknowledge()

    @rule(side=SIDES, most=st.integers(1, 5))
    def send(self, side: int, most: int) -> None:
        if not self.connected:
            return
        for _ in range(most):
            if frame := self.streams[side].next_frame():
                self.post(1 - side, frame)

    def post(self, to: int, frame: Frame) -> None:
        raw = frame.encode()
        self.lines[to].append(raw)
        self.history[to].append(raw)

    # what the network does

    @rule(to=SIDES, most=st.integers(1, 5))
    def deliver(self, to: int, most: int) -> None:
        for _ in range(min(most, len(self.lines[to]))):
            self.take(to, self.lines[to].popleft())

    def take(self, to: int, raw: bytes) -> None:
        frame = frames.decode(raw)
        assert frame is not None
        received = self.streams[to].receive(frame)
        assert received.missing == 0
        self.taken[to] += received.data

    @rule(greeted=st.sampled_from([True, True, True, False]))
    def connect(self, greeted: bool) -> None:
        """Both ends see the old connection end, whatever was on its way is gone, and begin a new one."""
        self.cut()
        self.connected = True
        for side in (0, 1):
            self.post(1 - side, self.streams[side].connected())
        for to in (0, 1):
            self.deliver(to, int(greeted))

    def cut(self) -> None:
        self.connected = False
        for side in (0, 1):
            self.streams[side].disconnected()
            self.lines[side].clear()

    @rule(to=SIDES)
    def double(self, to: int) -> None:
        if self.lines[to]:
            self.lines[to].appendleft(self.lines[to][0])

    @rule(to=SIDES)
    def reorder(self, to: int) -> None:
        data = [place for place, raw in enumerate(self.lines[to]) if raw[0] == FrameKind.DATA]
        if len(data) >= 2:
            one, other = data[0], data[-1]
            self.lines[to][one], self.lines[to][other] = self.lines[to][other], self.lines[to][one]

    @rule(to=SIDES)
    def drop(self, to: int) -> None:
        data = [place for place, raw in enumerate(self.lines[to]) if raw[0] == FrameKind.DATA]
        if data:
            del self.lines[to][data[0]]

    @rule(to=SIDES, back=st.integers(1, 30))
    def replay(self, to: int, back: int) -> None:
        """A frame of long ago comes once more (bytes and acknowledgements; a RESUME belongs to its connection)."""
        old = [raw for raw in self.history[to] if raw[0] in (FrameKind.DATA, FrameKind.ACK)]
        if self.connected and old:
            self.take(to, old[-min(back, len(old))])

    @rule(really=st.integers(0, 3))
    def crash(self, really: int) -> None:
        """The server is killed: it knows what it had stored, and its own bytes that were not received are gone."""
        if really:
            return
        self.cut()
        self.streams[0] = Stream(capacity=CAPACITY, window=WINDOW, lazy=self.lazy, received_at=len(self.stored[0]))
        self.taken[0] = self.stored[0]
        self.written[0] = self.taken[1]
        self.history = [[], []]

    # what must hold

    @invariant()
    def nobody_has_anything_else_than_what_was_written(self) -> None:
        for side in (0, 1):
            assert self.written[1 - side].startswith(self.taken[side])

    def teardown(self) -> None:
        if not self.streams:
            return
        self.connect(True)
        for _ in range(200):
            for side in (0, 1):
                self.store(side, 1.0)
                self.send(side, 20)
                self.deliver(1 - side, 100)
                if self.streams[side].owes:
                    self.streams[side].acknowledge()
        assert self.taken[0] == self.written[1]
        assert self.taken[1] == self.written[0]
        assert [stream.settled for stream in self.streams] == [True, True], "there is room again for all that follows"


TestFaults = Faults.TestCase
TestFaults.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)

FORGED = st.builds(
    Frame,
    channel=st.just(0),
    kind=st.sampled_from([FrameKind.DATA, FrameKind.ACK, FrameKind.RESUME, FrameKind.GAP, FrameKind.EXIT]),
    offset=st.integers(0, 6000) | st.integers(2**52, 2**53),
    payload=st.binary(max_size=300) | st.binary(min_size=4, max_size=4),
)


@settings(max_examples=400, deadline=None)
@given(st.lists(FORGED, max_size=30), st.binary(max_size=800))
def test_forged_frames_are_refused_or_change_nothing_that_was_said(forged, data):
    """A peer that lies gets an error, or harms itself: what this side keeps is bounded, and its counts only grow."""
    stream = Stream(capacity=CAPACITY, window=WINDOW)
    stream.connected()
    stream.write(data)
    before = (stream.received, stream.written)
    for frame in forged:
        try:
            known = frames.decode(frame.encode())
            received = stream.receive(known) if known else None
        except WireError:
            continue
        if received and received.data:
            stream.consumed(len(received.data))
        now = (stream.received, stream.written)
        assert now[0] >= before[0]
        assert stream.unacknowledged <= CAPACITY
        before = now
        while stream.next_frame():
            pass
