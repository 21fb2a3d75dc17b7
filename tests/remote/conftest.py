"""Real agents against the real server: enrolled, approved, with a terminal open."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from compagnon.audit import Actor
from compagnon_agent.protocol import frames
from compagnon_agent.protocol.frames import FrameKind
from tickets.desk.model import NewTicket

POLICY = 'mode = "unattended-demo"\nnote = "A disposable machine of the tests"\n'


async def until(condition: Callable[[], object], *, seconds: float = 15.0, what: str = "") -> None:
    """Wait until ``condition()`` (or its awaited result) is true."""
    end = asyncio.get_running_loop().time() + seconds
    while True:
        found = condition()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return
        assert asyncio.get_running_loop().time() < end, f"it did not happen in {seconds} s: {what or condition}"
        await asyncio.sleep(0.02)


@dataclass(slots=True, kw_only=True)
class Agent:
    """A real agent in its own process and folder."""

    folder: Path
    machine_id: int = 0
    process: asyncio.subprocess.Process | None = None

    def environment(self) -> dict[str, str]:
        return {
            "PATH": "/usr/bin:/bin",
            "HOME": str(self.folder),
            "SHELL": "/bin/sh",
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(Path(__file__).parents[2] / "agent"),
            "COMPAGNON_AGENT_DIR": str(self.folder),
            "COMPAGNON_AGENT_BACKOFF_BASE": "0.1",
            "COMPAGNON_AGENT_BACKOFF_CAP": "0.5",
        }

    async def cli(self, *arguments: str) -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "compagnon_agent.cli",
            *arguments,
            env=self.environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode is not None
        return process.returncode, output.decode()

    async def enrol(self, url: str, code: str) -> None:
        status, output = await self.cli("enroll", url, code)
        assert status == 0, output
        found = re.search(r"machine (\d+)", output)
        assert found, output
        self.machine_id = int(found.group(1))

    def policy(self, text: str = POLICY) -> None:
        (self.folder / "policy.toml").write_text(text)
        (self.folder / "policy.toml").chmod(0o600)

    async def start(self) -> None:
        with (self.folder / "agent.log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "compagnon_agent.cli",
                "run",
                "--verbose",
                env=self.environment(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    async def stop(self) -> None:
        if self.process and self.process.returncode is None:
            self.process.terminate()
            with suppress(TimeoutError):
                await asyncio.wait_for(self.process.wait(), 10)
            if self.process.returncode is None:
                self.process.kill()
                await self.process.wait()

    @property
    def log(self) -> str:
        path = self.folder / "agent.log"
        return path.read_text() if path.exists() else ""


@pytest.fixture
async def agents(tmp_path):
    """``await agents()``: a folder for one more agent; all are stopped at the end."""
    made: list[Agent] = []

    def make() -> Agent:
        folder = tmp_path / f"agent{len(made)}"
        folder.mkdir(mode=0o700)
        made.append(Agent(folder=folder))
        return made[-1]

    yield make
    for agent in made:
        await agent.stop()


@pytest.fixture
async def client(server, cast):
    """A client of the co-operative."""
    return await server.services.kernel.directory.add_client(
        kind="company", name="Boulangerie Le Goff", actor=Actor.member(cast.alice.id)
    )


@pytest.fixture
async def ticket(server, cast, client):
    """Alice's open ticket."""
    new = NewTicket(client_id=client.id, title="Rien ne s'imprime", owner_id=cast.alice.id)
    return await server.services.tickets.desk.open(new, cast.alice)


@pytest.fixture
async def agent(server, cast, client, agents):
    """A real agent, enrolled, approved by Alice, connected."""
    machines = server.services.remote.machines
    offer = await machines.offer(cast.alice, client.id)
    made = agents()
    await made.enrol(server.url, offer.code)
    made.policy()
    await machines.approve(cast.alice, made.machine_id, name="Accueil", site_id=None, environment=None)
    await made.start()
    await until(lambda: server.services.remote.link.online(made.machine_id), what="the agent is connected")
    return made


