"""Requests that wait for a machine that is away."""

from __future__ import annotations

from typing import Any

from litestar import Request, post
from litestar.params import FromPath
from litestar.response import Redirect

from compagnon.auth.model import Member
from compagnon.errors import Conflict, Forbidden, Invalid
from compagnon.i18n import N_
from compagnon.web.forms import Form
from compagnon.web.render import redirect, toast
from procedures.ports import Phase
from procedures.runs.absent import HOURS
from procedures.runs.service import Runs


@post("/runs/{run_id:int}/ask-when-back")
async def ask_when_back(
    request: Request[Any, Any, Any], run_id: FromPath[int], form: Form, member: Member, runs: Runs
) -> Redirect:
    """Ask the agent to check, execute or verify the current step once its machine is back."""
    phase, revision = form.choice("phase", Phase), form.integer("revision", minimum=1)
    hours = form.integer("hours", minimum=HOURS[0], maximum=HOURS[1])
    try:
        form.check()
        await runs.ask_when_back(run_id, member, revision=revision, phase=phase, hours=hours)
    except (Invalid, Conflict, Forbidden) as error:
        toast(request, error.message, kind="warning", **error.params)
    else:
        toast(request, N_("The request waits for the machine."))
    return redirect(f"/runs/{run_id}")


HANDLERS = [ask_when_back]
