"""Reaching a server over a network that loses the first packets, or whose resolver is silent."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest

from compagnon_agent import reaching


@pytest.fixture
async def listener():
    """A port that accepts, and how many came."""
    came: list[asyncio.StreamWriter] = []

    async def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(writer)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1], came
    for writer in came:
        writer.close()
    server.close()
    await server.wait_closed()


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch):
    monkeypatch.setattr(reaching, "_known", {})


async def test_a_lost_packet_costs_one_second_not_the_systems_patience(listener, monkeypatch):
    """The first two tries hear nothing, for ever; the network is back with the third."""
    port, came = listener
    loop, tries = asyncio.get_running_loop(), []
    real = loop.sock_connect

    async def lossy(sock: socket.socket, address: object) -> None:
        tries.append(sock)
        if len(tries) <= 2:
            await asyncio.Event().wait()
        await real(sock, address)

    monkeypatch.setattr(loop, "sock_connect", lossy)
    begun = time.monotonic()
    made = await asyncio.wait_for(reaching.reached("127.0.0.1", port), 10)
    assert time.monotonic() - begun < 5 * reaching.AGAIN_EVERY
    assert [one.fileno() for one in tries[:2]] == [-1, -1], "what was given up is closed"
    made.close()
    await asyncio.sleep(0.05)
    assert len(came) == 1


async def test_who_is_far_away_is_reached_by_the_first_try(listener, monkeypatch):
    """Later tries come and go; the one that takes longest is not given up for them."""
    port, _ = listener
    loop, tries = asyncio.get_running_loop(), []
    real = loop.sock_connect
    monkeypatch.setattr(reaching, "AGAIN_EVERY", 0.05)

    async def slow(sock: socket.socket, address: object) -> None:
        tries.append(sock)
        await asyncio.sleep(0.6)
        await real(sock, address)

    monkeypatch.setattr(loop, "sock_connect", slow)
    made = await asyncio.wait_for(reaching.reached("127.0.0.1", port), 10)
    assert made is tries[0]
    assert len(tries) > reaching.AT_ONCE
    assert {one.fileno() for one in tries[1:]} == {-1}
    made.close()


async def test_who_refuses_is_not_waited_for():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(ConnectionRefusedError):
        await asyncio.wait_for(reaching.reached("127.0.0.1", port), 0.5)


async def test_an_address_that_was_good_is_used_while_the_resolver_is_silent(listener, monkeypatch):
    port, _ = listener
    (await reaching.reached("127.0.0.1", port)).close()

    async def silent(*_: object, **__: object) -> list[object]:
        await asyncio.sleep(60)
        return []

    async def failing(*_: object, **__: object) -> list[object]:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    loop = asyncio.get_running_loop()
    for resolver in (silent, failing):
        monkeypatch.setattr(loop, "getaddrinfo", resolver)
        (await asyncio.wait_for(reaching.reached("127.0.0.1", port), 2)).close()
    with pytest.raises(socket.gaierror):
        await reaching.reached("never.example", port)