@pytest.fixture
async def session(server, cast, agent, ticket):
    """An open session, asked for by Alice."""
    sessions = server.services.remote.sessions
    asked = await sessions.open(agent.machine_id, ticket, "Regarder la file d'impression", cast.alice)
    await until(lambda: is_open(server, asked.id), what="the session is open")
    return await sessions.get(asked.id)


async def is_open(server, session_id: str) -> bool:
    return (await server.services.remote.sessions.get(session_id)).state.value == "open"


@dataclass(slots=True, kw_only=True)
class Page:
    """What a browser's page does, over a real WebSocket."""

    base: str
    http: httpx.AsyncClient
    session_id: str
    viewer: str = "0123456789abcdef"
    output: bytearray = field(default_factory=bytearray)
    base_offset: int | None = None
    notes: list[dict] = field(default_factory=list)
    snapshots: int = 0
    typed: bytearray = field(default_factory=bytearray)
    arrived: int = 0
    socket: object = None
    acknowledges: bool = True
    _reader: asyncio.Task | None = None

    @property
    def offset(self) -> int | None:
        return None if self.base_offset is None else self.base_offset + len(self.output)

    async def ticket(self) -> str:
        answer = await self.http.post(f"/sessions/{self.session_id}/ticket")
        assert answer.status_code == 200, answer.text
        return answer.json()["ticket"]

    async def open(self, *, resume: bool = False) -> None:
        place = self.offset if resume and self.offset is not None else ""
        url = self.base.replace("http", "ws", 1) + f"/sessions/{self.session_id}/ws"
        address = f"{url}?ticket={await self.ticket()}&viewer={self.viewer}&offset={place}"
        cookies = "; ".join(f"{name}={value}" for name, value in self.http.cookies.items())
        headers = {"Cookie": cookies}
        self.socket = await connect(
            address, additional_headers=headers, origin=self.base, compression=None, ping_interval=None
        )
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        import json

        with suppress(ConnectionClosed):
            async for message in self.socket:
                if isinstance(message, str):
                    note = json.loads(message)
                    self.notes.append(note)
                    await self._hear(note)
                else:
                    await self._draw(frames.decode(message))

    async def _hear(self, note: dict) -> None:
        if note["type"] == "typed":
            self.arrived = max(self.arrived, note["upto"])
        if note["type"] == "resume" or (note["type"] == "welcome" and note["typed"] is not None):
            upto = note.get("upto", note.get("typed"))
            if self.typed[upto:]:
                await self.socket.send(frames.data(bytes(self.typed[upto:]), upto).encode())

    async def _draw(self, frame) -> None:
        if frame.kind is FrameKind.SNAPSHOT:
            self.snapshots += 1
            self.output.clear()
            self.base_offset = frame.offset
        elif frame.kind is FrameKind.DATA:
            assert frame.offset == self.offset, "a byte is missing or doubled"
            self.output += frame.payload
        if self.acknowledges and self.offset is not None:
            await self.socket.send(frames.ack(self.offset, 0).encode())

    async def type(self, text: str) -> None:
        data = text.encode()
        offset = len(self.typed)
        self.typed += data
        with suppress(ConnectionClosed):
            await self.socket.send(frames.data(data, offset).encode())

    async def see(self, text: str, seconds: float = 15.0) -> None:
        await until(
            lambda: text.encode() in self.output, seconds=seconds, what=f"{text!r} in {bytes(self.output)[-400:]!r}"
        )

    def last(self, kind: str) -> dict | None:
        return next((note for note in reversed(self.notes) if note["type"] == kind), None)

    async def close(self) -> None:
        if self.socket is not None:
            await self.socket.close()
        if self._reader is not None:
            self._reader.cancel()
            with suppress(asyncio.CancelledError):
                await self._reader


@pytest.fixture
async def page_of(server, client_for):
    """``await page_of(member, session)``: that member's page of the session, connected."""
    async with AsyncExitStack() as stack:

        async def make(member, session, *, viewer: str = "0123456789abcdef", connected: bool = True) -> Page:
            page = Page(base=server.url, http=await client_for(member), session_id=session.id, viewer=viewer)
            stack.push_async_callback(page.close)
            if connected:
                await page.open()
                await until(lambda: page.last("welcome"), what="the page is welcome")
            return page

        yield make
