"""A terminal through Compagnon's whole path (page, server that records, agent, shell) and through ssh, in the same run.

    python bench/terminal.py [--keys 500] [--megabytes 40]

Both sides are driven the same way, and take turns, so that what else the machine does hits both alike:

- echo: one byte in, the time until the remote terminal's echo of it comes back; the same while ten pages watch;
- lines: base64 of random bytes, which writes each line of 76 characters to the terminal by itself;
- bulk: ``cat`` of a file;
- interrupt: Ctrl-C in a flood, the time until the prompt is back;
- open: from the yes at the machine to the prompt (ssh: from the start of the command).

Needs ssh, sshd and ssh-keygen (ssh is skipped without).
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import secrets
import shutil
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import httpx
import uvloop
from plain_socket import PlainSocket, connect
from remote_server import Bench, agent_process, free_port, serving, signed_in

from compagnon_agent.protocol import frames
from compagnon_agent.protocol.frames import FrameKind
from tickets.desk.model import NewTicket

WARM = 50
TURN = 50  # keys of one side before it is the other's turn
ROUNDS = 3  # of everything but the echo
OPENINGS = 5
OBSERVERS = 10
PROMPT = b"PRO" + b"MPT>"
SHELL = "exec env PS1='PRO'MPT'> ' HISTFILE= sh -i"


class Side(Protocol):
    """One way to a shell."""

    async def send(self, data: bytes) -> None: ...

    async def output(self) -> bytes:
        """The next bytes that the terminal shows."""


class Page:
    """A page of the session, as a browser drives it."""

    def __init__(self, socket: PlainSocket) -> None:
        self._socket = socket
        self._typed = 0
        self._drawn = 0

    async def send(self, data: bytes) -> None:
        self._socket.send(frames.data(data, self._typed).encode())
        self._typed += len(data)

    async def output(self) -> bytes:
        while True:
            message = await self._socket.recv()
            frame = frames.decode(message) if isinstance(message, bytes) else None
            if frame is None or frame.kind not in (FrameKind.DATA, FrameKind.SNAPSHOT):
                continue
            if frame.end - self._drawn > 65536:
                self._drawn = frame.end
                self._socket.send(frames.ack(frame.end, 0).encode())
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A session at its prompt. ``took``: seconds from the consent to it; ``address`` leads further pages to it."""

    page: Page
    took: float
    address: str
    headers: dict[str, str]


async def open_page(bench: Bench, machine_id: int, http: httpx.AsyncClient) -> Opened:
    new = NewTicket(client_id=bench.client_id, title="Banc d'essai", owner_id=bench.alice.id)
    ticket = await bench.services.tickets.desk.open(new, bench.alice)
    answer = await http.post(f"/machines/{machine_id}/sessions", data={"ticket_id": ticket, "reason": "Mesurer l'écho"})
    session_id = answer.headers["location"].rpartition("/")[2]
    while (known := (await http.post(f"/sessions/{session_id}/ticket")).json())["state"] != "open":
        await asyncio.sleep(0.002)
    started = time.perf_counter()  # the machine of the bench says yes at once, and it is known here
    headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in http.cookies.items()), "Origin": bench.url}
    address = bench.url.replace("http", "ws", 1) + f"/sessions/{session_id}/ws"
    page = Page(await page_of(address, headers, known["ticket"]))
    while not (await page.output()).strip():
        pass
    took = time.perf_counter() - started
    await at_prompt(page)
    return Opened(page=page, took=took, address=address, headers=headers)


async def page_of(address: str, headers: dict[str, str], ticket: str) -> PlainSocket:
    return await connect(f"{address}?ticket={ticket}&viewer={secrets.token_hex(8)}&offset=", headers)


async def at_prompt(side: Side) -> None:
    await side.send(SHELL.encode() + b"\r")
    await until(side, PROMPT)


async def ssh_server(folder: Path) -> tuple[asyncio.subprocess.Process, int]:
    """A disposable sshd, and its port."""
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
        "PrintMotd=no",
        "PermitRootLogin=yes",
        "PasswordAuthentication=no",
    ]
    command = [shutil.which("sshd") or "/usr/sbin/sshd", "-D", "-e", "-f", "/dev/null"]
    for option in options:
        command += ["-o", option]
    with (folder / "sshd.log").open("wb") as log:
        daemon = await asyncio.create_subprocess_exec(*command, stderr=log)
    await asyncio.sleep(1)
    return daemon, port


