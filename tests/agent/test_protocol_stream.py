"""The stream keeps every byte exactly once, whatever happens to the connections under it."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compagnon_agent.protocol import frames
from compagnon_agent.protocol.frames import Frame, FrameKind
from compagnon_agent.protocol.stream import Stream
from compagnon_agent.protocol.wire import WireError


class Link:
    """Two streams and the frames on their way; ``late`` holds frames of cut connections that may still arrive."""

    def __init__(self, seed: int, *, capacity: int, window: int) -> None:
        self.random = random.Random(seed)
        self.sides = [Stream(capacity=capacity, window=window) for _ in range(2)]
        self.flying: list[list[Frame]] = [[], []]
        self.late: list[list[Frame]] = [[], []]
        self.sent = [b"", b""]
        self.got = [b"", b""]
        self.codes: list[list[int]] = [[], []]
        self.up = False

    def connect(self) -> None:
        self.up = True
        self.flying = [[], []]
        for index, side in enumerate(self.sides):
            self.flying[index].append(side.connected())

    def cut(self) -> None:
        self.up = False
        for index, side in enumerate(self.sides):
            side.disconnected()
            keep = self.random.randint(0, len(self.flying[index]))
            self.late[index] += self.flying[index][:keep]
            self.flying[index] = []

    def write(self, index: int, data: bytes) -> None:
        self.sent[index] += data[: self.sides[index].write(data)]

    def send(self, index: int) -> None:
        frame = self.sides[index].next_frame() if self.up else None
        if frame:
            self.flying[index].append(frame)

    def deliver(self, index: int) -> None:
        if self.flying[index]:
            self.receive(1 - index, self.flying[index].pop(0))

    def deliver_late(self, index: int) -> None:
        """An old connection's frame, once more, in any order."""
        if self.late[index]:
            self.receive(1 - index, self.random.choice(self.late[index]))

    def receive(self, index: int, frame: Frame) -> None:
        decoded = frames.decode(frame.encode())
        assert decoded is not None
        received = self.sides[index].receive(decoded)
        assert received.missing == 0
        self.got[index] += received.data
        if received.exit_code is not None:
            self.codes[index].append(received.exit_code)

    def consume(self, index: int, count: int) -> None:
        side = self.sides[index]
        side.consumed(min(count, len(self.got[index]) - side._consumed))

    def settle(self) -> None:
        self.cut()
        self.connect()
        quiet = 0
        for _ in range(20_000):
            before = (self.got[0], self.got[1], len(self.codes[1]))
            for index in (0, 1):
                self.send(index)
                self.deliver(index)
                self.consume(index, 10**9)
            idle = before == (self.got[0], self.got[1], len(self.codes[1])) and not any(self.flying)
            quiet = quiet + 1 if idle and self.sides[0].settled and self.sides[1].settled else 0
            if quiet > 3:
                return
        raise AssertionError("the streams never settled")


actions = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(0, 1), st.binary(max_size=60)),
        st.tuples(st.sampled_from(["send", "deliver", "late"]), st.integers(0, 1), st.just(b"")),
        st.tuples(st.just("consume"), st.integers(0, 1), st.binary(max_size=60)),
        st.tuples(st.sampled_from(["cut", "connect"]), st.just(0), st.just(b"")),
    ),
    max_size=120,
)


@settings(max_examples=400, deadline=None)
@given(actions, st.integers(0, 2**32), st.integers(20, 200), st.integers(10, 100))
def test_no_byte_is_lost_or_doubled(steps, seed, capacity, window):
    link = Link(seed, capacity=capacity, window=window)
    link.connect()
    for name, index, data in steps:
        if name == "write":
            link.write(index, data)
        elif name == "consume":
            link.consume(index, len(data))
        elif name in ("cut", "connect"):
            getattr(link, name)()
        else:
            {"send": link.send, "deliver": link.deliver, "late": link.deliver_late}[name](index)
        for side in (0, 1):
            assert link.sent[1 - side].startswith(link.got[side])
    link.sides[0].finish(7)
    link.settle()
    assert link.got[1] == link.sent[0]
    assert link.got[0] == link.sent[1]
    assert link.codes[1] == [7]


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("killed", [False, True])
def test_a_lost_acknowledgement_of_everything_is_said_again(lazy, killed):
    """The sender is full, all has arrived and is dealt with, and what said so went down with the connection."""
    sender, receiver = Stream(capacity=100, window=100), Stream(window=100, lazy=lazy)
    connect(sender, receiver)
    sender.write(b"x" * 100)
    frame = sender.next_frame()
    assert frame is not None
    receiver.consumed(len(receiver.receive(frame).data))
    receiver.acknowledge()
    assert receiver.next_frame() == frames.ack(100, 100)
    assert sender.room == 0
    if killed:
        receiver = Stream(window=100, lazy=lazy, received_at=receiver.received)
    connect(sender, receiver)
    while frame := receiver.next_frame():
        sender.receive(frame)
    assert sender.settled
    assert sender.room == 100


def connect(one: Stream, other: Stream) -> None:
    for side in (one, other):
        side.disconnected()
    first, second = one.connected(), other.connected()
    other.receive(first)
    one.receive(second)


