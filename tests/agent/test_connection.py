"""The agent's WebSocket without detours: nothing overtakes, nothing is lost, nobody is starved."""

import asyncio
import random
import socket
from contextlib import asynccontextmanager

import pytest
from socket_parts import in_one_packet
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosedOK

from compagnon_agent.connection import Connection, answer


@asynccontextmanager
async def pair():
    """The agent's end, and the server's."""
    arrived = asyncio.get_running_loop().create_future()

    async def handler(connection):
        arrived.set_result(connection)
        await connection.wait_closed()

    async with serve(handler, "127.0.0.1", 0, compression=None, ping_interval=None, max_queue=None) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        how = {"compression": None, "ping_interval": None, "write_limit": 64 * 1024}
        async with connect(f"ws://127.0.0.1:{port}/", create_connection=Connection, proxy=None, **how) as ours:
            yield ours, await arrived


async def read_all(ours, seen):
    while True:
        seen.append((int(await ours.next_message()), False))


async def read_raw(ours, seen):
    while True:
        seen.append(await ours.next_message())


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("every", [1, 2, 3, 7])
async def test_order_is_kept_whatever_is_taken_at_once(every):
    seen = []

    def take(message):
        if int(message) % every:
            return False
        seen.append((int(message), True))
        return True

    async with pair() as (ours, theirs):
        ours.at_once = take
        reading = asyncio.create_task(read_all(ours, seen))
        messages = [str(number) if number % 11 == 5 else b"%d" % number for number in range(300)]
        for start in range(0, 300, 6):
            in_one_packet(theirs, messages[start : start + 1])
            await asyncio.sleep(0.001)
            in_one_packet(theirs, messages[start + 1 : start + 6])
        await until(lambda: len(seen) == 300)
        reading.cancel()
    assert [number for number, _ in seen] == list(range(300))
    assert any(at_once for _, at_once in seen)


