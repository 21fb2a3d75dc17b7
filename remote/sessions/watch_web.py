"""The page by which a client watches a session, and its socket; the members' side of such links."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import secrets
from collections.abc import Sequence
from typing import Annotated, Any

from litestar import Request, WebSocket, get, post, websocket
from litestar.params import FromPath, PathParameter
from litestar.response import Redirect, Template
from litestar.types import ControllerRouterHandler

from compagnon.auth.model import Member
from compagnon.errors import AppError, Conflict
from compagnon.i18n import N_, gettext
from compagnon.web import Form, page, redirect, toast
from compagnon_agent.protocol import frames
from compagnon_agent.protocol.frames import FrameKind
from compagnon_agent.protocol.wire import WireError
from remote import wire
from remote.recordings.model import ChainError
from remote.sessions.model import Session, WatchLink
from remote.sessions.room import Room
from remote.sessions.rooms import Rooms
from remote.sessions.service import Sessions
from remote.sessions.watching import MINUTES, Watcher, Watching
from remote.wire import Closed, Wire

log = logging.getLogger(__name__)
AnyRequest = Request[Any, Any, Any]
SessionId = Annotated[str, PathParameter(pattern=r"^[0-9a-f]{32}$")]
PUBLIC = {"public": True, "anonymous": True}
TEXT_LIMIT = 500  # bytes of a watcher's message
FIRST_WITHIN = 10.0  # seconds for the secret to come
HEADERS = {"X-Robots-Tag": "noindex, nofollow, noarchive", "Cache-Control": "no-store"}


def handlers() -> Sequence[ControllerRouterHandler]:
    return [make_link, revoke_link, watch_page, watch_socket]


@post("/sessions/{session_id:str}/links", status_code=200)
async def make_link(
    request: AnyRequest, form: Form, member: Member, watching: Watching, sessions: Sessions, session_id: SessionId
) -> Template:
    """A link by which the client watches this session; its address is shown once."""
    minutes = form.integer("minutes", minimum=MINUTES[0], maximum=MINUTES[1])
    form.check()
    address = await watching.make(member, session_id, minutes)
    session = await sessions.get(session_id)
    return page(request, "remote/watch_link.html", session=session, address=address, minutes=minutes, headers=HEADERS)


@post("/sessions/{session_id:str}/links/{link_id:int}/revoke")
async def revoke_link(
    request: AnyRequest, member: Member, watching: Watching, session_id: SessionId, link_id: FromPath[int]
) -> Redirect:
    """Take a link back; whoever watches by it is out."""
    await watching.revoke(member, session_id, link_id)
    toast(request, N_("The link opens nothing any more."))
    return redirect(f"/sessions/{session_id}")


@get("/watch/{session_id:str}", opt={**PUBLIC, "terminal_styles": True})
async def watch_page(request: AnyRequest, session_id: SessionId) -> Template:
    """What a client sees by a link: the same page for every address, it learns by its secret what to show."""
    return page(request, "remote/watch.html", session_id=session_id, headers=HEADERS)


@websocket("/watch/{session_id:str}/ws", opt=PUBLIC)
async def watch_socket(
    socket: WebSocket[Any, Any, Any], watching: Watching, rooms: Rooms, session_id: FromPath[str]
) -> None:
    """A client's page: its first message is the link's secret; it may draw, say that it is there, and stop."""
    connection, address = Wire(socket.receive, socket.send, socket.scope), wire.address(socket.scope)
    await connection.accept()
    try:
        secret = await _secret(connection)
        session, link = await watching.open(session_id, secret, address)
        room = await rooms.room(session)
    except (AppError, ValueError, TimeoutError) as error:
        await _refuse(connection, error)
        return
    except Closed:
        return
    except (OSError, ChainError):
        await connection.close(wire.TRY_AGAIN, "the recording cannot be written")
        return
    watcher = Watcher(connection, key=f"watch.{secrets.token_hex(8)}", name=gettext(N_("The client, by link")))
    closing = asyncio.create_task(watching.until_closed(watcher, session, secret))
    try:
        await _watch(watcher, room, watching, session, link, address)
    finally:
        closing.cancel()
        await asyncio.shield(watching.left(session, link, address))


async def _secret(connection: Wire) -> str:
    """Raises ValueError, TimeoutError, Closed."""
    async with asyncio.timeout(FIRST_WITHIN):
        raw = await connection.receive()
    note = _note(raw)
    secret = note.get("secret")
    if not isinstance(secret, str):
        raise ValueError("no secret")
    return secret


def _note(raw: str | bytes) -> dict[str, Any]:
    if not isinstance(raw, str) or len(raw) > TEXT_LIMIT:
        raise ValueError("this is no message")
    note = json.loads(raw)
    if not isinstance(note, dict):
        raise ValueError("this is no message")
    return note


async def _refuse(connection: Wire, error: Exception) -> None:
    with contextlib.suppress(Closed):
        reason = str(error) if isinstance(error, AppError) else ""
        await connection.send(json.dumps({"type": "refused", "reason": reason}))
    await connection.close(wire.NOT_ALLOWED, "refused")


async def _watch(
    watcher: Watcher, room: Room, watching: Watching, session: Session, link: WatchLink, address: str
) -> None:
    room.enter(watcher)
    sending = asyncio.create_task(_send(watcher, room))
    try:
        while watcher.allowed:
            await _hear(watcher, await watcher.wire.receive(), watching, session, link, address)
    except Closed:
        pass
    except (WireError, ValueError) as error:
        log.warning("session %s: a watcher from %s speaks nonsense: %s", session.id, address, error)
        await watcher.wire.close(wire.PROTOCOL_ERROR, "protocol error")
    finally:
        sending.cancel()
        room.leave(watcher)


async def _send(watcher: Watcher, room: Room) -> None:
    with contextlib.suppress(Closed):
        await watcher.send_all(room)


async def _hear(
    watcher: Watcher, raw: str | bytes, watching: Watching, session: Session, link: WatchLink, address: str
) -> None:
    """Raises ValueError for anything but what a watcher may say: a key, a size or a file does not get past here."""
    watcher.hear()
    if isinstance(raw, bytes):
        frame = frames.decode(raw)
        if frame is None or frame.kind is not FrameKind.ACK:
            raise ValueError("a watcher only watches")
        watcher.drew(frame.offset)
        return
    kind = _note(raw).get("type")
    if kind == "ping":
        watcher.tell("pong")
    elif kind == "stop":
        with contextlib.suppress(Conflict):
            await watching.stop(session, link, address)
    else:
        raise ValueError("a watcher only watches")
