"""The page of a ``logs`` session."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from litestar import Request, get, post
from litestar.params import PathParameter, QueryParameter
from litestar.response import Response, Template
from litestar.types import ControllerRouterHandler

from compagnon.auth.model import Member
from compagnon.i18n import N_
from compagnon.web import Form, fragment, toast
from remote.logs.model import NOTE_LIMIT, SINCE, Query
from remote.logs.service import Logs

AnyRequest = Request[Any, Any, Any]
SessionId = Annotated[str, PathParameter(pattern=r"^[0-9a-f]{32}$")]
Text = Annotated[str, QueryParameter(max_length=400)]
Severity = Annotated[int, QueryParameter(ge=0, le=7)]


def handlers() -> Sequence[ControllerRouterHandler]:
    return [sources, read, follow, keep, leave, copy]


@get("/sessions/{session_id:str}/logs")
async def sources(request: AnyRequest, member: Member, logs: Logs, session_id: SessionId) -> Template:
    """Which logs the session's machine has."""
    return fragment(request, "remote/_log_sources.html", found=await logs.sources(session_id, member))


@get("/sessions/{session_id:str}/logs/lines")
async def read(
    request: AnyRequest,
    member: Member,
    logs: Logs,
    session_id: SessionId,
    source: Text,
    unit: Text = "",
    severity: Severity = 7,
    since: Text = "",
    text: Text = "",
    regex: Text = "",
    cursor: Text = "",
) -> Template:
    """The newest lines of a log that are wanted, or those before a cursor."""
    query = Query(
        source=source[:300],
        unit=unit[:200],
        severity=severity,
        since=since if since in SINCE else "",
        text=text[:200],
        regex=regex == "on",
        cursor=cursor,
    )
    return fragment(request, "remote/_log_lines.html", found=await logs.read(session_id, member, query))


@post("/sessions/{session_id:str}/logs/follow", status_code=204)
async def follow(form: Form, member: Member, logs: Logs, session_id: SessionId) -> None:
    """Tell what is written to a log from now on (as ``log`` notes on the page's socket)."""
    name, source = form.text("follow", limit=32), form.text("source", limit=300)
    severity = form.optional_integer("severity", maximum=7)
    query = Query(
        source=source,
        unit=form.text("unit", limit=200, required=False),
        severity=7 if severity is None else severity,
        text=form.text("text", limit=200, required=False),
        regex=form.flag("regex"),
        cursor=form.text("cursor", limit=400, required=False),
    )
    form.check()
    await logs.follow(session_id, member, name, query)


@post("/sessions/{session_id:str}/logs/keep", status_code=204)
async def keep(form: Form, member: Member, logs: Logs, session_id: SessionId) -> None:
    """Go on following: somebody still looks."""
    name = form.text("follow", limit=32)
    form.check()
    await logs.keep(session_id, member, name)


@post("/sessions/{session_id:str}/logs/leave", status_code=204)
async def leave(form: Form, member: Member, logs: Logs, session_id: SessionId) -> None:
    """Follow a log no longer."""
    name = form.text("follow", limit=32)
    form.check()
    await logs.leave(session_id, member, name)


@post("/sessions/{session_id:str}/logs/note", status_code=200)
async def copy(
    request: AnyRequest, form: Form, member: Member, logs: Logs, session_id: SessionId
) -> Response[dict[str, int]]:
    """Copy lines of a log to the session's ticket, as an internal note."""
    lines = form.lines("lines", limit=NOTE_LIMIT)
    form.check()
    ticket_id = await logs.copy(session_id, member, lines)
    toast(request, N_("Copied to ticket {id} as an internal note."), id=ticket_id)
    return Response({"ticket": ticket_id})
