"""A device that the server cannot reach by itself: through a tunnel that a real agent's person allowed."""

from __future__ import annotations

import pytest
from remote_parts import is_open, until

from remote.ssh.connector import in_thread
from remote.ssh.errors import TunnelMissing
from remote.ssh.model import NewDevice
from remote.ssh.running import run


async def test_a_device_behind_an_agent_is_reached_while_its_tunnel_is_driven(
    server, cast, ssh, known, agent, ticket, sshd
):
    new = NewDevice(
        name=known.name, kind=known.kind, host=known.host, port=known.port, username=known.username,
        credential_id=known.credential_id, via_machine_id=agent.machine_id,
    )  # fmt: skip
    device = await ssh.devices.change(cast.alice, known.machine_id, new)
    with pytest.raises(TunnelMissing):
        await ssh.connector.connect(device, cast.alice)
    sessions = server.services.remote.sessions
    tunnel = await sessions.open(
        agent.machine_id, ticket, "Joindre le NAS", cast.alice, capability="tunnel", target=f"127.0.0.1:{sshd.port}"
    )
    await until(lambda: is_open(server, tunnel.id), what="the tunnel is open")

    async def there():
        room = sessions._rooms.get(tunnel.id)
        return room is not None and room.connected

    await until(there, what="the agent dialled")
    async with ssh.connector.connection(device, cast.alice) as client:
        ran = await in_thread(lambda: run(client, ["echo", "par le tunnel"], timeout=20, limit=1000))
        assert ran.stdout == b"par le tunnel\n"
    for member in (cast.bruno, None):  # somebody else's tunnel, and nobody's
        with pytest.raises(TunnelMissing):
            await ssh.connector.connect(device, member)
    await sessions.stop(cast.alice, tunnel.id)
    with pytest.raises(TunnelMissing):
        await ssh.connector.connect(device, cast.alice)
