"""The server's WebSockets beyond ASGI: what is taken in the turn that read it overtakes nothing and starves nobody."""

import asyncio
import contextlib
import random
import socket

import pytest
import uvicorn
from socket_parts import in_one_packet
from websockets.asyncio.client import connect

from compagnon.app.sockets import FEW, SHORT, Config, DirectWebSocket
from remote.wire import Closed, Wire


class Handler:
    """Takes at once what ``wanted`` says; everything it is shown lands in ``seen``, with whether it was at once."""

    def __init__(self):
        self.seen = []
        self.wanted = lambda number: True
        self.go = asyncio.Event()
        self.go.set()
        self.wire = None
        self.direct = None

    async def __call__(self, scope, receive, send):
        if scope["type"] != "websocket":
            return
        self.wire = Wire(receive, send, scope)
        self.direct = scope["extensions"]["compagnon.socket"]
        await self.wire.accept()
        self.wire.deliver(self.take)
        with contextlib.suppress(Closed):
            while True:
                await self.go.wait()
                message = await self.wire.receive()
                self.seen.append((int(message[:8]), False))

    def take(self, message):
        number = int(message[:8])
        if not self.wanted(number):
            return False
        self.seen.append((number, True))
        return True


@pytest.fixture
async def handler():
    return Handler()


@pytest.fixture
async def client(handler):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = Config(handler, ws=DirectWebSocket, ws_per_message_deflate=False, lifespan="off", log_level="critical")
        config.serve_directly({})
        server = uvicorn.Server(config)
        server.capture_signals = contextlib.nullcontext
        running = asyncio.create_task(server.serve([listening]))
        async with connect(f"ws://127.0.0.1:{listening.getsockname()[1]}/", compression=None) as connection:
            yield connection
        server.should_exit = True
        await running


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


async def test_a_message_for_a_waiting_handler_is_taken_in_the_turn_that_read_it(handler, client):
    await until(lambda: handler.direct and handler.direct._inlet.awaited)
    await client.send(b"%8d" % 1)
    await until(lambda: handler.seen)
    assert handler.seen == [(1, True)]


@pytest.mark.parametrize("every", [1, 2, 3, 7])
async def test_order_is_kept_whatever_is_taken_at_once(handler, client, every):
    handler.wanted = lambda number: number % every == 0
    numbers = range(300)
    messages = [f"{n:8}" if n % 11 == 5 else b"%8d" % n + b"x" * (SHORT if n % 13 == 4 else 0) for n in numbers]
    for start in range(0, 300, 6):
        in_one_packet(client, messages[start : start + 1])
        await asyncio.sleep(0.001)
        in_one_packet(client, messages[start + 1 : start + 6])
    await until(lambda: len(handler.seen) == 300)
    assert [number for number, _ in handler.seen] == list(numbers)


@pytest.mark.parametrize("seed", range(12))
async def test_nothing_is_lost_doubled_or_overtaken_however_the_bytes_are_cut(handler, client, seed):
    """Keys, long messages, texts, pings and messages in pieces, some of them cut in two packets."""
    chance = random.Random(seed)
    handler.wanted = lambda number: number % 5 != 3
    await until(lambda: handler.direct and handler.direct._inlet.awaited)
    kinds = [key] * 12 + [text] + ([long, longer] if seed % 3 else []) + ([ping, in_pieces] if seed % 4 == 3 else [])
    for number in range(300):
        chance.choice(kinds)(client.protocol, b"%8d" % number)
        packet = b"".join(client.protocol.data_to_send())
        if chance.random() < 0.1:
            cut = chance.randrange(1, len(packet))
            client.transport.write(packet[:cut])
            await asyncio.sleep(0.002)
            packet = packet[cut:]
        client.transport.write(packet)
        await asyncio.sleep(chance.choice([0, 0, 0.002]))
    await until(lambda: len(handler.seen) >= 300)
    assert [number for number, _ in handler.seen] == list(range(300))
    assert any(at_once for _, at_once in handler.seen)


async def test_the_end_of_a_message_that_looks_like_a_key_is_none(handler, client):
    await until(lambda: handler.direct and handler.direct._inlet.awaited)
    looks_like_one = b"\x82\x88\x00\x00\x00\x00%8d" % 9
    client.transport.write(b"\x82\x96\x00\x00\x00\x00%8d" % 7)
    await asyncio.sleep(0.05)
    client.transport.write(looks_like_one)
    await asyncio.sleep(0.05)
    await client.send(b"%8d" % 8)
    await until(lambda: len(handler.seen) == 2)
    assert [number for number, _ in handler.seen] == [7, 8]


def key(protocol, message):
    protocol.send_binary(message)


def text(protocol, message):
    protocol.send_text(message)


def long(protocol, message):
    protocol.send_binary(message + b"x" * 200)


def longer(protocol, message):
    protocol.send_binary(message + b"x" * 66_000)


def ping(protocol, message):
    protocol.send_ping(b"")
    protocol.send_binary(message)


def in_pieces(protocol, message):
    protocol.send_binary(message[:5], fin=False)
    protocol.send_continuation(message[5:], fin=True)


async def test_messages_that_come_together_are_left_to_the_handler(handler, client):
    """Thousands in one packet must not keep everything else waiting."""
    await until(lambda: handler.direct and handler.direct._inlet.awaited)
    in_one_packet(client, [b"%8d" % number for number in range(1000)])
    await until(lambda: len(handler.seen) == 1000)
    assert not any(at_once for _, at_once in handler.seen)


@pytest.mark.parametrize("size", [8, SHORT + 1])
async def test_who_sends_faster_than_is_taken_in_is_read_no_further(handler, client, size):
    await until(lambda: handler.direct)
    handler.wanted = lambda number: False
    handler.go.clear()
    await client.send(b"%8d" % 0)  # the handler had begun to wait for one
    await until(lambda: handler.seen)
    for number in range(1, 2 * FEW):
        await client.send(b"%8d" % number + b"x" * (size - 8))
        await asyncio.sleep(0.005)
    assert handler.direct.read_paused
    assert len(handler.direct._inlet) <= (FEW + 1 if size <= SHORT else 1)
    handler.go.set()
    await until(lambda: len(handler.seen) == 2 * FEW)
    assert [number for number, _ in handler.seen] == list(range(2 * FEW))


async def test_what_was_posted_arrives_and_what_would_wait_is_not_sent(handler, client):
    await until(lambda: handler.wire)
    posted = 0
    while handler.wire.post(b"%8d" % posted + b"x" * 65536):
        posted += 1
        assert posted < 1000, "the other side does not read, and everything is taken"
    assert not handler.wire.ready
    for number in range(posted):
        assert int((await client.recv())[:8]) == number
    await until(lambda: handler.wire.ready)
    assert handler.wire.post(b"the next")
    assert await client.recv() == b"the next"


async def test_nothing_is_posted_to_who_has_gone(handler, client):
    await until(lambda: handler.wire)
    client.transport.abort()
    await until(lambda: handler.wire.closed)
    assert not handler.wire.ready
    assert not handler.direct.post(b"hello")
