"""The first page."""

from __future__ import annotations

from typing import Any

from litestar import Controller, get
from litestar.response import Template

from compagnon.auth.model import Member
from compagnon.web.render import fragment, page, rendered_panels
from tickets.dashboard.service import Dashboards
from tickets.web import AnyRequest, words


class DashboardPages(Controller):
    path = "/"

    @get("/")
    async def show(self, request: AnyRequest, member: Member, dashboards: Dashboards) -> Template:
        """The first page: calls for help, the member's tickets, runs and reviews."""
        return page(request, "tickets/dashboard.html", **await _shown(request, member, dashboards))

    @get("/dashboard/fragment")
    async def part(self, request: AnyRequest, member: Member, dashboards: Dashboards) -> Template:
        """What changes on the first page; refetched when something waits for the member."""
        return fragment(request, "tickets/_dashboard.html", **await _shown(request, member, dashboards))


async def _shown(request: AnyRequest, member: Member, dashboards: Dashboards) -> dict[str, Any]:
    board = await dashboards.of(member)
    return {"board": board, "panels": rendered_panels(request, board.panels), **words()}
