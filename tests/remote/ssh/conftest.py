"""A device of a client: a real sshd on loopback, known to a real server."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from ssh_parts import SSHD, Sshd

from remote.ssh.model import DeviceKind, NewDevice


@pytest.fixture
def settings(settings):
    """Devices on loopback may be reached."""
    return replace(settings, ssh_networks=("127.0.0.0/8",))


@pytest.fixture
async def sshd(tmp_path):
    if not Path(SSHD).exists() or not shutil.which("ssh-keygen"):
        pytest.skip("no OpenSSH server on this machine (apt install openssh-server)")
    made = Sshd(folder=tmp_path / "sshd")
    await made.prepare()
    await made.start()
    yield made
    await made.kill_all()


@pytest.fixture
def ssh(server):
    return server.services.remote.ssh


@pytest.fixture
async def device(server, cast, client, ssh, sshd):
    """Added by Alice, with a key pair made here; its own key is not confirmed yet."""
    access = await ssh.credentials.make(cast.alice, client.id, "maintenance")
    sshd.allow(access.public_key)
    new = NewDevice(
        name="NAS du bureau", kind=DeviceKind.NAS, host="127.0.0.1", port=sshd.port, username=sshd.user,
        credential_id=access.id,
    )  # fmt: skip
    made = await ssh.devices.add(cast.alice, client.id, new, site_id=None, environment=None)
    await ssh.agents.serve(made.machine_id)
    return made


@pytest.fixture
async def known(server, cast, ssh, device):
    """The device, its key compared and confirmed by Alice."""
    assert not await ssh.connector.look_at_key(device)
    (key,) = await ssh.devices.keys(device.machine_id)
    await ssh.devices.confirm(cast.alice, device.machine_id, key.id)
    return device
