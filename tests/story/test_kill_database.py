"""PostgreSQL restarted at once under a working server, and the network cut between server and agent."""

import asyncio
import hashlib
import os
import re
import sys
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from kill_parts import world
from remote_parts import until
from up_parts import new_up

from compagnon.db.embedded import EmbeddedPostgres

pytestmark = pytest.mark.timeout(240)
LINES = 400
AWAY = float(os.environ.get("COMPAGNON_BENCH_AWAY", "5"))  # seconds without a database
TUNNEL = Path(__file__).parents[2] / "remote/static/remote/compagnon-tunnel.py"


@pytest.fixture
async def here(tmp_path):
    """On the server's own, embedded PostgreSQL."""
    with new_up() as up:
        database = EmbeddedPostgres(up.data / "pg").url
        async with world(up, tmp_path / "agent", database=database) as made:
            yield made


def restart_database(here) -> None:
    """As after a crash of PostgreSQL: every connection breaks, nothing is finished in order."""
    server = EmbeddedPostgres(here.up.data / "pg")
    server._run("pg_ctl", "restart", "-w", "-s", "-m", "immediate")


class Listener:
    """A page's live events, over HTTP, as a browser's EventSource reads them."""

    def __init__(self, client: httpx.AsyncClient, topic: str) -> None:
        self.client, self.topic = client, topic
        self.heard: list[str] = []
        self.task = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        async with self.client.stream("GET", f"/events?topics={self.topic}", timeout=None) as answer:
            assert answer.status_code == 200
            self.heard.append("open")
            async for line in answer.aiter_lines():
                if line.startswith(("data:", "event:")):
                    self.heard.append(line)

    async def close(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


async def say(here, body: str) -> int:
    answer = await here.alice.post(f"/tickets/{here.ticket}/messages", data={"body": body})
    return answer.status_code


async def test_pages_answer_again_and_live_events_resume(here):
    listener = Listener(here.alice, f"ticket:{here.ticket}")
    try:
        await until(lambda: listener.heard, what="the stream is open")
        assert await say(here, "avant") == 303
        await until(lambda: len(listener.heard) > 1, what="an event arrived")
        for number in range(3):
            await asyncio.to_thread(restart_database, here)
            answers = [
                (await here.alice.get(path)).status_code for path in ("/", "/tickets", f"/tickets/{here.ticket}")
            ]
            assert answers == [200, 200, 200], f"restart {number}"
            before = len(listener.heard)
            assert await say(here, f"après {number}") == 303
            await until(lambda before=before: len(listener.heard) > before, what="events resumed")
        assert not listener.task.done(), "the same stream all the time"
    finally:
        await listener.close()
    bodies = [body for (body,) in here.ask("SELECT body FROM ticket_messages ORDER BY id")]
    assert bodies[-4:] == ["avant", "après 0", "après 1", "après 2"]
    assert await here.audit_is_whole()


async def test_pages_used_all_the_time_fail_only_while_the_database_is_away(here):
    """Reads during the restarts: an answer or a clear 503, never a page of an internal error."""
    seen: list[int] = []
    done = asyncio.Event()

    async def read() -> None:
        while not done.is_set():
            seen.append((await here.alice.get(f"/tickets/{here.ticket}")).status_code)

    readers = [asyncio.create_task(read()) for _ in range(4)]
    for _ in range(3):
        await asyncio.to_thread(restart_database, here)
        await asyncio.sleep(0.5)
    done.set()
    await asyncio.gather(*readers)
    print({status: seen.count(status) for status in set(seen)})
    assert set(seen) <= {200, 503}
    assert (await here.alice.get(f"/tickets/{here.ticket}")).status_code == 200


async def test_a_terminal_survives_the_restart_of_the_database(here):
    page = await here.open_terminal()
    await page.type(f"for i in $(seq 1 {LINES}); do echo line-$i-; sleep 0.01; done; echo all''done\r")
    await page.see("line-40-")
    await asyncio.to_thread(restart_database, here)
    await page.see("alldone", seconds=60)
    await page.type("echo still''here\r")
    await page.see("stillhere")
    assert page.snapshots == 1
    for what in (bytes(page.output), here.recorded()):
        assert [i for i in range(1, LINES + 1) if what.decode().count(f"line-{i}-") != 1] == []
    await page.close()
    (state,) = here.ask("SELECT state FROM remote_sessions")[0]
    assert state == "open"


async def session_of(here, capability: str, **more: str) -> str:
    """Asked for, granted by the machine's policy; its address."""
    form = {"ticket_id": here.ticket, "reason": "Voir", "capability": capability, **more}
    answer = await here.alice.post(f"/machines/{here.agent.machine_id}/sessions", data=form)
    assert answer.status_code == 303, answer.text
    base = answer.headers["location"]

    async def is_open() -> bool:
        return (await here.alice.post(f"{base}/ticket")).json()["state"] == "open"

    await until(is_open, what="the session is open")
    return base


@asynccontextmanager
async def echo_through_a_tunnel(here):
    """The two ends of a connection through the program on a member's computer, to a target that sends all back."""

    async def back(reader, writer) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    target = await asyncio.start_server(back, "127.0.0.1", 0)
    port = target.sockets[0].getsockname()[1]
    base = await session_of(here, "tunnel", target=f"127.0.0.1:{port}")
    shown = (await here.alice.post(f"{base}/tunnel/code")).text
    address, code = re.search(r"compagnon-tunnel\.py (\S+) --listen \S+ --code (\S+)<", shown).groups()
    program = await asyncio.create_subprocess_exec(
        sys.executable, str(TUNNEL), address, "--listen", "127.0.0.1:0", "--code", code,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        line = (await asyncio.wait_for(program.stdout.readline(), 20)).decode()
        reader, writer = await asyncio.open_connection("127.0.0.1", int(re.match(r"127\.0\.0\.1:(\d+)", line)[1]))
        yield reader, writer
        writer.close()
    finally:
        program.kill()
        await program.wait()
        target.close()


async def upload(here, base: str, folder: Path, data: bytes, sent: asyncio.Event) -> None:
    """As the page does: piece by piece, asking how far it came after whatever went wrong."""
    about = {"key": quote(str(folder)), "names": ["x.bin"], "size": len(data), "modified": 1}
    piece = 256 * 1024
    while True:
        with suppress(httpx.TransportError, KeyError, ValueError):
            begun = (await here.alice.post(f"{base}/files/uploads", json=about)).json()
            token, have = begun["token"], begun["have"]
            while have < len(data):
                address = f"{base}/files/uploads/{token}?start={have}"
                have = (await here.alice.put(address, content=data[have : have + piece])).json()["have"]
                sent.set()
                await asyncio.sleep(0.05)
            digest = hashlib.sha256(data).hexdigest()
            answer = await here.alice.post(f"{base}/files/uploads/{token}/end", json={"sha256": digest})
            if answer.status_code == 200:
                return
        await asyncio.sleep(0.2)


async def test_what_is_open_goes_on_while_the_database_is_away(here, tmp_path):
    """A terminal and a tunnel's connection do not notice; an upload waits and goes on. Nothing is lost or doubled."""
    page = await here.open_terminal()
    files, data, sent = await session_of(here, "files"), os.urandom(12_000_000), asyncio.Event()
    async with echo_through_a_tunnel(here) as (reader, writer):
        uploading = asyncio.create_task(upload(here, files, tmp_path, data, sent))
        await asyncio.wait_for(sent.wait(), 20)
        count = int(20 * (AWAY + 8))
        await page.type(f"for i in $(seq 1 {count}); do echo line-$i-; sleep 0.05; done; echo all''done\r")
        await page.see("line-20-")
        postgres = EmbeddedPostgres(here.up.data / "pg")
        await asyncio.to_thread(postgres._run, "pg_ctl", "stop", "-w", "-s", "-m", "immediate")
        seen = len(page.output)
        await page.type("echo typed''meanwhile\r")
        await until(lambda: page.arrived == len(page.typed), seconds=AWAY, what="keys go through without a database")
        for number in range(int(AWAY)):
            writer.write(b"%08d" % number)
            assert await asyncio.wait_for(reader.readexactly(8), 5) == b"%08d" % number
            await asyncio.sleep(1)
        assert len(page.output) > seen, "so does what the terminal prints"
        assert not uploading.done()
        await asyncio.to_thread(postgres.start)
        await asyncio.wait_for(uploading, 60)
        writer.write(b"the end")
        assert await asyncio.wait_for(reader.readexactly(7), 5) == b"the end"
    await page.see("alldone", seconds=60)
    await page.see("typedmeanwhile")
    assert (tmp_path / "x.bin").read_bytes() == data
    for text in (bytes(page.output).decode(), here.recorded_of(page.session_id).decode()):
        assert [i for i in range(1, count + 1) if text.count(f"line-{i}-") != 1] == []
        assert text.count("typedmeanwhile") == 1
    assert page.snapshots == 1
    assert await here.audit_is_whole()
    await page.close()


async def test_background_jobs_go_on(here):
    """A job queued after the restart is run: the worker that lost its connection was followed by another."""
    await asyncio.to_thread(restart_database, here)
    (job,) = here.ask(
        "INSERT INTO procrastinate_jobs (task_name, queue_name, args) VALUES ('nobody.knows.it', 'default', '{}')"
        " RETURNING id"
    )
    await until(lambda: here.ask("SELECT status FROM procrastinate_jobs WHERE id = %s", job[0]) == [("failed",)])


async def test_a_write_is_not_doubled_when_its_answer_is_lost_with_the_database(here):
    """The same request key again: one message."""
    form = {"body": "une fois", "request_key": "6f2d1f0e-6f0c-4a53-9a4e-2a8f4c1d7b90"}
    for _ in range(2):
        assert (await here.alice.post(f"/tickets/{here.ticket}/messages", data=form)).status_code == 303
        await asyncio.to_thread(restart_database, here)
    assert here.ask("SELECT count(*) FROM ticket_messages WHERE body = 'une fois'") == [(1,)]


# -- the network -------------------------------------------------------------------------------------------------------


class Relay:
    """A TCP relay that can stop forwarding without closing anything: what a lost mobile network looks like."""

    def __init__(self, port: int) -> None:
        self.to_port = port
        self.open = asyncio.Event()
        self.open.set()
        self.port = 0
        self.passed = 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "Relay":
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self.to_port)
        for source, target in ((reader, back), (there, writer)):
            task = asyncio.create_task(self._forward(source, target))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _forward(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                await self.open.wait()
                target.write(data)
                await target.drain()
                self.passed += len(data)
        except OSError:
            pass
        finally:
            target.close()


@pytest.mark.parametrize("seconds", [4, 25])
async def test_the_network_between_agent_and_server_is_cut_for_a_while(here, seconds):
    """4 s are only silence; after 25 s both sides gave the connection up and made a new one. The terminal goes on."""
    async with Relay(here.up.port) as relay:
        await here.agent.stop()
        lead(here.agent, f"http://127.0.0.1:{relay.port}")
        await here.agent.start()
        page = await here.open_terminal()
        assert relay.passed, "the agent goes through the relay"
        count = 100 * (seconds + 4)
        await page.type(f"for i in $(seq 1 {count}); do echo line-$i-; sleep 0.01; done; echo all''done\r")
        await page.see("line-40-")
        relay.open.clear()
        await asyncio.sleep(1)
        seen = len(page.output)
        await page.type("echo typed''meanwhile\r")
        await asyncio.sleep(seconds - 1)
        assert len(page.output) == seen, "nothing came through"
        relay.open.set()
        await page.see("alldone", seconds=60)
        await page.see("typedmeanwhile")
        for what in (bytes(page.output), here.recorded()):
            text = what.decode()
            assert [i for i in range(1, count + 1) if text.count(f"line-{i}-") != 1] == []
            assert text.count("typedmeanwhile") == 1
        assert page.snapshots == 1
        await page.close()
        await here.agent.stop()


def lead(agent, server: str) -> None:
    """Have an enrolled agent dial another address of the same server."""
    import json

    path = agent.folder / "identity.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "server": server}))
