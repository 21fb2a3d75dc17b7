"""A server that speaks the protocol, made of `websockets` and the protocol alone, and real agents to talk to it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pty
import re
import secrets
import shutil
import sys
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from compagnon_agent import identity
from compagnon_agent.identity import public_bytes
from compagnon_agent.protocol import frames, messages, signing
from compagnon_agent.protocol.manifest import Command, Manifest, ManifestStep, Shell
from compagnon_agent.protocol.messages import (
    Challenge,
    Hello,
    Kept,
    Message,
    Pending,
    Queued,
    Revoked,
    Welcome,
    decode,
    encode,
)
from compagnon_agent.protocol.stream import Stream

MACHINE = 12


class SpeakingServer:
    """`verdict` is what a proven agent is told. Every message of the agent lands in `inbox`."""

    def __init__(self, agent_key: bytes) -> None:
        self.key = Ed25519PrivateKey.generate()
        self.shown_key = public_bytes(self.key)
        self.signing_key = self.key
        self.agent_key = agent_key
        self.verdict: type[Message] = Welcome
        self.inbox: list[Message] = []
        self.queued: list[Queued] = []
        self.keeps = True
        self.news = asyncio.Event()
        self.control: ServerConnection | None = None
        self.connections = 0
        self.terminals: dict[str, Terminal] = {}
        self.accepts_sessions = True
        self.closes: list[int | None] = []
        self.nonces: tuple[bytes, bytes] = (b"", b"")
        self._server: Server | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        self._server = await serve(self._handle, "127.0.0.1", self.port, ping_interval=None, max_size=2**20)
        self.port = next(iter(self._server.sockets)).getsockname()[1]

    async def stop(self) -> None:
        if self._server:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    async def _handle(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        path = socket.request.path
        with suppress(ConnectionClosed):
            if path == "/agent/control":
                await self._control(socket)
            elif match := re.fullmatch(r"/agent/sessions/([0-9a-f]{32})", path):
                await self._session(socket, match.group(1))
        self.closes.append(socket.close_code)

    async def prove(self, socket: ServerConnection, purpose: str, verdict: type[Message]) -> None:
        nonce = secrets.token_bytes(32)
        await socket.send(encode(Challenge(nonce=nonce, server_key=self.shown_key)))
        hello = decode(await socket.recv())
        assert isinstance(hello, Hello)
        proof = signing.agent_proof(
            purpose=purpose,
            machine_id=MACHINE,
            server_nonce=nonce,
            agent_nonce=hello.nonce,
            server_key=self.shown_key,
        )
        Ed25519PublicKey.from_public_bytes(self.agent_key).verify(hello.signature, proof)
        self.nonces = (nonce, hello.nonce)
        await socket.send(encode(self.signed(verdict, purpose)))

    def signed(self, verdict: type[Message], purpose: str = signing.CONTROL) -> Message:
        proof = signing.server_proof(
            purpose=purpose,
            machine_id=MACHINE,
            server_nonce=self.nonces[0],
            agent_nonce=self.nonces[1],
            verdict=verdict.TYPE,
        )
        assert verdict in (Welcome, Pending, Revoked)
        return verdict(signature=self.signing_key.sign(proof))  # type: ignore[call-arg]

    async def _control(self, socket: ServerConnection) -> None:
        await self.prove(socket, signing.CONTROL, self.verdict)
        self.control = socket
        self.connections += 1
        self.news.set()
        async for data in socket:
            if data:  # an empty message is a heartbeat
                await self._take(socket, decode(data))
            self.news.set()

    async def _take(self, socket: ServerConnection, message: Message) -> None:
        """What comes out of the queue lands in the inbox as itself; `keeps` says whether it is acknowledged."""
        if isinstance(message, Queued):
            self.queued.append(message)
            self.inbox.append(decode(json.dumps(message.message)))
            if self.keeps:
                with suppress(ConnectionClosed):  # what was sent before the end is still read
                    await socket.send(encode(Kept(queue=message.queue, number=message.number)))
        else:
            self.inbox.append(message)

    async def _session(self, socket: ServerConnection, session_id: str) -> None:
        if not self.accepts_sessions:
            return
        await self.prove(socket, signing.session_purpose(session_id), Welcome)
        terminal = self.terminals.setdefault(session_id, Terminal())
        await terminal.serve(socket)

    async def send(self, message: Message) -> None:
        assert self.control is not None
        await self.control.send(encode(message))

    async def until(self, condition, timeout: float = 20.0):
        """Wait for `condition()` to be true; returns what it gave."""
        async with asyncio.timeout(timeout):
            while True:
                self.news.clear()
                value = condition()
                if value:
                    return value
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.news.wait(), 0.05)

    async def connected(self, count: int = 1) -> None:
        await self.until(lambda: self.connections >= count)

    async def expect(self, kind, *, where=lambda message: True, timeout: float = 20.0):
        """The first message of this kind that fits; it is taken out of the inbox."""

        def find():
            return next((item for item in self.inbox if isinstance(item, kind) and where(item)), None)

        found = await self.until(find, timeout)
        self.inbox.remove(found)
        return found


class Terminal:
    """The server's end of one session: a real `Stream`, and what it has recorded."""

    def __init__(self) -> None:
        self.stream = Stream()
        self.recorded = b""
        self.exit_code: int | None = None
        self.closed: str | None = None
        self.socket: ServerConnection | None = None
        self.connections = 0
        self.missing = 0

    async def serve(self, socket: ServerConnection) -> None:
        self.socket = socket
        self.connections += 1
        try:
            await socket.send(self.stream.connected().encode())
            async for data in socket:
                assert isinstance(data, bytes)
                frame = frames.decode(data)
                if frame:
                    await self.take(frame, socket)
        finally:
            self.stream.disconnected()

    async def take(self, frame: frames.Frame, socket: ServerConnection) -> None:
        if frame.kind is frames.FrameKind.PING:
            await socket.send(frames.pong(frame.number).encode())
        if frame.kind is frames.FrameKind.CLOSE:
            self.closed = frame.text
        received = self.stream.receive(frame)
        self.recorded += received.data
        self.missing += received.missing
        self.stream.consumed(len(received.data))
        if received.exit_code is not None:
            self.exit_code = received.exit_code
        await self.flush()

    async def flush(self) -> None:
        while self.socket and (frame := self.stream.next_frame()):
            await self.socket.send(frame.encode())

    async def type(self, text: str) -> None:
        self.stream.write(text.encode())
        with suppress(ConnectionClosed):
            await self.flush()

    async def frame(self, frame: frames.Frame) -> None:
        assert self.socket is not None
        await self.socket.send(frame.encode())

    async def shows(self, text: str, timeout: float = 20.0) -> None:
        async with asyncio.timeout(timeout):
            while text.encode() not in self.recorded:
                await asyncio.sleep(0.02)

    async def number(self, name: str, timeout: float = 20.0) -> int:
        """The number that the terminal shows as `name=123.` (not the line typed to have it shown)."""
        async with asyncio.timeout(timeout):
            while not (match := re.search(rf"{name}=(\d+)\.".encode(), self.recorded)):
                await asyncio.sleep(0.02)
        return int(match.group(1))


