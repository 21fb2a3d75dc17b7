"""What devices show on other pages: a client's, and a machine's."""

from __future__ import annotations

from compagnon.auth.model import Member
from compagnon.errors import NotFound
from compagnon.web.feature import ClientPanel, Panel
from remote.machines.desk import MachinePanel
from remote.ssh.feature import Ssh
from remote.ssh.model import HostKeyState


def devices_panel(ssh: Ssh) -> ClientPanel:
    async def panel(_: Member, client_id: int) -> Panel | None:
        context = {
            "devices": await ssh.devices.for_client(client_id),
            "credentials": await ssh.credentials.for_client(client_id),
            "client_id": client_id,
        }
        return Panel(template="remote/ssh/client_panel.html", context=context, order=21)

    return panel


def device_panel(ssh: Ssh) -> MachinePanel:
    """Address, key and access of a device; nothing for a machine with an agent."""

    async def panel(member: Member, machine_id: int) -> Panel | None:
        try:
            device = await ssh.devices.get(machine_id)
        except NotFound:
            return None
        keys = await ssh.devices.keys(machine_id)
        access = await ssh.credentials.get(device.credential_id) if device.credential_id else None
        waiting = {HostKeyState.SEEN, HostKeyState.PROPOSED}
        context = {
            "device": device,
            "access": access,
            "trusted": next((key for key in keys if key.state is HostKeyState.TRUSTED), None),
            "open_key": next((key for key in keys if key.state in waiting), None),
        }
        return Panel(template="remote/ssh/machine_panel.html", context=context, order=5)

    return panel
