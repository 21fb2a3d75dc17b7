"""The client's consent rules on the client's page, and what holds on a machine on the machine's."""

from __future__ import annotations

from compagnon.auth.model import Member
from compagnon.web.feature import ClientPanel, Panel
from compagnon_agent.protocol.agreements import CAPABILITIES
from remote.machines.desk import MachinePanel
from remote.machines.model import MachineState
from remote.machines.service import Machines
from remote.policies.service import Policies


def policy_panel(policies: Policies) -> ClientPanel:
    async def panel(_: Member, client_id: int) -> Panel | None:
        versions = await policies.versions(client_id)
        context = {
            "client_id": client_id,
            "versions": versions,
            "newest": versions[0] if versions else None,
            "places": await policies.machines(client_id),
            "capabilities": CAPABILITIES,
        }
        return Panel(template="remote/policy_panel.html", context=context, order=22)

    return panel


def agreement_panel(policies: Policies, machines: Machines) -> MachinePanel:
    async def panel(_member: Member, machine_id: int) -> Panel | None:
        machine = await machines.get(machine_id)
        if machine.state is not MachineState.APPROVED or machine.is_device:
            return None
        _, reported = await machines.reported(machine_id)
        versions = await policies.versions(machine.client_id)
        context = {
            "machine": machine,
            "holding": await policies.held_by(machine, reported.policy.get("agreement")),
            "newest": versions[0] if versions else None,
        }
        return Panel(template="remote/agreement_panel.html", context=context, order=40)

    return panel
