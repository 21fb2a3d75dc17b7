"""An agent behind a proxy: a real, small one that only knows CONNECT (RFC 9110 §9.3.6), with and without a password."""

from __future__ import annotations

import asyncio
import base64
from contextlib import suppress

import pytest

from compagnon_agent.protocol.messages import Policy


class Proxy:
    """Refuses whoever does not know the password, with 407."""

    def __init__(self, password: str = "") -> None:
        self.password = password
        self.tunnels: list[str] = []
        self.refused = 0
        self.port = 0

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        method, target, _ = head.split(" ", 2)
        expected = base64.b64encode(f"agent:{self.password}".encode()).decode()
        if method != "CONNECT" or (self.password and f"Basic {expected}" not in head):
            self.refused += 1
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            writer.close()
            return
        self.tunnels.append(target)
        host, _, port = target.rpartition(":")
        far_reader, far_writer = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


@pytest.mark.parametrize("password", ["", "très secret"])
async def test_through_the_proxy_that_is_named(speaking_server, runner, password):
    async with Proxy(password) as proxy:
        account = "agent:tr%C3%A8s%20secret@" if password else ""
        runner.extra = {"COMPAGNON_AGENT_PROXY": f"http://{account}127.0.0.1:{proxy.port}"}
        await runner.start()
        await speaking_server.expect(Policy, timeout=40)
        assert proxy.tunnels[0] == f"127.0.0.1:{speaking_server.port}"
        assert not proxy.refused
        await runner.stop()


async def test_a_proxy_that_refuses_is_no_connection(speaking_server, runner):
    async with Proxy("secret") as proxy:
        runner.extra = {"COMPAGNON_AGENT_PROXY": f"http://agent:wrong@127.0.0.1:{proxy.port}"}
        await runner.start()
        await speaking_server.until(lambda: proxy.refused >= 2)
        assert speaking_server.connections == 0
        _, status = await runner.command("status")
        assert "disconnected" in status
        await runner.stop()


async def test_through_the_usual_variables(speaking_server, runner):
    async with Proxy() as proxy:
        runner.extra = {"HTTP_PROXY": f"http://127.0.0.1:{proxy.port}"}
        await runner.start()
        await speaking_server.connected()
        assert proxy.tunnels
        await runner.stop()
