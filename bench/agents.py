"""Many connected agents, a restart of the server, and what an idle agent costs its machine.

    python bench/agents.py [--count 1000] [--idle 60]

Each simulated agent has its own machine and key, does the whole handshake and stays connected, as the real one does:
it comes back by itself with full jitter (1 s, at most 12 s) or when the server says. The server runs in its own process
and is measured before and after (RSS and USS). Then it is killed and started again, while a member's browser asks for
pages all the time. At the end a real agent idles behind a relay that counts every byte of its TCP connection.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import re
import secrets
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import uvloop
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from plain_socket import Gone, PlainSocket, connect
from remote_server import Bench, agent_process, serving, signed_in

import compagnon_agent
from compagnon_agent.protocol import messages, signing

AT_ONCE = 50
WARM = 50  # agents connected before the measure, so that pools and caches are there
SETTLE = 20  # seconds in which a real agent tells what it has to tell
BEAT = 20.0
INSERT = """
INSERT INTO machines (name, client_id, public_key, hostname, os, agent_version, state, approved_at, approved_by)
VALUES (%(name)s, %(client)s, %(key)s, %(name)s, 'debian 12', '0.1', 'approved', now() - interval '1 day', %(member)s)
RETURNING id
"""


@dataclass(slots=True, kw_only=True)
class Fleet:
    """``back`` holds when each agent was welcome for the last time (monotonic)."""

    address: str
    machines: list[tuple[int, Ed25519PrivateKey]]
    back: dict[int, float] = field(default_factory=dict)
    turned_away: int = 0
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    async def start(self, wanted: list[tuple[int, Ed25519PrivateKey]]) -> None:
        """Connect these, AT_ONCE at a time, and keep them connected."""
        self.tasks += [asyncio.create_task(self._live(*one)) for one in wanted]
        while any(machine_id not in self.back for machine_id, _ in wanted):
            await asyncio.sleep(0.05)

    async def _live(self, machine_id: int, key: Ed25519PrivateKey) -> None:
        failures = 0
        while True:
            try:
                async with self.room if machine_id not in self.back else contextlib.nullcontext():
                    socket = await self._connected(machine_id, key)
                self.back[machine_id], failures = time.monotonic(), 0
                await self._stay(socket)
            except (OSError, Gone, TimeoutError) as fault:
                asked = _retry_after(fault)
                self.turned_away += bool(asked)
                pause = asked * random.uniform(1, 2) if asked else random.uniform(0, min(12, 2**failures))
                failures += 1
                await asyncio.sleep(pause)

    async def _connected(self, machine_id: int, key: Ed25519PrivateKey) -> PlainSocket:
        async with asyncio.timeout(30):
            socket = await connect(self.address)
            return await self._welcomed(socket, machine_id, key)

    async def _welcomed(self, socket: PlainSocket, machine_id: int, key: Ed25519PrivateKey) -> PlainSocket:
        challenge = messages.decode(await socket.recv())
        nonce = secrets.token_bytes(32)
        proof = signing.agent_proof(
            purpose=signing.CONTROL,
            machine_id=machine_id,
            server_nonce=challenge.nonce,
            agent_nonce=nonce,
            server_key=challenge.server_key,
        )
        hello = messages.Hello(machine_id=machine_id, nonce=nonce, signature=key.sign(proof), version="0.1")
        socket.send(messages.encode(hello))
        verdict = messages.decode(await socket.recv())
        assert isinstance(verdict, messages.Welcome), verdict
        return socket

    async def _stay(self, socket: PlainSocket) -> None:
        """Beat, and read what comes, until the server is gone."""
        await asyncio.sleep(random.uniform(0, BEAT))
        while True:
            socket.send("")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(BEAT):
                    while True:
                        await socket.recv()

    def stop(self) -> None:
        for task in self.tasks:
            task.cancel()


def _retry_after(fault: BaseException) -> float:
    found = re.fullmatch(r"retry after (\d+)", fault.reason if isinstance(fault, Gone) else "")
    return float(found[1]) if found else 0.0


async def machines(bench: Bench, count: int) -> list[tuple[int, Ed25519PrivateKey]]:
    made = []
    async with bench.services.kernel.db.transaction() as conn:
        for number in range(count):
            key = Ed25519PrivateKey.generate()
            values = {
                "name": f"banc-{number:05d}",
                "client": bench.client_id,
                "key": key.public_key().public_bytes_raw(),
                "member": bench.alice.id,
            }
            row = await (await conn.execute(INSERT, values)).fetchone()
            made.append((row[0], key))
    return made


async def measure(count: int, idle: int) -> None:
    async with serving() as bench:
        every = await machines(bench, count + WARM)
        fleet = Fleet(address=bench.url.replace("http", "ws", 1) + "/agent/control", machines=every)
        load = psutil.getloadavg()
        print(f"load of this machine before: {load[0]:.1f} {load[1]:.1f} {load[2]:.1f} on {psutil.cpu_count()} cores")
        await fleet.start(every[:WARM])
        await asyncio.sleep(2)
        await memory(bench, fleet, every[WARM:], count)
        await after_a_restart(bench, fleet, count)
        fleet.stop()
        await idle_agent(bench, idle)


async def memory(bench: Bench, fleet: Fleet, wanted: list[tuple[int, Ed25519PrivateKey]], count: int) -> None:
    before = bench.process.memory_full_info()
    started = time.monotonic()
    await fleet.start(wanted)
    took = time.monotonic() - started
    await asyncio.sleep(3)
    after = bench.process.memory_full_info()
    rss, uss = (after.rss - before.rss) / count / 1024, (after.uss - before.uss) / count / 1024
    print(f"{count} agents connected in {took:.1f} s ({count / took:.0f} a second)")
    print(f"server memory for each: {rss:.1f} kB RSS, {uss:.1f} kB USS (server in all {after.rss / 2**20:.0f} MB)")


async def after_a_restart(bench: Bench, fleet: Fleet, count: int) -> None:
    """From the moment the new process answers: how long until all are back, and how pages answer meanwhile."""
    member = await signed_in(bench)
    page = f"/machines/{fleet.machines[0][0]}"
    await bench.restart()
    killed = time.monotonic()
    times: list[float] = []
    up = 0.0
    while len([moment for moment in fleet.back.values() if moment > killed]) < len(fleet.machines):
        started = time.monotonic()
        with contextlib.suppress(httpx.HTTPError):
            answer = await member.get(page)
            if answer.status_code == 200:
                up = up or started
                times.append(time.monotonic() - started)
        await asyncio.sleep(0.05)
        if time.monotonic() - killed > 180:
            break
    moments = sorted(moment - up for moment in fleet.back.values() if moment > killed)
    missing = len(fleet.machines) - len(moments)
    print(f"server killed and started: it answered after {up - killed:.1f} s")
    if moments:
        print(
            f"agents back after {moments[len(moments) // 2]:.1f} s (half), {moments[-1]:.1f} s (all but {missing}); "
            f"{fleet.turned_away} times told to come later"
        )
    if len(times) > 1:
        p95 = statistics.quantiles(times, n=20)[-1] * 1000
        print(
            f"pages meanwhile: median {statistics.median(times) * 1000:.0f} ms, p95 {p95:.0f} ms ({len(times)} pages)"
        )


@dataclass(slots=True)
class Relay:
    port: int = 0
    up: int = 0
    down: int = 0


@asynccontextmanager
async def relay(port: int) -> AsyncIterator[Relay]:
    """Passes TCP on to the server, and counts."""
    counted = Relay()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, up: bool) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                counted.up += len(data) if up else 0
                counted.down += 0 if up else len(data)
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pump(reader, far_writer, up=True), pump(far_reader, writer, up=False))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    counted.port = server.sockets[0].getsockname()[1]
    try:
        yield counted
    finally:
        server.close()


async def idle_agent(bench: Bench, seconds: int) -> None:
    async with relay(int(bench.url.rpartition(":")[2])) as counted:
        _, process = await agent_process(bench, url=f"http://127.0.0.1:{counted.port}")
        try:
            await asyncio.sleep(SETTLE)
            agent = psutil.Process(process.pid)
            before, up, down = agent.cpu_times(), counted.up, counted.down
            await asyncio.sleep(seconds)
            after = agent.cpu_times()
            used = (after.user + after.system) - (before.user + before.system)
            taken = agent.memory_full_info()
            print(
                f"idle agent: {taken.rss / 2**20:.1f} MB RSS, {taken.uss / 2**20:.1f} MB USS, "
                f"{100 * used / seconds:.2f} % of one core"
            )
            minute = 60 / seconds
            sent, received = (counted.up - up) * minute, (counted.down - down) * minute
            print(f"on the wire: {sent:.0f} bytes/min up, {received:.0f} down (in the TCP stream, without TLS)")
        finally:
            process.terminate()
            await process.wait()
    print(f"installed: {installed_size() / 1024:.0f} kB of the agent's own Python files")


def installed_size() -> int:
    folder = Path(compagnon_agent.__file__).parent
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--idle", type=int, default=60, help="seconds that the real agent idles")
    chosen = parser.parse_args()
    uvloop.run(measure(chosen.count, chosen.idle))
