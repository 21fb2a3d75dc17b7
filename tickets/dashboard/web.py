"""The first page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from litestar import Controller, get
from litestar.response import Template
from markupsafe import Markup

from compagnon.auth.model import Member
from compagnon.web.feature import Panel
from compagnon.web.render import base_context, fragment, page
from tickets.dashboard.service import Dashboards
from tickets.web import AnyRequest, words


class DashboardPages(Controller):
    path = "/"

    @get("/")
    async def show(self, request: AnyRequest, member: Member, dashboards: Dashboards) -> Template:
        return page(request, "tickets/dashboard.html", **await _shown(request, member, dashboards))

    @get("/dashboard/fragment")
    async def part(self, request: AnyRequest, member: Member, dashboards: Dashboards) -> Template:
        """What changes on the first page; refetched when something waits for the member."""
        return fragment(request, "tickets/_dashboard.html", **await _shown(request, member, dashboards))


async def _shown(request: AnyRequest, member: Member, dashboards: Dashboards) -> dict[str, Any]:
    board = await dashboards.of(member)
    return {"board": board, "panels": _rendered(request, board.panels), **words()}


def _rendered(request: AnyRequest, panels: Sequence[Panel]) -> list[Markup]:
    """Each panel by itself, with its own context: two packages may use the same names."""
    engine = request.app.template_engine
    assert engine is not None, "the application has templates"
    found = [(engine.get_template(panel.template), panel.context) for panel in panels]
    return [
        Markup(template.render(**{**base_context(request), **context}))  # noqa: S704 - autoescaped by its own template
        for template, context in found
    ]