async def open_ssh(folder: Path, port: int) -> tuple[Ssh, float, asyncio.subprocess.Process]:
    started = time.perf_counter()
    client = await asyncio.create_subprocess_exec(
        "ssh", "-tt", "-q", "-F", "/dev/null", "-i", str(folder / "user"), "-p", str(port),
        "-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={folder / 'known'}", "127.0.0.1", "exec sh -l",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    side = Ssh(client)
    while not (await asyncio.wait_for(side.output(), 20)).strip():
        pass
    took = time.perf_counter() - started
    await at_prompt(side)
    return side, took, client


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
        print(f"{title:<10} {name:<24} {statistics.median(found):7.1f} MB/s  ({min(found):.1f} to {max(found):.1f})")


async def interrupt(sides: dict[str, Side]) -> None:
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(ROUNDS):
        for name, side in sides.items():
            await side.send(b"yes 0123456789012345678901234567890123456789\r")
            flooded = time.perf_counter() + 0.5  # a recording takes 200 MiB
            while time.perf_counter() < flooded:
                await side.output()
            started = time.perf_counter()
            await side.send(b"\x03")
            await until(side, PROMPT)
            times[name].append((time.perf_counter() - started) * 1000)
    for name, found in times.items():
        print(f"interrupt  {name:<24} {statistics.median(found):7.1f} ms")


async def observed(opened: Opened, http: httpx.AsyncClient, keys: int) -> None:
    """The driver's echo while ten pages, of a process of their own, watch."""
    session = opened.address.rpartition("/")[0].rpartition("/")[2]
    tickets = [(await http.post(f"/sessions/{session}/ticket")).json()["ticket"] for _ in range(OBSERVERS)]
    arguments = json.dumps([opened.address, opened.headers, tickets])
    watching = await asyncio.create_subprocess_exec(
        sys.executable, __file__, "--observe", arguments, stdout=asyncio.subprocess.PIPE
    )
    await watching.stdout.readline()
    await echo({f"{OBSERVERS} pages watch": opened.page}, keys)
    watching.terminate()
    await watching.wait()


async def observe(address: str, headers: dict[str, str], tickets: list[str]) -> None:
    pages = [Page(await page_of(address, headers, ticket)) for ticket in tickets]
    print("watching", flush=True)
    await asyncio.gather(*(_watch(page) for page in pages))


async def _watch(page: Page) -> None:
    while True:
        await page.output()


async def measure(keys: int, megabytes: int) -> None:
    async with serving() as bench:
        machine_id, agent = await agent_process(bench)
        http = await signed_in(bench)
        started: list[asyncio.subprocess.Process] = [agent]
        folder = Path(tempfile.mkdtemp(prefix="compagnon-sshd-"))
        try:
            ssh = None
            if shutil.which("ssh") and (shutil.which("sshd") or Path("/usr/sbin/sshd").exists()):
                Path("/run/sshd").mkdir(exist_ok=True)
                daemon, port = await ssh_server(folder)
                started.append(daemon)
                ssh, client = await opening(bench, machine_id, http, folder, port)
                started.append(client)
            else:
                print("ssh or sshd is missing: only Compagnon is measured")

            async def sides() -> dict[str, Side]:
                """A page of its own for each part: a recording that is full ends its session."""
                page = (await open_page(bench, machine_id, http)).page
                return {"Compagnon": page, **({"ssh": ssh} if ssh else {})}

            await echo(await sides(), keys)
            await observed(await open_page(bench, machine_id, http), http, keys)
            await throughput(await sides(), "lines", f"head -c {megabytes * 730_000} /dev/urandom | base64")
            sample = folder / "sample"
            sample.write_bytes(base64.encodebytes(secrets.token_bytes(megabytes * 730_000)))
            folder.chmod(0o755)
            await throughput(await sides(), "bulk", f"cat {sample}")
            await interrupt(await sides())
        finally:
            await http.aclose()
            for process in reversed(started):
                if process.returncode is None:
                    process.terminate()
                    await process.wait()
            shutil.rmtree(folder, ignore_errors=True)


async def opening(
    bench: Bench, machine_id: int, http: httpx.AsyncClient, folder: Path, port: int
) -> tuple[Ssh, asyncio.subprocess.Process]:
    """How long it takes to the prompt, both ways in turns; the last ssh is kept."""
    ours, theirs, ended = [], [], []
    for _ in range(OPENINGS):
        ours.append((await open_page(bench, machine_id, http)).took * 1000)
        ssh, took, client = await open_ssh(folder, port)
        theirs.append(took * 1000)
        ended.append(client)
    for each in ended[:-1]:
        each.terminate()
        await each.wait()
    for name, found in (("Compagnon, from the yes", ours), ("ssh", theirs)):
        print(f"open       {name:<24} {statistics.median(found):7.0f} ms  ({min(found):.0f} to {max(found):.0f})")
    return ssh, ended[-1]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keys", type=int, default=500)
    parser.add_argument("--megabytes", type=int, default=40)
    parser.add_argument("--observe", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.observe:
        uvloop.run(observe(*json.loads(asked.observe)))
    else:
        uvloop.run(measure(asked.keys, asked.megabytes))
