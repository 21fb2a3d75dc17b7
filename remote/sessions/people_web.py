"""Four eyes for a client, pointing, and the invitations that show on the first page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from litestar import Request, get, post
from litestar.params import FromPath, PathParameter
from litestar.response import Redirect, Template
from litestar.types import ControllerRouterHandler

from compagnon.auth.model import Member, Role
from compagnon.i18n import N_
from compagnon.web import Form, fragment, redirect, toast
from compagnon.web.feature import ClientPanel, DashboardPanel, Panel
from compagnon.web.guards import requires
from remote.sessions.moderation import Moderation
from remote.sessions.service import Sessions

AnyRequest = Request[Any, Any, Any]
SessionId = Annotated[str, PathParameter(pattern=r"^[0-9a-f]{32}$")]


def handlers() -> Sequence[ControllerRouterHandler]:
    return [moderate, point, invited]


@post("/clients/{client_id:int}/four-eyes", guards=[requires(Role.ADMINISTRATOR)])
async def moderate(
    request: AnyRequest, form: Form, member: Member, moderation: Moderation, client_id: FromPath[int]
) -> Redirect:
    """Ask for a second member in every session on this client's machines, or no longer."""
    on = form.flag("on")
    await moderation.set(member, client_id, on=on)
    toast(
        request, N_("From now on nobody works alone on this client's machines.") if on else N_("One member is enough.")
    )
    return redirect(f"/clients/{client_id}")


@post("/sessions/{session_id:str}/pointing")
async def point(request: AnyRequest, form: Form, member: Member, sessions: Sessions, session_id: SessionId) -> Redirect:
    """Let a participant point at things, or only look."""
    who = form.identity("member_id")
    allowed = form.flag("allowed")
    form.check()
    await sessions.may_point(member, session_id, who, allowed=allowed)
    return redirect(f"/sessions/{session_id}")


@get("/sessions/invited")
async def invited(request: AnyRequest, member: Member, sessions: Sessions) -> Template:
    """The live sessions to which this member is invited, shown in a corner of every page."""
    return fragment(request, "remote/_invited.html", invitations=await sessions.invitations(member))


def four_eyes_panel(moderation: Moderation) -> ClientPanel:
    async def panel(member: Member, client_id: int) -> Panel | None:
        on, administrates = await moderation.holds(client_id), member.role.covers(Role.ADMINISTRATOR)
        if not on and not administrates:
            return None
        context = {"client_id": client_id, "on": on, "administrates": administrates}
        return Panel(template="remote/four_eyes_panel.html", context=context, order=23)

    return panel


def invitations_panel(sessions: Sessions) -> DashboardPanel:
    async def panel(member: Member) -> Panel | None:
        found = await sessions.invitations(member)
        return (
            Panel(template="remote/invitations_panel.html", context={"invitations": found}, order=5) if found else None
        )

    return panel
