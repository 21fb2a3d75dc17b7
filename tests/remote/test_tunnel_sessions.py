"""A tunnel through a real agent: from this server, and from a member's computer with the program of the page."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from remote_parts import is_open, until

from compagnon.errors import Conflict, Forbidden
from compagnon_agent.protocol.channel import ChannelLost
from remote.sessions.call_room import CallFailed
from remote.sessions.model import EndReason

PROGRAM = Path(__file__).parents[2] / "remote/static/remote/compagnon-tunnel.py"
BIG = os.urandom(3 * 1024 * 1024)


class Target:
    """``echo``, ``big`` (sends and closes), ``hash`` (reads to the end, then answers), ``hang``: by the first line."""

    def __init__(self) -> None:
        self.port = 0
        self.open = 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self._server.close()
        for writer in self._writers:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        self._writers.add(writer)
        try:
            await self._answer((await reader.readline()).strip(), reader, writer)
            writer.close()
            await writer.wait_closed()
        except OSError:
            pass
        finally:
            self.open -= 1
            self._writers.discard(writer)

    async def _answer(self, wish: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if wish == b"big":
            writer.write(BIG)
            await writer.drain()
        elif wish == b"hash":
            writer.write(hashlib.sha256(await reader.read(-1)).hexdigest().encode())
        elif wish == b"hang":
            await reader.read(-1)
        else:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()


@pytest.fixture
async def target():
    made = Target()
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def tunnel(server, cast, agent, ticket, target):
    opened = await server.services.remote.sessions.open(
        agent.machine_id,
        ticket,
        "Voir l'imprimante",
        cast.alice,
        capability="tunnel",
        target=f"127.0.0.1:{target.port}",
    )
    await until(lambda: is_open(server, opened.id), what="the session is open")
    return await server.services.remote.sessions.get(opened.id)


@pytest.fixture
def tunnels(server):
    return server.services.remote.called.tunnels


async def read_all(end) -> bytes:
    found = bytearray()
    while data := await end.read():
        found += data
    return bytes(found)


async def ask(tunnels, tunnel, member, wish: bytes, body: bytes = b"") -> bytes:
    async with tunnels.connection(tunnel.id, member, via="test") as end:
        await end.write(wish + b"\n" + body)
        await end.finish()
        return await read_all(end)


async def labels(server, session):
    recordings = server.services.remote.recordings
    return [marker.label for marker in await recordings.markers(await recordings.get(session.id))]


async def audited(server, action):
    async with server.services.kernel.db.connection() as conn:
        rows = await (
            await conn.execute("SELECT details FROM audit_log WHERE action = %s ORDER BY seq", [action])
        ).fetchall()
    return [row[0] for row in rows]


async def test_bytes_go_both_ways_and_are_counted_on_both_sides(server, cast, agent, tunnels, tunnel, target):
    assert await ask(tunnels, tunnel, cast.alice, b"echo", b"bonjour") == b"bonjour"
    assert await ask(tunnels, tunnel, cast.alice, b"big") == BIG
    body = os.urandom(1_500_000)
    assert await ask(tunnels, tunnel, cast.alice, b"hash", body) == hashlib.sha256(body).hexdigest().encode()
    counted = [(one.up, one.down, one.live) for one in await tunnels.connections(tunnel.id, cast.alice)]
    assert counted == [(5 + len(body), 64, False), (4, len(BIG), False), (12, 7, False)]
    await until(lambda: target.open == 0, what="every connection is closed at the target")
    found = await labels(server, tunnel)
    assert "tunnel.opened: 1 Alice Martin" in found
    assert any(re.match(r"tunnel.closed: 2 4 B ↑ 3145728 B ↓ .*\(closed\)", label) for label in found)

    async def written():
        return len(await audited(server, "tunnel.closed")) == 3

    await until(written)
    assert [one["down"] for one in await audited(server, "tunnel.closed")] == [7, len(BIG), 64]

    def told() -> str:
        return (agent.folder / "audit.jsonl").read_text()

    await until(lambda: told().count("tunnel.closed") == 3, what="the agent wrote every end down")
    assert told().count('"tunnel.open"') == 3
    assert f"127.0.0.1:{target.port}" in told()


async def test_a_connection_survives_cut_links(server, cast, tunnels, tunnel):
    room = await server.services.remote.calling.room(tunnel.id, cast.alice, tunnel.capability, changes=True)
    async with tunnels.connection(tunnel.id, cast.alice, via="test") as end:
        await end.write(b"big\n")
        await end.finish()
        found = bytearray()
        while data := await end.read():
            found += data
            if len(found) // 500_000 != (len(found) - len(data)) // 500_000 and room.agent:
                wire = room.agent
                wire.dismiss(1012, "cut by the test")
                room.detach(wire)
        assert bytes(found) == BIG


async def test_what_does_not_answer_is_said(server, cast, tunnels, tunnel, target):
    await target.stop()
    with pytest.raises(CallFailed, match=str(target.port)):
        await ask(tunnels, tunnel, cast.alice, b"echo")
    assert "tunnel.closed: 1 0 B ↑ 0 B ↓" in " ".join(await labels(server, tunnel))


async def test_a_name_that_leads_to_the_machine_itself_or_to_a_cloud_is_refused(server, cast, agent, ticket):
    sessions = server.services.remote.sessions
    opened = await sessions.open(
        agent.machine_id, ticket, "Voir", cast.alice, capability="tunnel", target="169.254.169.254:80"
    )

    async def refused():
        return (await sessions.get(opened.id)).end_reason is EndReason.REFUSED

    await until(refused)


async def test_so_many_connections_at_once_and_no_more(server, cast, tunnels, tunnel, target):
    ends = []
    for _ in range(12):
        context = tunnels.connection(tunnel.id, cast.alice, via="test")
        end = await context.__aenter__()
        await end.write(b"hang\n")
        ends.append(context)
    with pytest.raises(CallFailed) as refused:
        await ask(tunnels, tunnel, cast.alice, b"echo")
    assert refused.value.code == "busy"
    await until(lambda: target.open == 12)
    for context in ends:
        await context.__aexit__(None, None, None)
    await until(lambda: target.open == 0, what="what is closed here is closed there")

    async def answers() -> bool:
        with suppress(CallFailed, ChannelLost):  # the agent still counts the last ones
            return await ask(tunnels, tunnel, cast.alice, b"echo", b"x") == b"x"
        return False

    for _ in range(21):
        await until(answers)


async def test_stop_cuts_what_is_open(server, cast, agent, tunnels, tunnel, target):
    async with tunnels.connection(tunnel.id, cast.alice, via="test") as end:
        await end.write(b"hang\n")
        await until(lambda: target.open == 1)
        status, said = await agent.cli("stop-session")
        assert status == 0, said
        with pytest.raises(ChannelLost):
            await read_all(end)
    await until(lambda: target.open == 0)
    assert "(stopped)" in " ".join(await labels(server, tunnel))
    with pytest.raises(Conflict):
        await ask(tunnels, tunnel, cast.alice, b"echo")


async def test_only_who_drives_connects(server, cast, tunnels, tunnel):
    await server.services.remote.sessions.invite(cast.alice, tunnel.id, cast.bruno.id)
    for stranger in (cast.bruno, cast.chloe):
        with pytest.raises(Forbidden):
            await ask(tunnels, tunnel, stranger, b"echo")


async def test_a_blocking_socket_for_the_server_itself(server, cast, agent, tunnels, tunnel, target):
    found = await tunnels.open_to(agent.machine_id, "127.0.0.1", target.port, cast.alice)
    assert found is not None
    assert await tunnels.open_to(agent.machine_id, "127.0.0.1", target.port + 1, cast.alice) is None
    assert await tunnels.open_to(agent.machine_id, "127.0.0.1", target.port, cast.bruno) is None
    sock = await tunnels.dial(found.id, cast.alice, via="test")

    def talk() -> bytes:
        with sock:
            sock.sendall(b"echo\nbonjour")
            return sock.recv(100)

    assert await asyncio.to_thread(talk) == b"bonjour"
    await until(lambda: target.open == 0)
    await target.stop()
    with pytest.raises(CallFailed):
        await tunnels.dial(found.id, cast.alice, via="test")


# -- a member's own computer


async def command(server, client, session) -> list[str]:
    answer = await client.post(f"/sessions/{session.id}/tunnel/code")
    assert answer.status_code == 200, answer.text
    found = re.search(r"compagnon-tunnel\.py (\S+) --listen \S+ --code (\S+)<", answer.text)
    assert found, answer.text
    return [found.group(1), "--listen", "127.0.0.1:0", "--code", found.group(2)]


async def start(arguments: list[str]):
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-W",
        "error",
        str(PROGRAM),
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


@pytest.fixture
async def program(server, cast, tunnel, client_for):
    """The program, listening; and the port where."""
    process = await start(await command(server, await client_for(cast.alice), tunnel))
    line = (await asyncio.wait_for(process.stdout.readline(), 20)).decode()
    found = re.match(r"127\.0\.0\.1:(\d+) leads to 127\.0\.0\.1:\d+ \(Accueil\)", line)
    assert found, line
    yield process, int(found.group(1))
    if process.returncode is None:
        process.kill()
    await process.wait()


async def through(port: int, sent: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(sent)
        writer.write_eof()
        return await asyncio.wait_for(reader.read(-1), 30)
    finally:
        writer.close()


async def test_the_program_carries_bytes_for_programs_of_the_member(server, cast, tunnels, tunnel, program, target):
    _, port = program
    assert await through(port, b"big\n") == BIG
    body = os.urandom(1_000_000)
    assert await through(port, b"hash\n" + body) == hashlib.sha256(body).hexdigest().encode()
    several = await asyncio.gather(*(through(port, b"echo\n" + bytes([number]) * 1000) for number in range(8)))
    assert several == [bytes([number]) * 1000 for number in range(8)]
    await until(lambda: target.open == 0)
    assert all(not one.live for one in await tunnels.connections(tunnel.id, cast.alice))


async def test_a_code_is_good_once_and_for_its_session(server, cast, tunnel, client_for):
    alice = await client_for(cast.alice)
    arguments = await command(server, alice, tunnel)
    first = await start(arguments)
    assert b"leads to" in await asyncio.wait_for(first.stdout.readline(), 20)
    first.kill()
    await first.wait()
    for wrong in (
        arguments,
        [*arguments[:-1], "1.nonsense"],
        [*arguments[:-1], "x"],
        [*arguments[:-1], "9" * 30 + ".x"],
    ):
        again = await start(wrong)
        said, _ = await asyncio.wait_for(again.communicate(), 20)
        assert again.returncode == 1
        assert b"not known" in said, said
    bruno = await client_for(cast.bruno)
    assert (await bruno.post(f"/sessions/{tunnel.id}/tunnel/code")).status_code == 403


@pytest.mark.parametrize("wrong", [["http://example.org/sessions/1"], ["ftp://x/"]])
async def test_the_program_sends_its_code_nowhere_unsafe(wrong):
    process = await start([*wrong, "--code", "1.x"])
    said, _ = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 2
    assert b"must be the session's address" in said


async def test_the_program_listens_on_its_own_computer_only():
    process = await start(["https://example.org/sessions/1", "--listen", "0.0.0.0:8080", "--code", "1.x"])
    said, _ = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 2
    assert b"only this computer" in said


async def test_without_a_pass_nothing_is_dialled(server, tunnel, target):
    for header in ("", "Authorization: Bearer nonsense\r\n", "Authorization: Basic eA==\r\n"):
        reader, writer = await asyncio.open_connection(*server.url.removeprefix("http://").split(":"))
        request = (
            f"GET /sessions/{tunnel.id}/tunnel HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n{header}\r\n"
        )
        writer.write(request.encode())
        assert b"403" in await reader.readline()
        writer.close()
    assert target.open == 0


async def test_the_program_ends_with_the_session_and_with_the_sign_in(server, cast, tunnel, program, client_for):
    _, port = program
    assert await through(port, b"echo\nx") == b"x"
    alice = await client_for(cast.alice)
    assert (await alice.get(f"/sessions/{tunnel.id}")).status_code == 200
    await server.services.remote.sessions.end(tunnel.id, EndReason.MEMBER)
    assert await through(port, b"echo\nx") == b""


async def test_the_page_shows_the_target_the_command_and_the_connections(server, cast, tunnels, tunnel, client_for):
    await ask(tunnels, tunnel, cast.alice, b"echo", b"x")
    alice = await client_for(cast.alice)
    page = await alice.get(f"/sessions/{tunnel.id}")
    assert tunnel.target in page.text
    program = re.search(r'href="([^"]+compagnon-tunnel\.py)"', page.text)
    assert program
    assert (await alice.get(program.group(1))).content == PROGRAM.read_bytes()
    table = await alice.get(f"/sessions/{tunnel.id}/tunnel/connections")
    assert "Alice" in table.text
    assert (await (await client_for(cast.chloe)).get(f"/sessions/{tunnel.id}/tunnel/connections")).status_code == 403
