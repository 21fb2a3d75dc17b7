"""Neighbours that a test plays, and a network of its own for real agents."""

from __future__ import annotations

import asyncio
import ctypes
import os
import socket
import subprocess
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from compagnon_agent.protocol import messages
from remote.control.connection import AgentConnection
from remote.machines.model import Arrival, EnrolRequest

MAC = "00:1a:2b:3c:4d:5e"
NETWORK = "192.168.1.0/24"


def lan(mac=MAC, network=NETWORK, *, name="eth0", wired=True):
    return {"name": name, "mac": mac, "network": network, "wired": wired}


class Wire:
    """The server's end of an agent's connection. ``answer`` makes what the agent says to a wish to wake, or None."""

    def __init__(self, link, answer):
        self.link, self.answer = link, answer
        self.connection = None
        self.told = []
        self.closed = False

    async def send(self, data, patience=0):
        message = messages.decode(data) if data else messages.Heartbeat()
        self.told.append(message)
        if isinstance(message, messages.Wake) and (answer := self.answer(message)):
            await self.link.received(self.connection, answer)

    async def close(self, code=0, reason=""):
        self.closed = True

    def dismiss(self, code=0, reason="", *, last=None):
        self.closed = True

    @property
    def wishes(self):
        return [message for message in self.told if isinstance(message, messages.Wake)]


def three(message):
    return messages.WakeAnswer(request_id=message.request_id, packets=3)


def refuses(reason):
    return lambda message: messages.WakeAnswer(request_id=message.request_id, packets=0, reason=reason)


@dataclass(slots=True, kw_only=True)
class Town:
    """Machines of which the test plays the agents, at one server."""

    services: object
    member: object
    keys: int = 0

    async def machine(self, client_id, name, lans=(), *, site_id=None):
        """Approved, absent, with what it told last."""
        machines = self.services.remote.machines
        offer = await machines.offer(self.member, client_id, site_id=site_id)
        self.keys += 1
        key = self.keys.to_bytes(2, "big") * 16
        request = EnrolRequest(code=offer.code, public_key=key, name=name, hostname="h", os="Linux", version="1")
        machine = await machines.enrol(request, "127.0.0.1")
        machine = await machines.approve(self.member, machine.id, name=name, site_id=site_id, environment=None)
        await self.told(machine, {"lans": list(lans)})
        return machine

    async def told(self, machine, facts):
        async with self.services.kernel.db.transaction() as conn:
            await self.services.remote.desk.waking.keep_lans(conn, machine, facts)

    async def here(self, machine, answer=three, *, capabilities=("checks", "wake"), sheet=("package", "wake")):
        """Its agent connects; the end of its connection is given back."""
        link, machines = self.services.remote.link, self.services.remote.machines
        await machines.alive()
        wire = Wire(link, answer)
        wire.connection = AgentConnection(wire, machine, None)
        link.add(wire.connection)
        async with self.services.kernel.db.transaction() as conn:
            await machines.keep_policy(conn, machine, {"mode": "attended", "sheet": list(sheet)})
        await machines.arrived([Arrival(id=machine.id, version="1", capabilities=list(capabilities))])
        return wire

    async def back(self, machine):
        """Its agent connects, and whoever waits for that is called."""
        wire = await self.here(machine)
        for react, whom in self.services.remote.link._reactions:
            if whom is None or machine.id in await whom([machine.id]):
                await react(machine)
        return wire


# --- a network of its own

SET_UP = """
set -e
ip link set lo up
ip link add lan0 address {mac} type veth peer name far0
ip address add {address} brd + dev lan0
ip link set lan0 up
ip link set far0 up
mount -t tmpfs none /sys
card=devices/pci0000:00/0000:00:1f.6/net/lan0
mkdir -p /sys/$card /sys/class/net /sys/devices/virtual/net/lo
ln -s ../../$card /sys/class/net/lan0
ln -s ../../devices/virtual/net/lo /sys/class/net/lo
echo 1 > /sys/$card/type
echo {mac} > /sys/$card/address
echo INTERFACE=lan0 > /sys/$card/uevent
echo ready
exec sleep 600
"""


@dataclass(slots=True, kw_only=True)
class Network:
    """One cable: ``lan0``, which who lives there takes for a card, and its far end ``far0``, where a test listens.

    Linux namespaces: nothing of it touches the machine's own network. The device tree says that ``lan0`` is a card.
    """

    holder: subprocess.Popen[bytes]
    mac: str
    servers: list[asyncio.Server] = field(default_factory=list)

    @property
    def within(self) -> tuple[str, ...]:
        return ("nsenter", "--target", str(self.holder.pid), "--net", "--mount", "--")

    def socket(self, *kind: int) -> socket.socket:
        """Made in there, used from here."""
        made: list[socket.socket] = []

        def make():
            space = os.open(f"/proc/{self.holder.pid}/ns/net", os.O_RDONLY)
            if ctypes.CDLL(None).setns(space, 0) == 0:  # this thread alone
                made.append(socket.socket(*kind))
            os.close(space)

        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        return made[0]

    def ear(self) -> socket.socket:
        """Hears every frame at the far end."""
        every = 0x0003  # ETH_P_ALL
        ear = self.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(every))
        ear.bind(("far0", every))
        ear.settimeout(5)
        return ear

    async def way_to(self, url: str) -> None:
        """The server of this address answers in there as well."""
        port = int(url.rpartition(":")[2])
        door = self.socket(socket.AF_INET, socket.SOCK_STREAM)
        door.bind(("127.0.0.1", port))

        async def lead(reader, writer):
            with suppress(OSError):
                up_reader, up_writer = await asyncio.open_connection("127.0.0.1", port)
                await asyncio.gather(_pipe(reader, up_writer), _pipe(up_reader, writer))

        self.servers.append(await asyncio.start_server(lead, sock=door))


async def _pipe(reader, writer):
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


@contextmanager
def network(mac: str = MAC, address: str = "10.66.7.2/24"):
    if os.geteuid() != 0 or not Path("/usr/bin/unshare").exists():
        pytest.skip("a network of its own needs root")
    command = ["unshare", "--net", "--mount", "sh", "-c", SET_UP.format(mac=mac, address=address)]
    holder = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    made = Network(holder=holder, mac=mac)
    try:
        if holder.stdout.readline() != b"ready\n":
            pytest.skip(f"no network of its own here: {holder.stderr.read().decode()}")
        yield made
    finally:
        for server in made.servers:
            server.close()
        holder.kill()
        holder.communicate()
