"""The wired application, its fixed cast, a server on a free port, a browser and an agent."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from shell_parts import own_shell

from compagnon.auth.model import Member, Role
from compagnon.settings import Settings

if TYPE_CHECKING:
    from playwright.async_api import Browser

    from compagnon.app.wiring import Services

PASSWORD = "correct horse battery"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """Alice answers the phone, Bruno is the expert, Chloé and David review, Ada administers."""

    alice: Member
    bruno: Member
    chloe: Member
    david: Member
    ada: Member


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningServer:
    url: str
    services: Services


@pytest.fixture
async def services(settings: Settings) -> AsyncIterator[Services]:
    """All services on a fresh database, opened, without background work (no jobs, no live events)."""
    from compagnon.app.wiring import build_services, running

    assert settings.database_url
    built = build_services(settings, settings.database_url)
    async with running(built, background=False):
        yield built


@pytest.fixture
def kernel(services: Services) -> Any:
    return services.kernel


@pytest.fixture
async def server(settings: Settings) -> AsyncIterator[RunningServer]:
    """A real server in this process, on a free port, with its jobs and live events."""
    async with serving(settings) as running:
        yield running


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[RunningServer]:
    from compagnon.app.server import Server, listen, uvicorn_config
    from compagnon.app.wiring import build_app, build_services

    with listen(settings) as sock:
        port = sock.getsockname()[1]
        settings = replace(settings, port=port, public_url=f"http://127.0.0.1:{port}")
        assert settings.database_url
        built = build_services(settings, settings.database_url)
        server = Server(uvicorn_config(build_app(built), settings))
        server.config.timeout_graceful_shutdown = 1
        task = asyncio.create_task(server._serve([sock]))
        waiting = asyncio.create_task(server.ready.wait())
        await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED, timeout=30)
        waiting.cancel()
        try:
            if not server.started:
                raise RuntimeError("the server did not start")
            yield RunningServer(url=settings.public_url, services=built)
        finally:
            server.end()
            await task


async def make_cast(services: Services, *, locale: str = "fr") -> Cast:
    members = services.kernel.members

    async def add(name: str, role: Role, **more: Any) -> Member:
        first = name.split()[0].lower().replace("é", "e")
        return await members.create(
            email=f"{first}@example.org", name=name, role=role, password=PASSWORD, locale=locale, **more
        )

    return Cast(
        alice=await add("Alice Martin", Role.MEMBER, departements=("35",), skills={"impression": 2}),
        bruno=await add("Bruno Leroy", Role.MEMBER, departements=("35", "22"), skills={"impression": 3, "reseau": 3}),
        chloe=await add("Chloé Petit", Role.REVIEWER, departements=("69",)),
        david=await add("David Moreau", Role.REVIEWER, departements=("13",)),
        ada=await add("Ada Bernard", Role.ADMINISTRATOR),
    )


@pytest.fixture
async def cast(request: pytest.FixtureRequest) -> Cast:
    """The five members, in the database of ``server`` when the test uses one, else of ``services``."""
    name = "server" if "server" in request.fixturenames else "services"
    found = request.getfixturevalue(name)
    return await make_cast(found.services if name == "server" else found)


@pytest.fixture
async def agent(server: RunningServer, cast: Cast, tmp_path: Path) -> AsyncIterator[AgentProcess]:
    """A real agent of a client's machine, enrolled over the real server, approved, running; it grants everything."""
    enrolled = await enrol_agent(server, cast, tmp_path / "agent")
    await enrolled.start()
    try:
        yield enrolled
    finally:
        await enrolled.stop()


