"""The page of a ``processes`` session."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from litestar import Request, get, post
from litestar.params import PathParameter
from litestar.response import Redirect, Template
from litestar.types import ControllerRouterHandler

from compagnon.auth.model import Member
from compagnon.i18n import N_
from compagnon.web import Form, fragment, redirect, toast
from remote.processes.service import Processes

AnyRequest = Request[Any, Any, Any]
SessionId = Annotated[str, PathParameter(pattern=r"^[0-9a-f]{32}$")]


def handlers() -> Sequence[ControllerRouterHandler]:
    return [listed, end]


@get("/sessions/{session_id:str}/processes")
async def listed(request: AnyRequest, member: Member, processes: Processes, session_id: SessionId) -> Template:
    """The processes of the session's machine, as they are now."""
    found = await processes.listed(session_id, member)
    return fragment(request, "remote/_processes.html", processes=found, session_id=session_id)


@post("/sessions/{session_id:str}/processes/end")
async def end(request: AnyRequest, form: Form, member: Member, processes: Processes, session_id: SessionId) -> Redirect:
    """Ask a process of the session's machine to end."""
    pid, started = form.identity("pid"), form.identity("started")
    name = form.text("name", limit=80, required=False)
    form.check()
    await processes.end(session_id, member, pid=pid, started=started, name=name)
    toast(request, N_("{name} was asked to end."), name=name or str(pid))
    return redirect(f"/sessions/{session_id}")
