"""The page of a ``chat`` session."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from litestar import Request, get, post
from litestar.params import PathParameter
from litestar.response import Redirect, Response, Template
from litestar.types import ControllerRouterHandler

from compagnon.auth.model import Member
from compagnon.web import Form, fragment, redirect
from compagnon_agent.protocol.spoken import CHARACTERS
from remote.chat.service import Chats

AnyRequest = Request[Any, Any, Any]
SessionId = Annotated[str, PathParameter(pattern=r"^[0-9a-f]{32}$")]


def handlers() -> Sequence[ControllerRouterHandler]:
    return [lines, say]


@get("/sessions/{session_id:str}/chat")
async def lines(request: AnyRequest, member: Member, chats: Chats, session_id: SessionId) -> Template:
    """What was written in this session so far."""
    return fragment(request, "remote/_chat_lines.html", lines=await chats.lines(session_id, member), me=member.id)


@post("/sessions/{session_id:str}/chat")
async def say(
    request: AnyRequest, form: Form, member: Member, chats: Chats, session_id: SessionId
) -> Redirect | Response[None]:
    """Write a line to the person at the machine. ``key`` is the page's own for it: sent twice, it is said once."""
    text = form.lines("text", limit=CHARACTERS)
    key = form.text("key", limit=80)
    form.check()
    await chats.say(session_id, member, text, key=key)
    if request.headers.get("hx-request") == "true":
        return Response(None, status_code=204)
    return redirect(f"/sessions/{session_id}")
