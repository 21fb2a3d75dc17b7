"""The page of a ``screen`` session: what it sends goes over the session's socket; only asking for control is here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from litestar import Request, post
from litestar.params import PathParameter
from litestar.response import Response
from litestar.types import ControllerRouterHandler

from compagnon.auth.model import Member
from remote.screens.service import Screens

AnyRequest = Request[Any, Any, Any]
SessionId = Annotated[str, PathParameter(pattern=r"^[0-9a-f]{32}$")]


def handlers() -> Sequence[ControllerRouterHandler]:
    return [ask_control, give_back]


@post("/sessions/{session_id:str}/screen/control", status_code=200)
async def ask_control(member: Member, screens: Screens, session_id: SessionId) -> Response[dict[str, str]]:
    """Ask the client for mouse and keyboard; answers the code to be compared by voice."""
    code = await screens.ask_control(session_id, member)
    return Response({"code": code}, headers={"Cache-Control": "no-store"})


@post("/sessions/{session_id:str}/screen/control/end", status_code=204)
async def give_back(member: Member, screens: Screens, session_id: SessionId) -> None:
    """Give mouse and keyboard back: the client is asked again the next time."""
    await screens.give_back(session_id, member)
