"""A terminal through Compagnon's whole path (page, server that records, agent, shell) and through ssh, in the same run.

    python bench/terminal.py [--keys 500] [--megabytes 40]

Both sides are driven the same way, and take turns, so that what else the machine does hits both alike:

- echo: one byte in, the time until the remote terminal's echo of it comes back;
- lines: base64 of random bytes, which writes each line of 76 characters to the terminal by itself;
- bulk: ``cat`` of a file;
- interrupt: Ctrl-C in a flood, the time until the prompt is back;
- open: from the client's yes to the prompt (ssh: from the start of the command).

Needs ssh, sshd and ssh-keygen (ssh is skipped without).
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import secrets
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Protocol

from remote_server import Bench, agent_process, free_port, serving, signed_in
from websockets.asyncio.client import ClientConnection, connect

from compagnon_agent.protocol import frames
from compagnon_agent.protocol.frames import FrameKind
from tickets.desk.model import NewTicket

WARM = 50
TURN = 50  # keys of one side before it is the other's turn
ROUNDS = 3  # of everything but the echo
PROMPT = b"PRO" + b"MPT>"
SHELL = "exec env PS1='PRO'MPT'> ' HISTFILE= sh -i"


class Side(Protocol):
    """One way to a shell."""

    async def send(self, data: bytes) -> None: ...

    async def output(self) -> bytes:
        """The next bytes that the terminal shows."""


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
            if frame is None or frame.kind not in (FrameKind.DATA, FrameKind.SNAPSHOT):
                continue
            if frame.end - self._drawn > 65536:
                self._drawn = frame.end
                await self._socket.send(frames.ack(frame.end, 0).encode())
            return frame.payload


class Ssh:
    """`ssh -tt` to a disposable sshd, its ends as pipes."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def send(self, data: bytes) -> None:
        self._process.stdin.write(data)
        await self._process.stdin.drain()

    async def output(self) -> bytes:
        data = await self._process.stdout.read(65536)
        if not data:
            raise SystemExit("ssh ended")
        return data


async def until(side: Side, wanted: bytes) -> int:
    """How many bytes came, those of ``wanted`` included."""
    count, end = 0, b""
    while True:
        data = await side.output()
        count += len(data)
        if wanted in end + data[: len(wanted)] or wanted in data:
            return count
        end = (end + data)[-len(wanted) :]


async def open_page(bench: Bench, machine_id: int) -> tuple[Page, float]:
    """The page at its prompt, and the seconds from the client's yes to it."""
    new = NewTicket(client_id=bench.client_id, title="Banc d'essai", owner_id=bench.alice.id)
    ticket = await bench.services.tickets.desk.open(new, bench.alice)
    http = await signed_in(bench)
    answer = await http.post(f"/machines/{machine_id}/sessions", data={"ticket_id": ticket, "reason": "Mesurer l'écho"})
    started = time.perf_counter()  # the machine of the bench says yes at once
    session_id = answer.headers["location"].rpartition("/")[2]
    while (known := (await http.post(f"/sessions/{session_id}/ticket")).json())["state"] != "open":
        await asyncio.sleep(0.005)
    address = bench.url.replace("http", "ws", 1) + f"/sessions/{session_id}/ws"
    cookies = "; ".join(f"{name}={value}" for name, value in http.cookies.items())
    socket = await connect(
        f"{address}?ticket={known['ticket']}&viewer={'a' * 16}&offset=",
        additional_headers={"Cookie": cookies},
        origin=bench.url,
        compression=None,
    )
    page = Page(socket)
    while not (await page.output()).strip():
        pass
    took = time.perf_counter() - started
    await http.aclose()
    await at_prompt(page)
    return page, took


async def at_prompt(side: Side) -> None:
    await side.send(SHELL.encode() + b"\r")
    await until(side, PROMPT)


