"""The button that wakes a machine, on its page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from litestar import Request, post
from litestar.params import FromPath
from litestar.response import Redirect
from litestar.types import ControllerRouterHandler

from compagnon.auth.model import Member
from compagnon.errors import Conflict, Unavailable
from compagnon.i18n import N_
from compagnon.web import Form, redirect, toast
from remote.waking.model import WakingState
from remote.waking.service import Waking


def handlers() -> Sequence[ControllerRouterHandler]:
    return [wake]


@post("/machines/{machine_id:int}/wake")
async def wake(
    request: Request[Any, Any, Any], form: Form, member: Member, waking: Waking, machine_id: FromPath[int]
) -> Redirect:
    """Have its neighbours wake an absent machine (Wake-on-LAN)."""
    ticket_id, reason = form.identity("ticket_id"), form.text("reason", limit=500)
    form.check()
    try:
        known = await waking.wake(member, machine_id, ticket_id, reason)
    except (Conflict, Unavailable) as error:
        toast(request, error.message, kind="warning", **error.params)
    else:
        if known.last and known.last.state is WakingState.FAILED:
            toast(request, N_("The packet that wakes it could not be sent."), kind="warning")
        else:
            toast(request, N_("The packet that wakes it was sent."))
    return redirect(f"/machines/{machine_id}?ticket={ticket_id}#wake")
