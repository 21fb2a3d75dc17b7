"""Pages and sockets of remote sessions."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
from collections.abc import Sequence
from typing import Annotated, Any

from litestar import Request, WebSocket, asgi, get, post, websocket
from litestar.enums import ScopeType
from litestar.handlers import ASGIRouteHandler
from litestar.params import FromPath, PathParameter
from litestar.response import Redirect, Response, Template
from litestar.types import ControllerRouterHandler, Receive, Scope, Send

from compagnon.auth.model import Member
from compagnon.auth.service import Members
from compagnon.errors import AppError, Forbidden, NotFound
from compagnon.i18n import N_
from compagnon.web import Form, fragment, page, redirect, toast
from compagnon.web import context as contexts
from compagnon.web.ws_tickets import WsTickets
from compagnon_agent.protocol import frames, messages, signing
from compagnon_agent.protocol.wire import WireError
from procedures.ports import TicketGate
from procedures.runs.model import Run
from remote import wire
from remote.control.connection import Refused, greet, turn_away
from remote.control.link import AgentLink
from remote.control.web import MACHINE, not_a_websocket
from remote.machines.desk import Desk
from remote.machines.model import MachineState
from remote.recordings.model import ChainError
from remote.sessions import rights
from remote.sessions.model import Capability, Session, SessionState
from remote.sessions.room import Room
from remote.sessions.rooms import Rooms
from remote.sessions.service import Sessions
from remote.sessions.viewer import Viewer
from remote.wire import Closed, Wire

log = logging.getLogger(__name__)
AnyRequest = Request[Any, Any, Any]
SessionId = Annotated[str, PathParameter(pattern=r"^[0-9a-f]{32}$")]
VIEWER = re.compile(r"^[0-9a-f]{8,32}$")
TEXT_LIMIT = 4096  # bytes of a viewer's text message


def handlers(rooms: Rooms) -> Sequence[ControllerRouterHandler]:
    return [open_session, shown, side, ws_ticket, stop, hand_over, invite, viewer_socket]


# pages


@post("/machines/{machine_id:int}/sessions")
async def open_session(
    request: AnyRequest, form: Form, member: Member, sessions: Sessions, machine_id: FromPath[int]
) -> Redirect:
    """Ask the client for a session (a terminal, unless another capability is named), and go where the answer shows."""
    ticket_id = form.identity("ticket_id")
    reason = form.text("reason", limit=500)
    capability, target = asked_for(form)
    form.check()
    session = await sessions.open(machine_id, ticket_id, reason, member, capability=capability, target=target)
    return redirect(session.url)


def asked_for(form: Form) -> tuple[str, str]:
    """Which capability, and where a tunnel leads: the field of it stands in the same form as the other buttons."""
    capability = form.text("capability", limit=40, required=False) or Capability.TERMINAL
    return capability, form.text("target", limit=255, required=False) if capability == Capability.TUNNEL else ""


@get("/sessions/{session_id:str}", opt={"terminal_styles": True})
async def shown(
    request: AnyRequest,
    member: Member,
    sessions: Sessions,
    desk: Desk,
    rooms: Rooms,
    ws_tickets: WsTickets,
    session_id: SessionId,
) -> Template:
    """A remote session, the others of the same visit beside it, and who is in it."""
    session = await sessions.get(session_id)
    await sessions.require_entry(session, member)
    opened = session.state is SessionState.OPEN
    return page(
        request,
        f"remote/session_{session.capability}.html",
        ws_ticket=await ws_tickets.issue(member.id, _opens(session_id)) if opened else "",
        **await _context(session, member, sessions, desk, rooms),
    )


@get("/sessions/{session_id:str}/side")
async def side(
    request: AnyRequest, member: Member, sessions: Sessions, desk: Desk, rooms: Rooms, session_id: SessionId
) -> Template:
    """State, ticket, run, people and the visit's tabs: fetched again when the session's topic moves."""
    session = await sessions.get(session_id)
    await sessions.require_entry(session, member)
    return fragment(request, "remote/_session_live.html", **await _context(session, member, sessions, desk, rooms))


async def _context(session: Session, member: Member, sessions: Sessions, desk: Desk, rooms: Rooms) -> dict[str, Any]:
    room = rooms.get(session.id)
    runs = await desk.runs.for_ticket(session.ticket_id)
    machine = await desk.link.machines.get(session.machine_id)
    mine = [run for run in runs if run.machine_id == session.machine_id]
    return {
        "session": session,
        "environment": machine.environment,
        "machine": machine,
        "participants": await sessions.participants(session.id),
        "suggested": await sessions.suggested(session, member),
        "others": await sessions.others(session) if session.live else (),
        "links": await sessions.links(session.id) if session.live else (),
        "lookers": room.lookers if room else frozenset(),
        "moderated": room.moderated if room else False,
        "alone": room.alone if room else False,
        "visit": await sessions.visit(session),
        "capabilities": [capability for capability in Capability if capability in machine.capabilities],
        "ticket_title": await _title(desk.gate, session.ticket_id),
        "runs": mine,
        **await _brought_in(session, mine, desk),
        "step": room.step if room else "",
        "driving": session.driver_id == member.id,
    }


async def _brought_in(session: Session, runs: Sequence[Run], desk: Desk) -> dict[str, Any]:
    """What whoever joins must know at once: what the machine is, what is wrong with it, and what was done."""
    facts, _ = await desk.link.machines.reported(session.machine_id)
    checks = await desk.link.machines.checks(session.machine_id)
    active = [run for run in runs if run.active]
    seen = await desk.runs.show(active[-1].id) if active else None
    done = (
        [(visit.step_id, seen.plan.step(visit.step_id).title, visit.outcome) for visit in seen.visits] if seen else []
    )
    return {"facts": facts, "drift": [check for check in checks if check.failing], "done": done[-12:]}


async def _title(gate: TicketGate, ticket_id: int) -> str:
    try:
        return (await gate.require_open(ticket_id)).title
    except AppError:
        return ""


@post("/sessions/{session_id:str}/ticket", status_code=200)
async def ws_ticket(
    member: Member, sessions: Sessions, ws_tickets: WsTickets, session_id: SessionId
) -> Response[dict[str, str]]:
    """A one-time ticket for the session's socket: the page brings its first, and asks for one at each reconnection."""
    session = await sessions.get(session_id)
    await sessions.require_entry(session, member)
    ticket = await ws_tickets.issue(member.id, _opens(session_id))
    return Response({"ticket": ticket, "state": session.state.value}, headers={"Cache-Control": "no-store"})


