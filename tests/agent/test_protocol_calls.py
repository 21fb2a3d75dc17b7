"""Calls over connections that break: each carried out once, each answered; notices taken in once, in order."""

from __future__ import annotations

import random
from collections import deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compagnon_agent.protocol import calls, frames
from compagnon_agent.protocol.calls import Answerer, Attached, Call, Caller, Noted, Notice, Reply, TooMany
from compagnon_agent.protocol.channels import AT_ONCE, Channels, NoChannel
from compagnon_agent.protocol.wire import WireError


class Pair:
    """A server and an agent joined by a line that can be cut: what is on its way is lost then."""

    def __init__(self) -> None:
        self.caller = Caller("epoch-1a")
        self.answerer = Answerer()
        self.to_agent: deque[str] = deque()
        self.to_server: deque[str] = deque()
        self.executed: list[int] = []
        self.replied: list[int] = []
        self.heard: list[int] = []
        self.running: list[tuple[int, str]] = []
        self.connected = False

    def connect(self) -> None:
        self.cut()
        self.to_agent.clear()
        self.to_server.clear()
        self.connected = True
        self.to_agent.extend(calls.encode(message) for message in self.caller.attached())

    def cut(self) -> None:
        self.connected = False
        self.answerer.disconnected()

    def say(self, line: deque[str], message: calls.Message) -> None:
        if self.connected:
            line.append(calls.encode(message))

    def call(self) -> None:
        try:
            self.say(self.to_agent, self.caller.call("x.y", {}))
        except TooMany:
            return

    def note(self) -> None:
        try:
            for message in self.answerer.notice("n", {}):
                self.say(self.to_server, message)
        except TooMany:
            return

    def agent_takes(self) -> None:
        if not (self.connected and self.to_agent):
            return
        message = calls.decode(self.to_agent.popleft())
        if isinstance(message, Attached):
            for item in self.answerer.attached(message)[1]:
                self.say(self.to_server, item)
        elif isinstance(message, Noted):
            self.answerer.noted(message.upto)
        elif isinstance(message, Call):
            verdict = self.answerer.begin(message)
            if isinstance(verdict, Reply):
                self.say(self.to_server, verdict)
            elif verdict:
                self.executed.append(message.id)
                self.running.append((message.id, self.answerer.epoch))

    def agent_finishes(self) -> None:
        if self.running:
            call_id, epoch = self.running.pop(0)
            for message in self.answerer.done(Reply(id=call_id, value={}), epoch):
                self.say(self.to_server, message)

    def server_takes(self) -> None:
        if not (self.connected and self.to_server):
            return
        message = calls.decode(self.to_server.popleft())
        if isinstance(message, Reply) and self.caller.answered(message):
            self.replied.append(message.id)
        elif isinstance(message, Notice):
            new, noted = self.caller.take(message)
            if new:
                self.heard.append(message.number)
            self.say(self.to_agent, noted)

    def settle(self) -> None:
        self.connect()
        for _ in range(2000):
            self.agent_takes()
            self.agent_finishes()
            self.server_takes()


MOVES = ["connect", "cut", "call", "note", "agent_takes", "agent_finishes", "server_takes"]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(MOVES), max_size=200))
def test_nothing_is_done_twice_and_nothing_is_left_out(moves):
    pair = Pair()
    for move in moves:
        getattr(pair, move)()
    pair.settle()
    made = pair.caller._last
    assert sorted(pair.executed) == list(range(1, made + 1))
    assert sorted(pair.replied) == list(range(1, made + 1))
    assert pair.heard == list(range(1, pair.answerer._number + 1))


def test_another_server_forgets_what_the_old_one_asked():
    answerer = Answerer()
    assert answerer.attached(Attached(epoch="epoch-1a")) == (False, [])
    assert answerer.begin(Call(id=1, method="x.y", arguments={})) is True
    other, _ = answerer.attached(Attached(epoch="epoch-2b"))
    assert other
    assert answerer.done(Reply(id=1, value={}), "epoch-1a") == []
    assert answerer.begin(Call(id=1, method="x.z", arguments={})) is True


def test_calls_are_bounded_on_both_sides():
    caller, answerer = Caller("epoch-1a"), Answerer()
    made = [caller.call("x.y", {}) for _ in range(calls.CALLS_AT_ONCE)]
    with pytest.raises(TooMany):
        caller.call("x.y", {})
    for call in made:
        answerer.begin(call)
    with pytest.raises(WireError):
        answerer.begin(Call(id=99, method="x.y", arguments={}))


def test_an_old_call_that_was_forgotten_is_not_done_again():
    answerer = Answerer()
    answerer.attached(Attached(epoch="epoch-1a"))
    for number in range(1, calls.REPLIES_KEPT + 3):
        answerer.begin(Call(id=number, method="x.y", arguments={}))
        answerer.done(Reply(id=number, value={}), "epoch-1a")
    again = answerer.begin(Call(id=1, method="x.y", arguments={}))
    assert isinstance(again, Reply)
    assert again.code == "forgotten"


@pytest.mark.parametrize("text", ["", "[]", '{"v":1,"type":"call","id":-1,"method":"a","arguments":{}}', "{" * 500])
def test_nonsense_is_refused(text):
    with pytest.raises(WireError):
        calls.decode(text)


def exchange(
    server: Channels, agent: Channels, arrived: dict[int, bytes], *, lossy: random.Random | None = None
) -> None:
    """Frames both ways until nothing is due (or the line is cut)."""
    for side in (server, agent):
        side.disconnected()
    lines = {id(server): deque(server.connected()), id(agent): deque(agent.connected())}
    for _ in range(20_000):
        if lossy.random() < 0.02:
            return
        moved = False
        for one, other in ((server, agent), (agent, server)):
            if frame := (lines[id(one)].popleft() if lines[id(one)] else one.next_frame()):
                moved = True
                received = other.receive(frames.decode(frame.encode()))
                if received and received.data and other is agent:
                    arrived[frame.channel] = arrived.get(frame.channel, b"") + received.data
                    agent[frame.channel].consumed(len(received.data))
        if not moved:
            return


@pytest.mark.parametrize("seed", range(10))
def test_channels_share_a_line_that_is_cut_again_and_again(seed):
    dice = random.Random(seed)
    server, agent = Channels(), Channels(accepts=True)
    wanted = {server.open(): dice.randbytes(200_000) for _ in range(3)}
    rest = dict(wanted)
    arrived: dict[int, bytes] = {}
    for _ in range(3000):
        for number in list(rest):
            taken = server[number].write(rest[number])
            rest[number] = rest[number][taken:]
        exchange(server, agent, arrived, lossy=dice)
        if arrived == wanted:
            break
    assert arrived == wanted


def test_channels_are_opened_by_the_server_alone_and_a_closed_one_stays_closed():
    server, agent = Channels(), Channels(accepts=True)
    number = server.open()
    assert agent.receive(frames.data(b"x", 0, channel=number)) is None
    agent.receive(frames.resume(0, 100, channel=number))
    assert number in agent
    agent.close(number)
    assert agent.receive(frames.resume(0, 100, channel=number)) is None
    assert number not in agent
    for _ in range(AT_ONCE - 1):
        server.open()
    with pytest.raises(NoChannel):
        server.open()