class AgentRunner:
    """A real agent process on its own folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process: asyncio.subprocess.Process | None = None
        self.extra: dict[str, str] = {}

    @property
    def environment(self) -> dict[str, str]:
        fast = {"COMPAGNON_AGENT_BACKOFF_BASE": "0.05", "COMPAGNON_AGENT_BACKOFF_CAP": "0.2"}
        clean = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
        return {
            **clean,
            **fast,
            "COMPAGNON_AGENT_DIR": str(self.folder),
            "COMPAGNON_AGENT_SHELL": "/bin/sh",
            "PYTHONWARNINGS": "error",
            **self.extra,
        }

    def policy(self, text: str) -> None:
        (self.folder / "policy.toml").write_text(text)

    @property
    def log(self) -> str:
        path = self.folder / "agent.log"
        return path.read_text() if path.exists() else ""

    async def start(self, *arguments: str) -> None:
        with (self.folder / "agent.log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "compagnon_agent.cli",
                "run",
                *arguments,
                env=self.environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    async def command(self, *arguments: str) -> tuple[int | None, str]:
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
        output, _ = await asyncio.wait_for(process.communicate(), 30)
        return process.returncode, output.decode()

    async def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        await self.process.wait()

    async def stop(self) -> int:
        assert self.process is not None
        if self.process.returncode is None:
            self.process.terminate()
        try:
            return await asyncio.wait_for(self.process.wait(), 10)
        except TimeoutError:
            await self.kill()
            raise AssertionError("the agent did not stop\n" + self.log) from None


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "agent"
    path.mkdir(mode=0o700)
    return path


@pytest.fixture
async def speaking_server(folder: Path) -> AsyncIterator[SpeakingServer]:
    """A server for which `folder` is enrolled."""
    server = SpeakingServer(public_bytes(identity.key_of(folder)))
    await server.start()
    identity.save(folder, machine_id=MACHINE, server=server.url, server_key=public_bytes(server.key))
    yield server
    await server.stop()


@pytest.fixture
async def runner(folder: Path, speaking_server: SpeakingServer) -> AsyncIterator[AgentRunner]:
    agent = AgentRunner(folder)
    agent.policy('mode = "unattended-demo"\n')
    yield agent
    if agent.process and agent.process.returncode is None:
        await agent.stop()
    assert "Traceback" not in agent.log, agent.log
    assert "unexpected" not in agent.log, agent.log


class Tty:
    """A real pseudo-terminal that an agent process runs on."""

    def __init__(self) -> None:
        self.master, self.slave = pty.openpty()
        self.text = ""
        os.set_blocking(self.master, False)

    async def shows(self, wanted: str, timeout: float = 15, times: int = 1) -> None:
        async with asyncio.timeout(timeout):
            while self.text.count(wanted) < times:
                with contextlib.suppress(BlockingIOError):
                    self.text += os.read(self.master, 65536).decode("utf-8", "replace")
                await asyncio.sleep(0.02)

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())


@pytest.fixture
async def terminal(runner, speaking_server):
    runner.policy('mode = "attended"\n')
    screen = Tty()
    runner.process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "compagnon_agent.cli",
        "run",
        env=runner.environment,
        stdin=screen.slave,
        stdout=screen.slave,
        stderr=screen.slave,
    )
    os.close(screen.slave)
    await speaking_server.connected()
    yield screen
    await runner.stop()
    os.close(screen.master)


def manifest_of(*scripts: str, checks=(), timeout: int = 20, parameters=()) -> Manifest:
    commands = tuple(Command(shell=Shell.SH, script=script, timeout=timeout) for script in scripts)
    step = ManifestStep(id="s1", title="Étape", commands=commands, checks=tuple(checks))
    return Manifest(procedure="tst-001", version=1, title="Essai", parameters=parameters, steps=(step,))


def consent_for(manifest: Manifest | None = None, **fields) -> messages.ConsentRequest:
    about = {"kind": messages.ConsentKind.PROCEDURE, "manifest": manifest}
    if manifest is None:
        about = {"kind": messages.ConsentKind.SESSION, "capability": "terminal"}
    given = {
        "request_id": str(uuid.uuid4()),
        "ticket_id": 7,
        "ticket_title": "Rien ne s'imprime",
        "member_id": 1,
        "member_name": "Alice",
        "reason": "Réparer l'imprimante",
        "short_code": "4821",
        "cooperative": "Coop",
        **about,
    }
    return messages.ConsentRequest(**{**given, **fields})


def execute_of(manifest: Manifest, phase: str = "execute", **fields) -> messages.Execute:
    given = {
        "attempt_id": str(uuid.uuid4()),
        "run_id": 3,
        "ticket_id": 7,
        "member_id": 1,
        "member_name": "Alice",
        "manifest": manifest,
        "step_id": "s1",
        "parameters": {},
        "phase": messages.Phase(phase),
    }
    return messages.Execute(**{**given, **fields})


class Make:
    """Builders for the tests, handed out by a fixture because test folders are no packages."""

    manifest = staticmethod(manifest_of)
    consent = staticmethod(consent_for)
    execute = staticmethod(execute_of)

    @staticmethod
    def now() -> datetime:
        return datetime.now(UTC)


@pytest.fixture
def make() -> type[Make]:
    return Make


@pytest.fixture
def meeting() -> Iterator[Path]:
    """A folder that every account may enter, with a short name."""
    folder = Path(tempfile.mkdtemp(prefix="desk-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)