async def enrol_agent(
    server: RunningServer, cast: Cast, folder: Path, *, policy: str = 'mode = "unattended-demo"\n', **more: Any
) -> AgentProcess:
    """Enrol and approve a machine of a new client; its agent is not started yet."""
    from compagnon.audit import Actor
    from compagnon.directory.model import ClientKind, NewSite

    kernel, machines = server.services.kernel, server.services.remote.machines
    client = await kernel.directory.add_client(
        kind=ClientKind.COMPANY,
        name="Menuiserie Le Goff",
        actor=Actor.member(cast.alice.id),
        phones=("02 61 91 00 01",),
        sites=(NewSite(town="Rennes", postcode="35000"),),
    )
    offer = await machines.offer(cast.alice, client.id)
    folder.mkdir(mode=0o700)
    (folder / "policy.toml").write_text(policy)
    agent = AgentProcess(machine_id=0, folder=folder)
    await agent.run("enroll", server.url, offer.code, "--name", "Poste accueil")
    agent.machine_id = int(json.loads((folder / "identity.json").read_text())["machine_id"])
    environment = more.get("environment")
    await machines.approve(cast.ada, agent.machine_id, name="Poste accueil", site_id=None, environment=environment)
    return agent


ClientFor = Callable[[Member], Awaitable[httpx.AsyncClient]]


@pytest.fixture
async def client_for(server: RunningServer) -> AsyncIterator[ClientFor]:
    """``await client_for(cast.alice)``: a signed-in HTTP client; unsafe requests carry the anti-forgery token."""
    async with AsyncExitStack() as stack:

        async def sign_in(member: Member) -> httpx.AsyncClient:
            client = httpx.AsyncClient(base_url=server.url, timeout=30, headers={"origin": server.url})
            await stack.enter_async_context(client)
            page = await client.get("/sign-in")
            token = _csrf_token(page.text)
            answer = await client.post(
                "/sign-in",
                data={"email": member.email, "password": PASSWORD, "_csrf_token": token},
                headers={"origin": server.url},
            )
            assert answer.status_code == 303, answer.text
            home = await client.get("/account")
            client.headers["x-csrftoken"] = _csrf_token(home.text)
            client.headers["accept-language"] = "en"
            return client

        yield sign_in


def _csrf_token(html: str) -> str:
    found = re.search(r'name="_csrf_token"[^>]*value="([^"]+)"|value="([^"]+)"[^>]*name="_csrf_token"', html)
    assert found, "the page has no anti-forgery token"
    return found.group(1) or found.group(2)


def chromium_path() -> str | None:
    return os.environ.get("COMPAGNON_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """A headless Chromium of this machine."""
    from playwright.async_api import async_playwright

    path = chromium_path()
    if not path:
        if os.environ.get("COMPAGNON_BROWSER_REQUIRED"):
            pytest.fail("no Chromium on this machine")
        pytest.skip("no Chromium on this machine (apt install chromium)")
    quiet = [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-first-run",
        "--disable-quic",
    ]
    async with async_playwright() as playwright:
        opened = await playwright.chromium.launch(executable_path=path, args=quiet)
        try:
            yield opened
        finally:
            await opened.close()


@dataclass(slots=True, kw_only=True)
class AgentProcess:
    """A real agent in its own process, enrolled and approved, with its own state folder."""

    machine_id: int
    folder: Path
    process: asyncio.subprocess.Process | None = None

    @property
    def environment(self) -> dict[str, str]:
        fast = {"COMPAGNON_AGENT_BACKOFF_BASE": "0.1", "COMPAGNON_AGENT_BACKOFF_CAP": "0.5"}
        own = {"COMPAGNON_AGENT_DIR": str(self.folder), "COMPAGNON_AGENT_SHELL": own_shell(self.folder)}
        return {**os.environ, **fast, **own, "PYTHONWARNINGS": "default"}

    async def run(self, *arguments: str) -> str:
        """Run one command of the agent's CLI to its end and return what it printed."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "compagnon_agent.cli",
            *arguments,
            env=self.environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode == 0, output.decode()
        return output.decode()

    async def start(self) -> None:
        log = (self.folder / "agent.log").open("ab")
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "compagnon_agent.cli",
            "run",
            env=self.environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        log.close()

    async def stop(self) -> None:
        if self.process and self.process.returncode is None:
            self.process.terminate()
            with suppress(TimeoutError):
                await asyncio.wait_for(self.process.wait(), 10)
            if self.process.returncode is None:
                self.process.kill()
                await self.process.wait()