def _opens(session_id: str) -> str:
    """What a ticket for the session's socket is for."""
    return f"session:{session_id}"


@post("/sessions/{session_id:str}/end")
async def stop(request: AnyRequest, member: Member, sessions: Sessions, session_id: SessionId) -> Redirect:
    """End a remote session for everybody."""
    await sessions.stop(member, session_id)
    toast(request, N_("The session is over."))
    return redirect(f"/sessions/{session_id}")


@post("/sessions/{session_id:str}/hand-over", status_code=200)
async def hand_over(
    request: AnyRequest, form: Form, member: Member, sessions: Sessions, session_id: SessionId
) -> Redirect:
    """Give the keyboard of a session to another participant."""
    to_id = form.identity("to")
    form.check()
    await sessions.hand_over(member, session_id, to_id)
    return redirect(f"/sessions/{session_id}")


@post("/sessions/{session_id:str}/invite")
async def invite(
    request: AnyRequest, form: Form, member: Member, sessions: Sessions, members: Members, session_id: SessionId
) -> Redirect:
    """Let another member join a session."""
    guest_id = form.identity("member_id")
    form.check()
    await sessions.invite(member, session_id, guest_id)
    toast(request, N_("{name} may join now."), name=(await members.get(guest_id)).name)
    return redirect(f"/sessions/{session_id}")


# browsers


@websocket("/sessions/{session_id:str}/ws")
async def viewer_socket(
    socket: WebSocket[Any, Any, Any], sessions: Sessions, rooms: Rooms, ws_tickets: WsTickets, session_id: FromPath[str]
) -> None:
    """A member's page. Signed in and from this site (checked before), with a one-time ticket for this session."""
    connection = Wire(socket.receive, socket.send, socket.scope)
    context = contexts.need(socket.scope)
    member, sign_in = context.member, context.sign_in
    try:
        if member is None or sign_in is None:
            raise Forbidden(N_("Please sign in first."))
        await ws_tickets.redeem(wire.query(socket.scope, "ticket"), _opens(session_id), member_id=member.id)
        session = await sessions.get(session_id)
        await sessions.require_entry(session, member)
        viewer = _viewer(socket.scope, connection, member)
    except AppError as error:
        log.info("a session's socket was refused: %s", error)
        await connection.reject()
        return
    await connection.accept()
    if session.state is not SessionState.OPEN:
        await _not_open(connection, session)
        return
    try:
        room = await rooms.room(session)
    except (OSError, ChainError) as error:
        log.error("session %s: %s", session_id, error)
        await connection.close(wire.TRY_AGAIN, "the recording cannot be written")
        return
    watching = asyncio.create_task(rights.watch(viewer, session, member, sign_in.id, sessions=sessions, hub=rooms.hub))
    try:
        await _view(viewer, room, session, member, sessions)
    finally:
        watching.cancel()


def _viewer(scope: Scope, connection: Wire, member: Member) -> Viewer:
    name = wire.query(scope, "viewer")
    offset = wire.query(scope, "offset")
    if not VIEWER.match(name) or not (offset == "" or (offset.isdecimal() and len(offset) < 16)):
        raise NotFound(N_("There is no such session."))
    key = f"{member.id}.{name}"
    return Viewer(connection, key=key, member_id=member.id, name=member.name, offset=int(offset) if offset else None)


async def _not_open(connection: Wire, session: Session) -> None:
    with contextlib.suppress(Closed):
        reason = session.end_reason.value if session.end_reason else ""
        await connection.send(json.dumps({"type": "ended" if reason else "waiting", "reason": reason}))
    await connection.close(wire.NORMAL if reason else wire.TRY_AGAIN, "not open")


