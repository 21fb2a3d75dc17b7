"""A server in its own process on an embedded PostgreSQL, for the benches of agents and terminals."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import psycopg

from compagnon.app.database import prepare
from compagnon.app.wiring import Services, build_services, running
from compagnon.audit import Actor
from compagnon.auth.model import Member, Role
from compagnon.db.embedded import EmbeddedPostgres
from compagnon.directory.model import ClientKind
from compagnon.settings import Settings

PASSWORD = "correct horse battery"
SERVE = """
import asyncio, sys
from pathlib import Path
from compagnon.settings import Settings
from compagnon.app.server import Server, listen, uvicorn_config
from compagnon.app.wiring import build_app, build_services
settings = Settings.load({}, data_dir=Path(sys.argv[1]), database_url=sys.argv[2], port=int(sys.argv[3]),
                         public_url=f"http://127.0.0.1:{sys.argv[3]}", secret_key="k" * 40, log_level="error")
config = uvicorn_config(build_app(build_services(settings, settings.database_url)), settings)
server = Server(config)
server.config.load()
with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
    runner.run(server.serve(sockets=[listen(settings)]))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    url: str
    process: psutil.Process
    services: Services
    alice: Member
    client_id: int
    folder: Path
    restart: Callable[[], Awaitable[psutil.Process]]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@asynccontextmanager
async def serving() -> AsyncIterator[Bench]:
    folder = Path(tempfile.mkdtemp(prefix="compagnon-bench-"))
    folder.chmod(0o711)
    postgres = EmbeddedPostgres(folder / "pg")
    postgres.start()
    try:
        async with _server(folder, postgres.url) as bench:
            yield bench
    finally:
        postgres.stop()
        shutil.rmtree(folder, ignore_errors=True)


@asynccontextmanager
async def _server(folder: Path, url: str) -> AsyncIterator[Bench]:
    name = f"bench_{secrets.token_hex(4)}"
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(f"CREATE DATABASE {name}")
    database = psycopg.conninfo.make_conninfo(url, dbname=name)
    await prepare(database)
    data = folder / "data"
    data.mkdir(mode=0o700)
    port = free_port()
    arguments = [sys.executable, "-c", SERVE, str(data), database, str(port)]
    process = await asyncio.create_subprocess_exec(*arguments)

    async def restart() -> psutil.Process:
        """Killed without a word, and started again."""
        nonlocal process
        process.kill()
        await process.wait()
        process = await asyncio.create_subprocess_exec(*arguments)
        return psutil.Process(process.pid)

    address = f"http://127.0.0.1:{port}"
    settings = Settings.load({}, data_dir=data, database_url=database, public_url=address, secret_key="k" * 40)
    services = build_services(settings, database)
    try:
        await _answers(address)
        async with running(services, background=False):
            yield await _peopled(address, process.pid, services, folder, restart)
    finally:
        process.terminate()
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), 10)
        if process.returncode is None:
            process.kill()


async def _answers(address: str) -> None:
    end = time.monotonic() + 60
    async with httpx.AsyncClient() as client:
        while time.monotonic() < end:
            with suppress(httpx.TransportError):
                if (await client.get(f"{address}/sign-in")).status_code == 200:
                    return
            await asyncio.sleep(0.1)
    raise SystemExit("the server did not start")


async def _peopled(
    address: str, pid: int, services: Services, folder: Path, restart: Callable[[], Awaitable[psutil.Process]]
) -> Bench:
    alice = await services.kernel.members.create(
        email="alice@example.org", name="Alice Martin", role=Role.MEMBER, password=PASSWORD
    )
    client = await services.kernel.directory.add_client(
        kind=ClientKind.COMPANY, name="Garage du Port", actor=Actor.member(alice.id)
    )
    return Bench(
        url=address,
        process=psutil.Process(pid),
        services=services,
        alice=alice,
        client_id=client.id,
        folder=folder,
        restart=restart,
    )


async def signed_in(bench: Bench) -> httpx.AsyncClient:
    """An HTTP client signed in as Alice, with the anti-forgery header."""
    client = httpx.AsyncClient(base_url=bench.url, headers={"origin": bench.url}, timeout=30)
    field = r'name="(_?csrf_token)"[^>]*value="([^"]+)"'
    name, token = re.search(field, (await client.get("/sign-in")).text).groups()
    answer = await client.post("/sign-in", data={"email": bench.alice.email, "password": PASSWORD, name: token})
    assert answer.status_code == 303, answer.text
    client.headers["x-csrftoken"] = re.search(field, (await client.get("/account")).text).group(2)
    return client


async def agent_process(bench: Bench, *, url: str = "") -> tuple[int, asyncio.subprocess.Process]:
    """A real agent, enrolled, approved, running under the policy of a disposable machine. ``url``: its way there.

    Its shell is the plain one: what somebody's own loads at its start is not what is measured.
    """
    folder = bench.folder / "agent"
    folder.mkdir(mode=0o700)
    environment = {**os.environ, "COMPAGNON_AGENT_DIR": str(folder), "COMPAGNON_AGENT_SHELL": "/bin/sh"}
    machines = bench.services.remote.machines
    offer = await machines.offer(bench.alice, bench.client_id)
    command = [sys.executable, "-m", "compagnon_agent.cli"]
    enrol = await asyncio.create_subprocess_exec(
        *command, "enroll", url or bench.url, offer.code, env=environment, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await enrol.communicate()
    machine_id = int(re.search(rb"machine (\d+)", output).group(1))
    (folder / "policy.toml").write_text('mode = "unattended-demo"\n')
    (folder / "policy.toml").chmod(0o600)
    await machines.approve(bench.alice, machine_id, name="Banc", site_id=None, environment=None)
    process = await asyncio.create_subprocess_exec(
        *command,
        "run",
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    while not (await machines.get(machine_id)).online:
        await asyncio.sleep(0.05)
    return machine_id, process
