"""The agent is installed over SSH: the server's own installer, in a recorded terminal, enrolled at its end."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest
from remote_parts import until

from compagnon.errors import Conflict
from remote.machines.model import MachineFilter
from remote.sessions.model import EndReason, SessionState
from remote.ssh.model import DeviceKind, How, NewDevice

# An account of its own: what the installer does as root belongs to the machine that runs the tests.
SHELL = """#!/bin/sh
export HOME={home} PATH={python}:/usr/bin:/bin PIP_NO_INDEX=1
cd {home}
exec {become} /bin/sh -c "$SSH_ORIGINAL_COMMAND"
"""


@pytest.fixture
def account(sshd):
    folder = Path(tempfile.mkdtemp(prefix="account-"))
    become = ""
    if os.geteuid() == 0:
        os.chown(folder, 65534, 65534)
        become = "setpriv --reuid=65534 --regid=65534 --clear-groups"
    script = SHELL.format(home=folder, python=Path(sys.base_prefix) / "bin", become=become)
    (sshd.folder / "shell").write_text(script)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.skipif(not shutil.which("setpriv"), reason="setpriv is not installed")
async def test_a_device_gets_the_agent_in_a_recorded_terminal(server, cast, ssh, known, ticket, sshd, account):
    machines, sessions = server.services.remote.machines, server.services.remote.sessions
    session = await ssh.bootstrap.install(
        cast.alice, known, ticket, "Installer l'agent", how=How.PHONE, person="Mme Le Goff"
    )

    async def over():
        return (await sessions.get(session.id)).state is SessionState.ENDED

    await until(over, seconds=150, what="the installer ended")
    recordings = server.services.remote.recordings

    async def recorded():
        return (await recordings.get(session.id)).state.value == "complete"

    await until(recorded, what="the recording is complete")
    said = await recordings.transcript(session.id)
    assert (await sessions.get(session.id)).end_reason is EndReason.EXIT, said
    assert "Enrolled as machine" in said, said
    found = [machine for machine in await machines.listed(MachineFilter()) if not machine.is_device]
    assert [machine.state.value for machine in found] == ["pending"]
    assert found[0].client_id == known.client_id
    assert (account / ".local/bin/compagnon-agent").is_symlink()


async def test_network_gear_carries_no_agent(server, cast, ssh, known, ticket):
    new = NewDevice(
        name="Commutateur", kind=DeviceKind.SWITCH, host=known.host, port=known.port, username=known.username,
        credential_id=known.credential_id,
    )  # fmt: skip
    changed = await ssh.devices.change(cast.alice, known.machine_id, new)
    reason, person = "Installer l'agent", "M. Bensaïd"
    with pytest.raises(Conflict):
        await ssh.bootstrap.install(cast.alice, changed, ticket, reason, how=How.PHONE, person=person)
    await asyncio.sleep(0)
    assert not ssh.agents.commands
