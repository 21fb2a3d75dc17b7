"""Echo of a key: Compagnon's whole path (page, server, agent, shell) against ssh on loopback, in the same run.

    python bench/terminal.py [--keys 500]

Both sides are driven the same way: one byte in, the time until the remote terminal's echo of it comes back. The two
take turns, so that what else the machine does hits both alike. Needs ssh, sshd and ssh-keygen (skipped without).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from remote_server import Bench, agent_process, free_port, serving, signed_in
from websockets.asyncio.client import ClientConnection, connect

from compagnon_agent.protocol import frames
from compagnon_agent.protocol.frames import FrameKind
from tickets.desk.model import NewTicket

WARM = 50
TURN = 50  # keys of one side before it is the other's turn
Echo = Callable[[bytes], Awaitable[None]]


class Page:
    """A page of the session, as a browser drives it."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._typed = 0
        self._drawn = 0

    async def send(self, data: bytes) -> None:
        await self._socket.send(frames.data(data, self._typed).encode())
        self._typed += len(data)

    async def output(self) -> bytes:
        while True:
            message = await self._socket.recv()
            frame = frames.decode(message) if isinstance(message, bytes) else None
            if frame is None or frame.kind is not FrameKind.DATA:
                continue
            if frame.end - self._drawn > 65536:
                self._drawn = frame.end
                await self._socket.send(frames.ack(frame.end, 0).encode())
            return frame.payload

    async def until(self, wanted: bytes) -> None:
        seen = b""
        while wanted not in seen:
            seen += await self.output()

    async def echo(self, key: bytes) -> None:
        await self.send(key)
        await self.until(key)


async def open_page(bench: Bench, machine_id: int) -> Page:
    new = NewTicket(client_id=bench.client_id, title="Banc d'essai", owner_id=bench.alice.id)
    ticket = await bench.services.tickets.desk.open(new, bench.alice)
    http = await signed_in(bench)
    answer = await http.post(f"/machines/{machine_id}/sessions", data={"ticket_id": ticket, "reason": "Mesurer l'écho"})
    session_id = answer.headers["location"].rpartition("/")[2]
    while (known := (await http.post(f"/sessions/{session_id}/ticket")).json())["state"] != "open":
        await asyncio.sleep(0.1)
    address = bench.url.replace("http", "ws", 1) + f"/sessions/{session_id}/ws"
    cookies = "; ".join(f"{name}={value}" for name, value in http.cookies.items())
    socket = await connect(
        f"{address}?ticket={known['ticket']}&viewer={'a' * 16}&offset=",
        additional_headers={"Cookie": cookies},
        origin=bench.url,
        compression=None,
    )
    while True:  # the agent may still be dialling
        note = json.loads(message) if isinstance(message := await socket.recv(), str) else {}
        if note.get("agent"):
            break
    await http.aclose()
    page = Page(socket)
    await page.send(b"stty -echoctl; echo rea''dy; cat >/dev/null\r")
    await page.until(b"ready")
    return page


class Ssh:
    """`ssh -tt` to a disposable sshd, its ends as pipes."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def echo(self, key: bytes) -> None:
        self._process.stdin.write(key)
        await self._process.stdin.drain()
        seen = b""
        while key not in seen:
            seen += await self._process.stdout.read(4096)


async def open_ssh(folder: Path) -> tuple[Ssh, list[asyncio.subprocess.Process]]:
    for name in ("host", "user"):
        await run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name))
    (folder / "authorized").write_text((folder / "user.pub").read_text())
    port = free_port()
    options = [
        f"ListenAddress=127.0.0.1:{port}",
        f"HostKey={folder / 'host'}",
        f"AuthorizedKeysFile={folder / 'authorized'}",
        f"PidFile={folder / 'pid'}",
        "StrictModes=no",
        "UsePAM=no",
        "PermitRootLogin=yes",
        "PasswordAuthentication=no",
    ]
    command = [shutil.which("sshd") or "/usr/sbin/sshd", "-D", "-e", "-f", "/dev/null"]
    for option in options:
        command += ["-o", option]
    with (folder / "sshd.log").open("wb") as log:
        daemon = await asyncio.create_subprocess_exec(*command, stderr=log)
    await asyncio.sleep(1)
    client = await asyncio.create_subprocess_exec(
        "ssh", "-tt", "-q", "-F", "/dev/null", "-i", str(folder / "user"), "-p", str(port),
        "-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={folder / 'known'}", "127.0.0.1",
        "echo rea''dy; cat >/dev/null",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    seen = b""
    while b"ready" not in seen:
        piece = await asyncio.wait_for(client.stdout.read(4096), 20)
        if not piece:
            raise SystemExit(f"ssh did not connect: {(folder / 'sshd.log').read_text()[-500:]}")
        seen += piece
    return Ssh(client), [client, daemon]


async def run(*command: str) -> None:
    process = await asyncio.create_subprocess_exec(*command)
    assert await process.wait() == 0, command


async def turn(echo: Echo, keys: int) -> list[float]:
    times = []
    for number in range(keys):
        key = bytes([97 + number % 26])
        started = time.perf_counter()
        await asyncio.wait_for(echo(key), 20)
        times.append((time.perf_counter() - started) * 1000)
        await asyncio.sleep(0.005)
    return times


def report(name: str, times: list[float]) -> None:
    ordered = sorted(times)
    p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    print(f"{name:<28} p50 {statistics.median(ordered):6.2f} ms   p99 {p99:6.2f} ms   ({len(ordered)} keys)")


async def measure(keys: int) -> None:
    async with serving() as bench:
        machine_id, agent = await agent_process(bench)
        started: list[asyncio.subprocess.Process] = [agent]
        folder = Path(tempfile.mkdtemp(prefix="compagnon-sshd-"))
        try:
            sides: dict[str, Echo] = {"Compagnon (whole path)": (await open_page(bench, machine_id)).echo}
            if shutil.which("ssh") and (shutil.which("sshd") or Path("/usr/sbin/sshd").exists()):
                Path("/run/sshd").mkdir(exist_ok=True)
                ssh, processes = await open_ssh(folder)
                started += processes
                sides["ssh on loopback"] = ssh.echo
            else:
                print("ssh or sshd is missing: only Compagnon is measured")
            times: dict[str, list[float]] = {name: [] for name in sides}
            for echo in sides.values():
                await turn(echo, WARM)
            for _ in range(max(1, keys // TURN)):
                for name, echo in sides.items():
                    times[name] += await turn(echo, TURN)
            for name, found in times.items():
                report(name, found)
        finally:
            for process in reversed(started):
                if process.returncode is None:
                    process.terminate()
                    await process.wait()
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=500)
    asyncio.run(measure(parser.parse_args().keys))
