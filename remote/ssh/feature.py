"""The parts of SSH, built once and handed to the pages."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

from compagnon.auth.model import Member
from compagnon.kernel import Kernel
from procedures.ports import TicketGate
from remote.control.link import AgentLink
from remote.sessions.rooms import Rooms
from remote.sessions.service import Sessions
from remote.ssh.agents import DeviceAgents
from remote.ssh.bootstrap import Bootstrap
from remote.ssh.connector import Connector
from remote.ssh.consents import Consents
from remote.ssh.credentials import Credentials
from remote.ssh.dial import Dialler, Direct, ThroughAgent
from remote.ssh.model import Device
from remote.ssh.service import Devices
from remote.ssh.steps import Steps
from remote.tunnels.service import Tunnels


class Ssh:
    """What the pages use. No dataclass: of those Litestar wants to know the types of everything inside."""

    def __init__(
        self,
        devices: Devices,
        credentials: Credentials,
        connector: Connector,
        consents: Consents,
        agents: DeviceAgents,
        bootstrap: Bootstrap,
    ) -> None:
        self.devices = devices
        self.credentials = credentials
        self.connector = connector
        self.consents = consents
        self.agents = agents
        self.bootstrap = bootstrap


def build(
    kernel: Kernel, *, link: AgentLink, rooms: Rooms, sessions: Sessions, gate: TicketGate, tunnels: Tunnels
) -> Ssh:
    devices, credentials = Devices(kernel, link.machines), Credentials(kernel)
    connector = Connector(devices, credentials, _diallers(kernel.settings.ssh_networks, tunnels))
    consents = Consents(kernel, gate)
    agents = DeviceAgents(
        kernel=kernel, link=link, rooms=rooms, sessions=sessions, devices=devices, connector=connector,
        consents=consents, steps=Steps(kernel, connector, consents),
    )  # fmt: skip
    bootstrap = Bootstrap(kernel=kernel, machines=link.machines, sessions=sessions, consents=consents, agents=agents)
    return Ssh(devices, credentials, connector, consents, agents, bootstrap)


def _diallers(networks: tuple[str, ...], tunnels: Tunnels) -> Callable[[Device, Member | None], Dialler]:
    direct = Direct([ipaddress.ip_network(network) for network in networks])

    def chosen(device: Device, member: Member | None) -> Dialler:
        via = device.via_machine_id
        return direct if via is None else ThroughAgent(tunnels, via, member)

    return chosen
