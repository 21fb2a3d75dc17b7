"""Write a client's consent rules and propose them at a machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from litestar import Request, post
from litestar.params import FromPath
from litestar.response import Redirect
from litestar.types import ControllerRouterHandler

from compagnon.auth.model import Member
from compagnon.i18n import N_
from compagnon.web import Form, redirect, toast
from compagnon_agent.protocol.agreements import DAYS, WORDS, Attendance, Terms
from compagnon_agent.protocol.manifest import Risk
from remote.policies.service import Policies

AnyRequest = Request[Any, Any, Any]


def handlers() -> Sequence[ControllerRouterHandler]:
    return [write, propose]


@post("/clients/{client_id:int}/policy")
async def write(
    request: AnyRequest, form: Form, member: Member, policies: Policies, client_id: FromPath[int]
) -> Redirect:
    """The next version of what is proposed to this client's machines; nothing changes on any machine."""
    attendance = form.choice("attendance", Attendance)
    risk = form.one_of("procedures", ("", *Risk))
    terms = Terms(
        attendance=attendance,
        capabilities=form.many("capabilities", limit=16, length=40),
        procedures=Risk(risk) if risk else None,
        hours=form.integer("hours", minimum=1, maximum=24),
        days=form.integer("days", minimum=1, maximum=DAYS),
        words=form.text("words", limit=WORDS, required=False),
    )
    after = form.integer("after", maximum=100_000 - 1)
    form.check()
    if attendance is Attendance.ATTENDED:
        terms = Terms(attendance=attendance, hours=terms.hours, days=terms.days, words=terms.words)
    version = await policies.write(member, client_id, terms, after=after)
    toast(
        request, N_("Version {version} is written. Propose it at a machine: the person there decides."), version=version
    )
    return redirect(f"/clients/{client_id}#client-policy")


@post("/machines/{machine_id:int}/policy")
async def propose(
    request: AnyRequest, form: Form, member: Member, policies: Policies, machine_id: FromPath[int]
) -> Redirect:
    """Show a version of the client's rules on the machine's screen."""
    version = form.integer("version", minimum=1)
    form.check()
    await policies.propose(member, machine_id, version)
    return redirect(f"/machines/{machine_id}")
