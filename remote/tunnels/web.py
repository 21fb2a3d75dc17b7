"""The page of a ``tunnel`` session, and the way in for the program on a member's own computer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Annotated, Any

from litestar import Request, asgi, get, post
from litestar.enums import ScopeType
from litestar.handlers import ASGIRouteHandler
from litestar.params import PathParameter
from litestar.response import Response, Template
from litestar.types import ControllerRouterHandler, Receive, Scope, Send

from compagnon.auth.model import Member
from compagnon.errors import AppError, Forbidden, Invalid
from compagnon.i18n import N_
from compagnon.settings import Settings
from compagnon.web import context as contexts
from compagnon.web import fragment
from compagnon_agent.protocol.channel import ChannelLost
from remote import wire
from remote.control.web import MACHINE, not_a_websocket
from remote.sessions.service import Sessions
from remote.tunnels.model import Pass, listening_port
from remote.tunnels.room import End
from remote.tunnels.service import Tunnels
from remote.wire import Closed, Wire

log = logging.getLogger(__name__)
AnyRequest = Request[Any, Any, Any]
SessionId = Annotated[str, PathParameter(pattern=r"^[0-9a-f]{32}$")]
EOF = "eof"  # the only text on the program's socket: nothing more comes from this side
PIECE_LIMIT = 1024 * 1024
PATIENCE = 600.0  # seconds a program at the member's computer may leave what arrived unread


def handlers(tunnels: Tunnels, settings: Settings) -> Sequence[ControllerRouterHandler]:
    return [connections, _code_handler(settings), exchange, program_handler(tunnels)]


@get("/sessions/{session_id:str}/tunnel/connections")
async def connections(request: AnyRequest, member: Member, tunnels: Tunnels, session_id: SessionId) -> Template:
    """The connections that go through a tunnel now, and the last ones that are over."""
    found = await tunnels.connections(session_id, member)
    return fragment(request, "remote/_tunnel_connections.html", connections=found)


def _code_handler(settings: Settings) -> ControllerRouterHandler:
    @post("/sessions/{session_id:str}/tunnel/code", status_code=200)
    async def code(
        request: AnyRequest, member: Member, sessions: Sessions, tunnels: Tunnels, session_id: SessionId
    ) -> Template:
        """The command for the member's own computer, with a code that is good once and for ten minutes."""
        sign_in = contexts.need(request.scope).sign_in
        if sign_in is None:
            raise Forbidden(N_("Please sign in first."))
        made = await tunnels.code(session_id, member, sign_in.id)
        session = await sessions.get(session_id)
        address = f"{settings.public_url.rstrip('/')}{session.url}"
        command = f"compagnon-tunnel.py {address} --listen 127.0.0.1:{listening_port(session.target)} --code {made}"
        return fragment(request, "remote/_tunnel_command.html", command=command)

    return code


@post("/sessions/{session_id:str}/tunnel/pass", opt=MACHINE, request_max_body_size=4096, status_code=200)
async def exchange(request: AnyRequest, tunnels: Tunnels, session_id: SessionId) -> Response[dict[str, str]]:
    """The program on a member's computer shows its code and gets a pass for its connections (JSON both ways)."""
    try:
        raw = await request.json()
        code = raw.get("code") if isinstance(raw, dict) else None
        if not isinstance(code, str):
            raise Invalid(N_("The code is missing."), field="code")
        made, session = await tunnels.exchange(session_id, code)
    except AppError as error:
        return Response({"detail": str(error)}, status_code=error.status)
    except ValueError:
        return Response({"detail": "This is no request for a pass."}, status_code=400)
    headers = {"Cache-Control": "no-store"}
    return Response({"pass": made, "target": session.target, "machine": session.machine_name}, headers=headers)


def program_handler(tunnels: Tunnels) -> ASGIRouteHandler:
    @asgi("/sessions/{session_id:str}/tunnel", opt=MACHINE, copy_scope=False)
    async def program(scope: Scope, receive: Receive, send: Send) -> None:
        """One TCP connection of a member's computer (WebSocket, with its pass; see docs/reference/protocol.md)."""
        if scope["type"] != ScopeType.WEBSOCKET:
            await not_a_websocket(send)
            return
        session_id = scope["path"].rstrip("/").split("/")[-2]
        await serve(Wire(receive, send, scope), tunnels, session_id, _shown(scope))

    return program


def _shown(scope: Scope) -> str:
    kind, _, shown = wire.header(scope, b"authorization").partition(" ")
    return shown.strip() if kind.casefold() == "bearer" else ""


async def serve(socket: Wire, tunnels: Tunnels, session_id: str, shown: str) -> None:
    """Refused with 403, before anything is dialled, without a good pass."""
    try:
        given, member = await tunnels.holder(session_id, shown)
    except AppError as error:
        log.info("a tunnel's program was refused: %s", error)
        await socket.reject()
        return
    await socket.accept()
    try:
        async with tunnels.connection(session_id, member, via="program") as end:
            await _carry(socket, end, tunnels, given)
        await socket.close(wire.NORMAL, "closed")
    except (Closed, ChannelLost):
        await socket.close(wire.TRY_AGAIN, "cut")
    except (AppError, ValueError) as error:
        await socket.close(wire.PROTOCOL_ERROR, str(error))


async def _carry(socket: Wire, end: End, tunnels: Tunnels, given: Pass) -> None:
    """Until both sides have finished. Raises Closed, ChannelLost, Forbidden, ValueError."""
    work = [asyncio.create_task(job) for job in (_up(socket, end), _down(socket, end))]
    watch = asyncio.create_task(tunnels.watch(given))
    try:
        waiting = {*work, watch}
        while not all(task.done() for task in work):
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
    finally:
        for task in (*work, watch):
            task.cancel()
        await asyncio.gather(*work, watch, return_exceptions=True)


async def _up(socket: Wire, end: End) -> None:
    while True:
        data = await socket.receive()
        if data == EOF:
            await end.finish()
            return
        if isinstance(data, str) or len(data) > PIECE_LIMIT:
            raise ValueError("this is not what a tunnel carries")
        await end.write(data)


async def _down(socket: Wire, end: End) -> None:
    while data := await end.read():
        await socket.send(data, PATIENCE)
    await socket.send(EOF, PATIENCE)