async def open_ssh(folder: Path) -> tuple[Ssh, float, list[asyncio.subprocess.Process]]:
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
    started = time.perf_counter()
    client = await asyncio.create_subprocess_exec(
        "ssh", "-tt", "-q", "-F", "/dev/null", "-i", str(folder / "user"), "-p", str(port),
        "-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={folder / 'known'}", "127.0.0.1",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    side = Ssh(client)
    while not (await asyncio.wait_for(side.output(), 20)).strip():
        pass
    took = time.perf_counter() - started
    await at_prompt(side)
    return side, took, [client, daemon]


async def run(*command: str) -> None:
    process = await asyncio.create_subprocess_exec(*command)
    assert await process.wait() == 0, command


async def turn(side: Side, keys: int) -> list[float]:
    times = []
    for number in range(keys):
        key = bytes([97 + number % 26])
        started = time.perf_counter()
        await side.send(key)
        await asyncio.wait_for(until(side, key), 20)
        times.append((time.perf_counter() - started) * 1000)
        await asyncio.sleep(0.005)
    return times


async def echo(sides: dict[str, Side], keys: int) -> None:
    times: dict[str, list[float]] = {name: [] for name in sides}
    for side in sides.values():
        await side.send(b"stty -echoctl; cat >/dev/null\r")
        await asyncio.sleep(0.3)
        await turn(side, WARM)
    for _ in range(max(1, keys // TURN)):
        for name, side in sides.items():
            times[name] += await turn(side, TURN)
    for name, side in sides.items():
        ordered = sorted(times[name])
        p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
        print(f"echo       {name:<24} p50 {statistics.median(ordered):7.2f} ms  p99 {p99:7.2f} ms  ({keys} keys)")
        await side.send(b"\x03")
        await until(side, PROMPT)


async def throughput(sides: dict[str, Side], title: str, command: str) -> None:
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(ROUNDS):
        for name, side in sides.items():
            started = time.perf_counter()
            await side.send(command.encode() + b"; echo FIN''IS\r")
            count = await until(side, b"FINIS\r\n" + PROMPT)
            rates[name].append(count / 1e6 / (time.perf_counter() - started))
    for name, found in rates.items():
        print(f"{title:<10} {name:<24} {statistics.median(found):7.1f} MB/s")


async def interrupt(sides: dict[str, Side]) -> None:
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(ROUNDS):
        for name, side in sides.items():
            await side.send(b"yes 0123456789012345678901234567890123456789\r")
            flooded = time.perf_counter() + 1
            while time.perf_counter() < flooded:
                await side.output()
            started = time.perf_counter()
            await side.send(b"\x03")
            await until(side, PROMPT)
            times[name].append((time.perf_counter() - started) * 1000)
    for name, found in times.items():
        print(f"interrupt  {name:<24} {statistics.median(found):7.1f} ms")


async def measure(keys: int, megabytes: int) -> None:
    async with serving() as bench:
        machine_id, agent = await agent_process(bench)
        started: list[asyncio.subprocess.Process] = [agent]
        folder = Path(tempfile.mkdtemp(prefix="compagnon-sshd-"))
        try:
            page, took = await open_page(bench, machine_id)
            print(f"open       {'Compagnon':<24} {took * 1000:7.0f} ms")
            sides: dict[str, Side] = {"Compagnon": page}
            if shutil.which("ssh") and (shutil.which("sshd") or Path("/usr/sbin/sshd").exists()):
                Path("/run/sshd").mkdir(exist_ok=True)
                sides["ssh"], took, processes = await open_ssh(folder)
                print(f"open       {'ssh':<24} {took * 1000:7.0f} ms")
                started += processes
            else:
                print("ssh or sshd is missing: only Compagnon is measured")
            await echo(sides, keys)
            await throughput(sides, "lines", f"head -c {megabytes * 730_000} /dev/urandom | base64")
            sample = folder / "sample"
            sample.write_bytes(base64.encodebytes(secrets.token_bytes(megabytes * 730_000)))
            folder.chmod(0o755)
            await throughput(sides, "bulk", f"cat {sample}")
            await interrupt(sides)
        finally:
            for process in reversed(started):
                if process.returncode is None:
                    process.terminate()
                    await process.wait()
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keys", type=int, default=500)
    parser.add_argument("--megabytes", type=int, default=40)
    asked = parser.parse_args()
    asyncio.run(measure(asked.keys, asked.megabytes))
