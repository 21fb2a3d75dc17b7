"""Real agents and pages of a browser, for the tests of remote sessions."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from shell_parts import TOOLS, own_shell
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from compagnon_agent.protocol import frames
from compagnon_agent.protocol.frames import FrameKind

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


async def soon(condition: Callable[[], object], *, what: str = "") -> None:
    """The same with patience: for what waits for several processes on a busy machine."""
    await until(condition, seconds=60.0, what=what)


@dataclass(slots=True, kw_only=True)
class Agent:
    """A real agent in its own process and folder."""

    folder: Path
    machine_id: int = 0
    process: asyncio.subprocess.Process | None = None
    extra: dict[str, str] = field(default_factory=dict)
    within: tuple[str, ...] = ()  # the command that what follows it is run by
    abroad: bool = False  # the server is not on this machine, and speaks no TLS in the tests

    def environment(self) -> dict[str, str]:
        return {
            "PATH": f"{TOOLS}:/usr/bin:/bin",
            "HOME": str(self.folder),
            "COMPAGNON_AGENT_SHELL": own_shell(self.folder),
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(Path(__file__).parents[1] / "agent"),
            "COMPAGNON_AGENT_DIR": str(self.folder),
            "COMPAGNON_AGENT_BACKOFF_BASE": "0.1",
            "COMPAGNON_AGENT_BACKOFF_CAP": "0.5",
            **self.extra,
        }

    async def cli(self, *arguments: str) -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            *self.within,
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

    async def enrol(self, url: str, code: str) -> str:
        status, output = await self.cli("enroll", url, code, *(["--allow-http"] if self.abroad else []))
        assert status == 0, output
        found = re.search(r"machine (\d+)", output)
        assert found, output
        self.machine_id = int(found.group(1))
        return output

    def policy(self, text: str = POLICY) -> None:
        (self.folder / "policy.toml").write_text(text)
        (self.folder / "policy.toml").chmod(0o600)

    async def start(self) -> None:
        with (self.folder / "agent.log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *self.within,
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


class Ear:
    """The wire of an agent that says nothing by itself."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    async def send(self, data, patience: float = 0) -> None:
        self.heard.append(data)

    async def close(self, *_) -> None: ...

    def dismiss(self, *_, **__) -> None: ...


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
        if note["type"] == "resume" or (note["type"] == "welcome" and note.get("typed") is not None):
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
            with suppress(ConnectionClosed):  # what was sent before the end is still read
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


class Watcher:
    """The client's page, without a browser, a cookie or a sign-in."""

    def __init__(self, base, session_id, secret):
        self.base, self.session_id, self.secret = base, session_id, secret
        self.output, self.notes = bytearray(), []
        self.closed = None

    async def open(self, origin=None):
        url = self.base.replace("http", "ws", 1) + f"/watch/{self.session_id}/ws"
        self.socket = await connect(url, origin=origin or self.base, compression=None, ping_interval=None)
        await self.socket.send(json.dumps({"secret": self.secret}))
        self.reading = asyncio.create_task(self._read())

    async def _read(self):
        with suppress(ConnectionClosed):
            async for message in self.socket:
                if isinstance(message, str):
                    self.notes.append(json.loads(message))
                    continue
                frame = frames.decode(message)
                self.output += frame.payload if frame.kind is FrameKind.DATA else b""
                await self.socket.send(frames.ack(frame.offset + len(frame.payload), 0).encode())
        self.closed = self.socket.close_code

    def last(self, kind):
        return next((note for note in reversed(self.notes) if note["type"] == kind), None)

    async def close(self):
        await self.socket.close()
        self.reading.cancel()


async def signed_in(browser, server, client, **options):
    """A browser context with the cookies of a signed-in HTTP client, and what went wrong in its pages."""
    context = await browser.new_context(**options)
    host = server.url.removeprefix("http://").partition(":")[0]
    await context.add_cookies(
        [{"name": name, "value": value, "domain": host, "path": "/"} for name, value in client.cookies.items()]
    )
    page = await context.new_page()
    trouble = []
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("console", lambda message: trouble.append(message.text) if message.type == "error" else None)
    page.on("dialog", lambda dialog: trouble.append(f"dialog {dialog.message}"))
    return page, trouble


async def screen(page):
    return await page.evaluate(
        """() => { const buffer = window.compagnonTerminal.buffer.active; let text = '';
        for (let row = 0; row < buffer.length; row++) text += buffer.getLine(row).translateToString(true) + '\\n';
        return text; }"""
    )
