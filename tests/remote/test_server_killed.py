"""The server is killed with a terminal open: it comes back, and no byte is lost or doubled."""

import asyncio
import os
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from remote_parts import Agent, Page, until
from wired_fixtures import PASSWORD, make_cast

from compagnon.app.wiring import build_services, running
from compagnon.audit import Actor
from compagnon.db import Database
from remote.recordings import cast as recording_file
from tickets.desk.model import NewTicket

SERVE = """
import asyncio, os, sys
from dataclasses import replace
from pathlib import Path
from compagnon.settings import Settings
from compagnon.app.server import Server, listen, uvicorn_config
from compagnon.app.wiring import build_app, build_services
settings = Settings.load({}, data_dir=Path(sys.argv[1]), database_url=sys.argv[2], port=int(sys.argv[3]),
                         public_url=f"http://127.0.0.1:{sys.argv[3]}", secret_key="k" * 40)
app = build_app(build_services(settings, settings.database_url))
server = Server(uvicorn_config(app, settings))
asyncio.run(server.serve(sockets=[listen(settings)]))
"""


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class KilledServer:
    """A server in its own process, which can be killed like a power cut would and started again."""

    def __init__(self, data: Path, database: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._arguments = [str(data), database, str(self.port)]
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", SERVE, *self._arguments, stderr=asyncio.subprocess.DEVNULL
        )
        async with httpx.AsyncClient(base_url=self.url) as client:

            async def answers() -> bool:
                with suppress(httpx.TransportError):
                    return (await client.get("/sign-in")).status_code == 200
                return False

            await until(answers, seconds=40, what="the server answers")

    async def kill(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)
        await self.process.wait()


@pytest.fixture
async def killable(settings):
    made = KilledServer(settings.data_dir, settings.database_url)
    await made.start()
    yield made
    if made.process.returncode is None:
        await made.kill()


async def signed_in(url: str, email: str) -> httpx.AsyncClient:
    import re

    client = httpx.AsyncClient(base_url=url, headers={"origin": url}, timeout=30)
    find = r'name="(_?csrf_token)"[^>]*value="([^"]+)"'
    name, token = re.search(find, (await client.get("/sign-in")).text).groups()
    answer = await client.post("/sign-in", data={"email": email, "password": PASSWORD, name: token})
    assert answer.status_code == 303
    client.headers["x-csrftoken"] = re.search(find, (await client.get("/account")).text).group(2)
    return client


@pytest.fixture
async def ready(killable, settings, agents):
    """The cast, a ticket, and an approved, connected agent. Prepared beside the server, on the same database."""
    from dataclasses import replace

    services = build_services(replace(settings, public_url=killable.url), settings.database_url)
    async with running(services, background=False):
        cast = await make_cast(services)
        client = await services.kernel.directory.add_client(
            kind="company", name="Garage", actor=Actor.member(cast.alice.id)
        )
        ticket = await services.tickets.desk.open(
            NewTicket(client_id=client.id, title="Panne", owner_id=cast.alice.id), cast.alice
        )
        offer = await services.remote.machines.offer(cast.alice, client.id)
        agent: Agent = agents()
        await agent.enrol(killable.url, offer.code)
        agent.policy()
        approve = services.remote.machines.approve
        await approve(cast.alice, agent.machine_id, name="Pont", site_id=None, environment=None)
    await agent.start()
    return cast, ticket, agent


async def is_online(settings, machine_id: int) -> bool:
    async with Database(settings.database_url, size=2) as db, db.connection() as conn:
        row = await (await conn.execute("SELECT online FROM machines WHERE id = %s", (machine_id,))).fetchone()
        return bool(row and row[0])


@pytest.mark.timeout(180)
async def test_nothing_is_lost_or_doubled(killable, ready, settings):
    cast, ticket, agent = ready
    await until(lambda: is_online(settings, agent.machine_id), what="the agent is online")
    alice = await signed_in(killable.url, cast.alice.email)
    answer = await alice.post(
        f"/machines/{agent.machine_id}/sessions", data={"ticket_id": ticket, "reason": "Regarder le journal"}
    )
    assert answer.status_code == 303, answer.text
    session_id = answer.headers["location"].rpartition("/")[2]
    page = Page(base=killable.url, http=alice, session_id=session_id)

    async def is_open() -> bool:
        return (await alice.post(f"/sessions/{session_id}/ticket")).json()["state"] == "open"

    await until(is_open, what="the session is open")
    await page.open()
    await until(lambda: page.last("welcome"))
    counting = "for i in $(seq 1 400); do echo line-$i-; sleep 0.02; done; echo all''done\r"
    await page.type(counting)
    await page.see("line-60-")
    await killable.kill()
    await page.type("echo typed''meanwhile\r")  # the socket is gone: it waits in the page
    recording = next((settings.data_dir / "recordings").rglob("*.cast"))
    before = recording.read_bytes()
    whole = list(recording_file.read(iter(before.splitlines(keepends=True))))
    assert b"line-60-" in b"".join(chunk.output for chunk, _ in whole), "readable up to the kill"
    await killable.start()
    page.notes.clear()
    await page.open(resume=True)
    await page.see("alldone", seconds=60)
    await page.see("typedmeanwhile", seconds=30)
    lines = bytes(page.output).decode()
    assert [line for line in range(1, 401) if lines.count(f"line-{line}-") != 1] == []
    assert lines.count("typedmeanwhile") == 1
    assert page.snapshots == 1, "the page was not redrawn: it only got what was missing"
    after = recording.read_bytes()
    outputs = b"".join(chunk.output for chunk, _ in recording_file.read(iter(after.splitlines(keepends=True))))
    assert outputs.count(b"line-200-") == 1
    assert agent.process.returncode is None
    await page.close()
    await alice.aclose()
