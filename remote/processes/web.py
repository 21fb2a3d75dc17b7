"""The page of a ``processes`` session: the tables, and what is done about one row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from litestar import Request, get, post
from litestar.params import PathParameter, QueryParameter
from litestar.response import Redirect, Template
from litestar.types import ControllerRouterHandler

from compagnon.auth.model import Member
from compagnon.i18n import N_
from compagnon.web import Form, fragment, redirect, toast
from compagnon.web.render import is_htmx
from compagnon_agent.protocol.processes import Action, Turn
from remote.processes.service import Processes

AnyRequest = Request[Any, Any, Any]
SessionId = Annotated[str, PathParameter(pattern=r"^[0-9a-f]{32}$")]
Pid = Annotated[int, QueryParameter(ge=0, le=2**31)]
Moment = Annotated[int, QueryParameter(ge=0, le=2**40)]


def handlers() -> Sequence[ControllerRouterHandler]:
    return [listed, closely, end, prioritise, services, order]


@get("/sessions/{session_id:str}/processes")
async def listed(request: AnyRequest, member: Member, processes: Processes, session_id: SessionId) -> Template:
    """The processes of the session's machine, as they are now: rows that the page sorts by itself."""
    table = await processes.listed(session_id, member)
    return fragment(request, "remote/_processes.html", table=table)


@get("/sessions/{session_id:str}/processes/one")
async def closely(
    request: AnyRequest, member: Member, processes: Processes, session_id: SessionId, pid: Pid, started: Moment
) -> Template:
    """Everything about one process: its whole command line, program, open ports."""
    found = await processes.closely(session_id, member, pid=pid, started=started)
    return fragment(request, "remote/_process.html", process=found, pid=pid)


@post("/sessions/{session_id:str}/processes/end", status_code=200)
async def end(
    request: AnyRequest, form: Form, member: Member, processes: Processes, session_id: SessionId
) -> Template | Redirect:
    """Ask a process of the session's machine to end; ``kill`` ends one that was asked and did not."""
    pid, started = form.identity("pid"), form.identity("started")
    name, kill = form.text("name", limit=80, required=False), form.flag("kill")
    form.check()
    ended = await processes.end(session_id, member, pid=pid, started=started, name=name, kill=kill)
    said = N_("{name} has ended.") if ended else N_("{name} was asked to end and still runs.")
    toast(request, said, kind="success" if ended else "warning", name=name or str(pid))
    return _answer(request, session_id, {"outcome": "ended" if ended else "runs", "name": name or str(pid)})


@post("/sessions/{session_id:str}/processes/priority", status_code=200)
async def prioritise(
    request: AnyRequest, form: Form, member: Member, processes: Processes, session_id: SessionId
) -> Template | Redirect:
    """Let a process take its turn after the others, or as usual again."""
    pid, started = form.identity("pid"), form.identity("started")
    name, turn = form.text("name", limit=80, required=False), form.choice("turn", Turn)
    form.check()
    await processes.prioritise(session_id, member, pid=pid, started=started, name=name, turn=turn)
    toast(request, N_("The priority of {name} is changed."), name=name or str(pid))
    return _answer(request, session_id, {"outcome": "priority", "name": name or str(pid)})


@get("/sessions/{session_id:str}/services")
async def services(request: AnyRequest, member: Member, processes: Processes, session_id: SessionId) -> Template:
    """The services of the session's machine, and who manages them there."""
    found = await processes.services(session_id, member)
    return fragment(request, "remote/_services.html", found=found)


@post("/sessions/{session_id:str}/services", status_code=200)
async def order(
    request: AnyRequest, form: Form, member: Member, processes: Processes, session_id: SessionId
) -> Template | Redirect:
    """Start, stop, restart, enable or disable a service of the session's machine."""
    name, action = form.text("name", limit=200), form.choice("action", Action)
    form.check()
    done = await processes.order(session_id, member, name=name, action=action)
    return _answer(request, session_id, {"outcome": "order", "done": done, "name": name, "action": action.value})


def _answer(request: AnyRequest, session_id: str, context: dict[str, Any]) -> Template | Redirect:
    if is_htmx(request):
        return fragment(request, "remote/_process_outcome.html", **context)
    return redirect(f"/sessions/{session_id}")
