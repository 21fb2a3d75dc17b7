"""What machines show on other packages' pages."""

from __future__ import annotations

from compagnon.auth.model import Member, Role
from compagnon.web.feature import ClientPanel, DashboardPanel, Panel
from remote.machines.model import MachineFilter, MachineState
from remote.machines.records import Records
from remote.machines.service import Machines


def client_panel(machines: Machines) -> ClientPanel:
    async def panel(_: Member, client_id: int) -> Panel | None:
        found = [machine for machine in await machines.for_client(client_id) if not machine.is_device]
        context = {"machines": found, "client_id": client_id}
        return Panel(template="remote/client_panel.html", context=context, order=20)

    return panel


def dashboard_panel(machines: Machines, records: Records) -> DashboardPanel:
    """Machines that wait for approval or drift, for administrators also those whose own record was broken.

    Nothing when all is well.
    """

    async def panel(member: Member) -> Panel | None:
        counts = await machines.counts()
        broken = await records.all_broken() if member.role.covers(Role.ADMINISTRATOR) else ()
        if not counts["pending"] and not counts["drifting"] and not broken:
            return None
        pending = await machines.listed(MachineFilter(state=MachineState.PENDING, limit=5))
        drifting = await machines.listed(MachineFilter(drifting=True, state=MachineState.APPROVED, limit=5))
        context = {"counts": counts, "pending": pending, "drifting": drifting, "broken": broken}
        return Panel(template="remote/dashboard_panel.html", context=context, order=60)

    return panel
