"""Memory of the server for each connected agent, and what an idle agent costs its machine.

    python bench/agents.py [--count 1000]

Each simulated agent has its own machine and key, does the whole handshake and stays connected; the server runs in its
own process and is measured before and after (RSS and USS). Then one real agent idles for ten seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import time

import psutil
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from remote_server import Bench, agent_process, serving
from websockets.asyncio.client import ClientConnection, connect

from compagnon_agent.protocol import messages, signing

AT_ONCE = 50
WARM = 50  # agents connected before the measure, so that pools and caches are there
IDLE_SECONDS = 10
INSERT = """
INSERT INTO machines (name, client_id, public_key, hostname, os, agent_version, state, approved_at, approved_by)
VALUES (%(name)s, %(client)s, %(key)s, %(name)s, 'debian 12', '0.1', 'approved', now(), %(member)s) RETURNING id
"""


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


async def connected(bench: Bench, machine_id: int, key: Ed25519PrivateKey) -> ClientConnection:
    address = bench.url.replace("http", "ws", 1) + "/agent/control"
    socket = await connect(address, compression=None, ping_interval=None, open_timeout=60)
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
    await socket.send(messages.encode(hello))
    verdict = messages.decode(await socket.recv())
    assert isinstance(verdict, messages.Welcome), verdict
    return socket


async def connect_all(bench: Bench, wanted: list[tuple[int, Ed25519PrivateKey]]) -> list[ClientConnection]:
    room = asyncio.Semaphore(AT_ONCE)

    async def one(machine_id: int, key: Ed25519PrivateKey) -> ClientConnection:
        async with room:
            return await connected(bench, machine_id, key)

    return list(await asyncio.gather(*(one(machine_id, key) for machine_id, key in wanted)))


async def measure(count: int) -> None:
    async with serving() as bench:
        every = await machines(bench, count + WARM)
        sockets = await connect_all(bench, every[:WARM])
        await asyncio.sleep(2)
        before = bench.process.memory_full_info()
        started = time.monotonic()
        sockets += await connect_all(bench, every[WARM:])
        took = time.monotonic() - started
        await asyncio.sleep(3)
        after = bench.process.memory_full_info()
        rss, uss = (after.rss - before.rss) / count / 1024, (after.uss - before.uss) / count / 1024
        print(f"{count} agents connected in {took:.1f} s ({count / took:.0f} a second)")
        print(f"server memory for each: {rss:.1f} kB RSS, {uss:.1f} kB USS (server in all {after.rss / 2**20:.0f} MB)")
        for socket in sockets:
            socket.transport.abort()
        await idle_agent(bench)


async def idle_agent(bench: Bench) -> None:
    _, process = await agent_process(bench)
    try:
        await asyncio.sleep(5)
        agent = psutil.Process(process.pid)
        before = agent.cpu_times()
        await asyncio.sleep(IDLE_SECONDS)
        after = agent.cpu_times()
        used = (after.user + after.system) - (before.user + before.system)
        memory = agent.memory_full_info()
        print(
            f"idle agent: {memory.rss / 2**20:.1f} MB RSS, {memory.uss / 2**20:.1f} MB USS, "
            f"{100 * used / IDLE_SECONDS:.2f} % of one core"
        )
    finally:
        process.terminate()
        await process.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    asyncio.run(measure(parser.parse_args().count))