async def _view(viewer: Viewer, room: Room, session: Session, member: Member, sessions: Sessions) -> None:
    first = not room.here(member.id)
    room.enter(viewer)
    sending = asyncio.create_task(_send(viewer, room))
    viewer.wire.deliver(lambda raw: _at_once(viewer, room, raw))
    try:
        if first:
            await sessions.joined(session, member)
        while True:
            await _from_viewer(viewer, room, await viewer.wire.receive())
    except Closed:
        pass
    except (WireError, ValueError) as error:
        log.warning("session %s: a page of member %s speaks nonsense: %s", session.id, member.id, error)
        await viewer.wire.close(wire.PROTOCOL_ERROR, "protocol error")
    finally:
        sending.cancel()
        room.leave(viewer)
        if not room.here(member.id):
            await asyncio.shield(sessions.left(session, member))


async def _send(viewer: Viewer, room: Room) -> None:
    with contextlib.suppress(Closed):
        await viewer.send_all(room)


def _at_once(viewer: Viewer, room: Room, raw: bytes) -> bool:
    if not viewer.allowed or not room.take_at_once(viewer, raw):
        return False
    viewer.hear()
    return True


async def _from_viewer(viewer: Viewer, room: Room, raw: str | bytes) -> None:
    if not viewer.allowed:
        raise Closed
    viewer.hear()
    if isinstance(raw, str):
        await _note_from_viewer(viewer, room, raw)
        return
    frame = frames.decode(raw)
    if frame is not None:
        await room.take(viewer, frame)


async def _note_from_viewer(viewer: Viewer, room: Room, raw: str) -> None:
    """``ask``: please give me the keyboard; ``ping``: I am here; anything else is for the kind of session."""
    if len(raw) > TEXT_LIMIT:
        raise ValueError("a message is too long")
    note = json.loads(raw)
    kind = note.get("type") if isinstance(note, dict) else None
    if kind == "ask":
        room.tell_all("asks", id=viewer.member_id, name=viewer.name)
    elif kind == "ping":
        viewer.tell("pong")
    elif kind == "point":
        room.point(viewer, note)
    elif kind is not None:
        room.note(viewer, note)


# agents


def agent_session_handler(link: AgentLink, rooms: Rooms, sessions: Sessions) -> ASGIRouteHandler:
    @asgi("/agent/sessions/{session_id:str}", opt=MACHINE, copy_scope=False)
    async def agent_session(scope: Scope, receive: Receive, send: Send) -> None:
        """The connection an agent dials for one remote session (WebSocket; see docs/reference/protocol.md)."""
        if scope["type"] != ScopeType.WEBSOCKET:
            await not_a_websocket(send)
            return
        session_id = scope["path"].rstrip("/").rpartition("/")[2]
        await serve_agent(Wire(receive, send, scope), link, rooms, sessions, session_id, wire.address(scope))

    return agent_session


async def serve_agent(
    wire_: Wire, link: AgentLink, rooms: Rooms, sessions: Sessions, session_id: str, peer: str
) -> None:
    """An agent's connection for one session, from its handshake to its end."""
    await wire_.accept()
    try:
        purpose = signing.session_purpose(session_id)
        connection, _ = await greet(wire_, link.identity, link.find, purpose=purpose)
        session = await sessions.get(session_id)
    except (ValueError, NotFound):
        await wire_.close(wire.NO_SESSION, "no such session")
        return
    except Refused as error:
        await turn_away(wire_, str(error), peer)
        return
    except Closed:
        return
    machine = connection.machine
    if session.machine_id != machine.id or machine.state is not MachineState.APPROVED:
        await turn_away(wire_, f"machine {machine.id} asks for session {session_id} of another", peer)
        return
    try:
        signature = connection.proof.sign(link.identity, "welcome")
        await connection.send(messages.Welcome(signature=signature))
        await serve_room(wire_, rooms, session)
    except Closed:
        pass


async def serve_room(wire_: Wire, rooms: Rooms, session: Session) -> None:
    """The agent's connection and the session's room, until one of them goes. Raises Closed."""
    if session.state is not SessionState.OPEN:
        reason = session.end_reason.value if session.end_reason else "lost"
        await wire_.send(frames.close(reason).encode())
        await wire_.close(wire.NO_SESSION, "not open")
        return
    try:
        room = await rooms.room(session)
    except (OSError, ChainError) as error:
        log.error("session %s: the recording cannot be written: %s", session.id, error)
        await wire_.close(wire.TRY_AGAIN, "the recording cannot be written")
        return
    await room.attach(wire_)
    wire_.deliver(room.from_agent_at_once)
    try:
        while True:
            await room.from_agent(await wire_.receive())
    except (WireError, ValueError) as error:
        log.warning("session %s: the agent breaks the protocol: %s", session.id, error)
        await wire_.close(wire.PROTOCOL_ERROR, "protocol error")
    finally:
        room.detach(wire_)