@settings(max_examples=100, deadline=None)
@given(st.binary(min_size=1, max_size=500), st.integers(0, 500), st.integers(0, 500))
def test_a_receiver_that_crashed_gets_what_it_had_not_stored(data, got, stored):
    got = min(got, len(data))
    stored = min(stored, got)
    sender, receiver = Stream(capacity=1000, window=1000), Stream(window=1000)
    sender.write(data)
    first, second = sender.connected(), receiver.connected()
    receiver.receive(first)
    sender.receive(second)
    receiver.receive(frames.data(data[:got], 0))
    receiver.consumed(stored)
    while frame := receiver.next_frame():
        sender.receive(frame)
    again = Stream(window=1000, received_at=stored)
    sender.disconnected()
    again.receive(sender.connected())
    sender.receive(again.connected())
    rest = b""
    while frame := sender.next_frame():
        received = again.receive(frame)
        assert received.missing == 0
        rest += received.data
    assert data[:stored] + rest == data


def pair(**options) -> tuple[Stream, Stream]:
    one, other = Stream(**options), Stream(**options)
    hello, greeting = one.connected(), other.connected()
    other.receive(hello)
    one.receive(greeting)
    return one, other


def test_a_sender_that_forgot_goes_on_at_the_receivers_count():
    server, agent = pair()
    server.write(b"ls\n")
    frame = server.next_frame()
    assert frame is not None
    agent.receive(frame)
    agent.consumed(3)
    restarted = Stream()
    restarted.write(b"pwd\n")
    agent.disconnected()
    agent_hello = agent.connected()
    agent.receive(restarted.connected())
    restarted.receive(agent_hello)
    frame = restarted.next_frame()
    assert frame == frames.data(b"pwd\n", 3)
    assert agent.receive(frame).data == b"pwd\n"


def test_a_receiver_that_forgot_is_told_what_is_missing():
    agent, server = pair()
    agent.write(b"0123456789")
    frame = agent.next_frame()
    assert frame is not None
    server.receive(frame)
    server.consumed(6)
    acknowledgement = server.next_frame()
    assert acknowledgement is not None
    agent.receive(acknowledgement)
    restarted = Stream()
    agent.disconnected()
    restarted.receive(agent.connected())
    agent.receive(restarted.connected())
    told = []
    while frame := agent.next_frame():
        told.append(restarted.receive(frame))
    assert [item.missing for item in told] == [6, 0]
    assert told[1].data == b"6789"


def test_a_full_stream_takes_no_more():
    stream = Stream(capacity=10)
    assert stream.write(b"x" * 25) == 10
    assert stream.room == 0
    assert stream.write(b"y") == 0


def test_the_window_holds_the_sender_back_until_bytes_are_consumed():
    sender, receiver = pair(window=10)
    sender.write(b"x" * 25)
    frame = sender.next_frame()
    assert frame is not None
    assert len(frame.payload) == 10
    assert sender.next_frame() is None
    receiver.receive(frame)
    assert receiver.next_frame() is None
    receiver.consumed(4)
    acknowledgement = receiver.next_frame()
    assert acknowledgement is not None
    assert (acknowledgement.kind, acknowledgement.offset) == (FrameKind.ACK, 4)
    sender.receive(acknowledgement)
    frame = sender.next_frame()
    assert frame is not None
    assert len(frame.payload) == 4


def test_a_peer_that_breaks_the_rules_is_refused():
    _, receiver = pair(window=10)
    with pytest.raises(WireError):
        receiver.receive(frames.data(b"x" * 11, 0))
    with pytest.raises(WireError):
        receiver.receive(frames.ack(1, 10))
    with pytest.raises(ValueError, match="more than was received"):
        receiver.consumed(1)


def test_nothing_is_sent_before_the_peer_said_where_it_stands():
    stream = Stream()
    stream.write(b"x")
    assert stream.connected().kind is FrameKind.RESUME
    assert stream.next_frame() is None


@given(st.binary(max_size=40))
def test_any_bytes_are_a_frame_or_refused(raw):
    try:
        frame = frames.decode(raw)
    except WireError:
        return
    if frame is not None:
        assert frame.encode() == raw


def test_frames_are_checked():
    for bad in (
        frames.data(b"", 0).encode()[:5],
        Frame(kind=FrameKind.RESIZE, payload=b"12").encode(),
        frames.resize(1, 24).encode(),
        Frame(kind=FrameKind.SIGNAL, payload=b"STOP").encode(),
        frames.data(b"x" * (frames.MAX_PAYLOAD + 1), 0).encode(),
        frames.data(b"x", 2**60).encode(),
    ):
        with pytest.raises(WireError):
            frames.decode(bad)
    assert frames.decode(b"\xff" + bytes(10)) is None
    resized = frames.decode(frames.resize(120, 40).encode())
    assert resized is not None
    assert resized.size == (120, 40)
    left = frames.decode(frames.exited(-9, 12).encode())
    assert left is not None
    assert (left.number, left.offset) == (-9, 12)