@pytest.mark.parametrize("seed", range(12))
async def test_nothing_is_lost_doubled_or_overtaken_however_the_bytes_are_cut(seed):
    chance, seen = random.Random(seed), []

    def take(message):
        if int(message[:8]) % 5 == 3:
            return False
        seen.append(int(message[:8]))
        return True

    async def read(ours):
        while True:
            seen.append(int((await ours.next_message())[:8]))

    async with pair() as (ours, theirs):
        ours.at_once = take
        reading = asyncio.create_task(read(ours))
        kinds = ["key"] * 12 + ["text", "long", "longer"][: 1 + seed % 3] + ["ping", "pieces"][: seed // 9 * 2]
        for number in range(300):
            packet = framed(theirs.protocol, chance.choice(kinds), b"%8d" % number)
            if chance.random() < 0.1:
                cut = chance.randrange(1, len(packet))
                theirs.transport.write(packet[:cut])
                await asyncio.sleep(0.002)
                packet = packet[cut:]
            theirs.transport.write(packet)
            await asyncio.sleep(chance.choice([0, 0, 0.002]))
        await until(lambda: len(seen) >= 300)
        reading.cancel()
    assert seen == list(range(300))


async def test_the_end_of_a_message_that_looks_like_a_key_is_none():
    seen = []
    async with pair() as (ours, theirs):
        ours.at_once = lambda message: seen.append(message) or True
        reading = asyncio.create_task(read_raw(ours, seen))
        await until(lambda: ours._listening)
        theirs.transport.write(b"\x82\x08long")
        await asyncio.sleep(0.05)
        theirs.transport.write(b"\x82\x02no")
        await asyncio.sleep(0.05)
        await theirs.send(b"a key")
        await until(lambda: len(seen) == 2)
        reading.cancel()
    assert seen == [b"long\x82\x02no", b"a key"]


def framed(protocol, kind, message):
    if kind == "ping":
        protocol.send_ping(b"")
    if kind == "pieces":
        protocol.send_binary(message[:5], fin=False)
        protocol.send_continuation(message[5:], fin=True)
    elif kind == "text":
        protocol.send_text(message)
    else:
        protocol.send_binary(message + b"x" * {"long": 200, "longer": 66_000}.get(kind, 0))
    return b"".join(protocol.data_to_send())


async def test_messages_that_come_together_are_left_to_who_waits():
    """Thousands in one packet must not keep everything else waiting."""
    seen = []
    async with pair() as (ours, theirs):
        ours.at_once = lambda message: seen.append((int(message), True)) or True
        reading = asyncio.create_task(read_all(ours, seen))
        await until(lambda: ours._listening)
        in_one_packet(theirs, [b"%d" % number for number in range(1000)])
        await until(lambda: len(seen) == 1000)
        reading.cancel()
    assert not any(at_once for _, at_once in seen)


@pytest.mark.parametrize("message", [b"hello", "hello", bytes(70_000)])
async def test_a_first_message_that_comes_with_the_answer_to_the_handshake(message):
    """As the server's does: the keys after it are taken at once all the same."""
    taken = []

    async def handler(connection):
        await connection.send(message)  # in the turn of the answer
        await connection.wait_closed()

    async with serve(handler, "127.0.0.1", 0, compression=None, ping_interval=None, process_request=cork) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        how = {"compression": None, "ping_interval": None, "create_connection": Connection, "proxy": None}
        async with connect(f"ws://127.0.0.1:{port}/", **how) as ours:
            assert await ours.next_message() == message
            ours.at_once = lambda each: taken.append(each) or True
            reading = asyncio.create_task(ours.next_message())
            await until(lambda: ours._listening)
            await next(iter(server.connections)).send(b"a key")
            await until(lambda: taken)
            reading.cancel()
    assert taken == [b"a key"]


def cork(connection, request):
    """Let the answer wait for what is sent next."""
    connection.transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
    asyncio.get_running_loop().call_later(
        0.05, connection.transport.get_extra_info("socket").setsockopt, socket.IPPROTO_TCP, socket.TCP_CORK, 0
    )


@pytest.mark.parametrize(
    ("packet", "size"),
    [
        (b"HTTP/1.1 101 Switching Protocols\r\nA: b\r\n\r\n", 42),
        (b"HTTP/1.1 101 Switching Protocols\r\nA: b\r\n\r\n\x82\x01x", 42),
        (b"HTTP/1.1 101 Switching Protocols\r\nA: b\r\n\r", 0),
        (b"\n\x82\x04\r\n\r\n", 0),
    ],
)
def test_where_the_answer_to_the_handshake_ends(packet, size):
    assert answer(packet) == size


async def test_nothing_is_taken_at_once_while_nobody_waits():
    taken = []
    async with pair() as (ours, theirs):
        ours.at_once = lambda message: taken.append(message) or True
        await theirs.send(b"first")
        await asyncio.sleep(0.05)
        assert taken == []
        assert await ours.next_message() == b"first"


async def test_a_message_in_pieces_is_left_to_who_waits():
    async with pair() as (ours, theirs):
        ours.at_once = lambda message: pytest.fail(f"took {message!r}")
        waiting = asyncio.create_task(ours.next_message())
        await until(lambda: ours._listening)
        await theirs.send([b"in ", b"pieces"])
        assert await waiting == b"in pieces"


async def test_what_was_posted_arrives_in_order_with_what_was_sent():
    async with pair() as (ours, theirs):
        posted = 0
        theirs.transport.pause_reading()
        while ours.ready:
            ours.post(b"%8d" % posted + b"x" * 65536)
            posted += 1
            assert posted < 1000
        later = asyncio.create_task(ours.send(b"%8d" % posted))
        theirs.transport.resume_reading()
        assert [int((await theirs.recv())[:8]) for _ in range(posted + 1)] == list(range(posted + 1))
        await later
        ours.post("a text")
        assert await theirs.recv() == "a text"


async def test_a_closed_connection_is_not_ready():
    async with pair() as (ours, theirs):
        await theirs.close()
        with pytest.raises(ConnectionClosedOK):
            await ours.next_message()
        assert not ours.ready
