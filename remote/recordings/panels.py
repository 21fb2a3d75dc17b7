"""What recordings show on other packages' pages."""

from __future__ import annotations

from compagnon.auth.model import Member, Role
from compagnon.web.feature import ClientPanel, Panel
from remote.recordings.retention import Retentions


def retention_panel(retentions: Retentions) -> ClientPanel:
    async def panel(member: Member, client_id: int) -> Panel | None:
        context = {
            "client_id": client_id,
            "own": await retentions.of_client(client_id),
            "default_days": retentions.default_days,
            "administrates": member.role.covers(Role.ADMINISTRATOR),
        }
        return Panel(template="remote/retention_panel.html", context=context, order=24)

    return panel
