"""Where agents knock: enrolment over HTTP, the control connection over a WebSocket."""

from __future__ import annotations

import base64
import binascii
import contextlib
import logging
from collections.abc import Coroutine, Mapping
from typing import Any

from litestar import Request, asgi, post
from litestar.enums import ScopeType
from litestar.exceptions import ClientException, SerializationException
from litestar.handlers import ASGIRouteHandler, HTTPRouteHandler
from litestar.response import Response
from litestar.types import ASGIApp, Receive, Scope, Send

from compagnon.db import DatabaseError
from compagnon.errors import AppError, Forbidden, Invalid
from compagnon.i18n import N_
from compagnon_agent.protocol import messages, signing
from compagnon_agent.protocol.wire import WireError
from remote import wire
from remote.control.arrivals import Crowded
from remote.control.connection import AgentConnection, Refused, challenge, is_signed, judge, turn_away
from remote.control.link import AgentLink
from remote.machines import bounds
from remote.machines.model import Arrival, EnrolRequest
from remote.wire import Closed, Wire

log = logging.getLogger(__name__)
ENROL_BYTES = 8 * 1024
MACHINE = {"public": True, "anonymous": True, "csrf": False}  # proves itself with its key, carries no cookie


def enrol_handler(link: AgentLink) -> HTTPRouteHandler:
    @post("/agent/enroll", opt=MACHINE, request_max_body_size=ENROL_BYTES, status_code=201)
    async def enrol(request: Request[Any, Any, Any]) -> Response[dict[str, object]]:
        """An agent shows its enrolment code and its new key; answers its machine id and the server's key."""
        try:
            wanted = read_enrolment(await request.json())
            machine = await link.machines.enrol(wanted, wire.address(request.scope))
        except AppError as error:
            return Response({"detail": str(error)}, status_code=error.status)
        except (ClientException, SerializationException, ValueError):
            return Response({"detail": "This is not an enrolment request."}, status_code=400)
        server_key = base64.b64encode(link.identity.public).decode()
        release_key = base64.b64encode(await link.release_key() or b"").decode()
        answer = {"machine_id": machine.id, "server_key": server_key, "state": machine.state.value}
        return Response({**answer, "release_key": release_key}, status_code=201)

    return enrol


def read_enrolment(raw: object) -> EnrolRequest:
    """Raises Invalid for anything but a complete request, Forbidden when the key does not sign for itself."""
    if not isinstance(raw, Mapping):
        raise Invalid(N_("This is not an enrolment request."))
    code = raw.get("code")
    if not isinstance(code, str) or len(code) > 80:
        raise Invalid(N_("The code is missing."), field="code")
    public_key = _bytes(raw.get("public_key"), signing.KEY_LENGTH, "public_key")
    signature = _bytes(raw.get("signature"), signing.SIGNATURE_LENGTH, "signature")
    if not is_signed(public_key, signature, signing.enrolment_proof(code=code, public_key=public_key)):
        raise Forbidden(N_("The key does not sign for itself."))
    return EnrolRequest(
        code=code,
        public_key=public_key,
        name=bounds.text(raw.get("name"), 80),
        hostname=bounds.text(raw.get("hostname"), 80),
        os=bounds.text(raw.get("os"), 80),
        version=bounds.text(raw.get("version"), 40),
    )


def _bytes(value: object, length: int, field: str) -> bytes:
    try:
        raw = base64.b64decode(value, validate=True) if isinstance(value, str) and len(value) < 200 else b""
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != length:
        raise Invalid(N_("{field} is missing or has a wrong length."), field=field)
    return raw


def control_handler(link: AgentLink) -> ASGIRouteHandler:
    @asgi("/agent/control", opt=MACHINE, copy_scope=False)
    async def control(scope: Scope, receive: Receive, send: Send) -> None:
        """The one control connection of each agent (WebSocket; see docs/reference/protocol.md)."""
        if scope["type"] != ScopeType.WEBSOCKET:
            await not_a_websocket(send)
            return
        await control_socket(link)(scope, receive, send)

    return control


def control_socket(link: AgentLink) -> ASGIApp:
    """The same for the server that knows the address: not a frame more than it needs for weeks."""

    def control(scope: Scope, receive: Receive, send: Send) -> Coroutine[Any, Any, None]:
        return serve(Wire(receive, send, scope), link, wire.address(scope))

    return control


async def not_a_websocket(send: Send) -> None:
    """426 Upgrade Required (RFC 9110 §15.5.22)."""
    headers = [(b"upgrade", b"websocket"), (b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 426, "headers": headers})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def serve(wire_: Wire, link: AgentLink, peer: str) -> None:
    """An agent's control connection, from its handshake to its end."""
    connection = await _let_in(wire_, link, peer)
    if connection is None:
        return
    await _listen(connection, link)


async def attend(connection: AgentConnection, hello: messages.Hello, link: AgentLink) -> None:
    """Listen to an agent that lives in this process (``remote.ssh.agents``), as to any other."""
    try:
        await _arrive(connection, hello, link)
    except AppError as error:
        log.warning("machine %s: %s", connection.machine.id, error)
        return
    await _listen(connection, link)


async def _listen(connection: AgentConnection, link: AgentLink) -> None:
    try:
        while True:
            await link.received(connection, await connection.receive())
    except Closed:
        pass
    except WireError as error:
        await _complain(connection, error)
    except Refused as error:
        log.warning("machine %s: %s", connection.machine.id, error)
        await connection.wire.close(wire.TOO_FAST, str(error))
    except (AppError, DatabaseError) as error:
        log.warning("machine %s: %s", connection.machine.id, error)
        await connection.wire.close(wire.TRY_AGAIN, "retry after 5")
    finally:
        await link.left(connection)


async def _let_in(wire_: Wire, link: AgentLink, peer: str) -> AgentConnection | None:
    """Its handshake, when it is its turn; None for one that was turned away."""
    await wire_.accept()
    try:
        nonce, hello = await challenge(wire_, link.identity)
        async with link.door.passing():
            connection = await judge(wire_, link.identity, link.find, nonce, hello, purpose=signing.CONTROL)
            await _arrive(connection, hello, link)
            wire_.settle()
            return connection
    except Crowded as error:
        await wire_.close(wire.TRY_AGAIN, str(error))
    except Refused as error:
        await turn_away(wire_, str(error), peer)
    except (AppError, DatabaseError) as error:
        log.warning("an agent could not be let in: %s", error)
        await wire_.close(wire.TRY_AGAIN, "retry after 5")
    except Closed:
        pass
    return None


async def _arrive(connection: AgentConnection, hello: messages.Hello, link: AgentLink) -> None:
    capabilities = tuple(bounds.text(name, 40) for name in hello.capabilities)
    arrival = Arrival(id=connection.machine.id, version=bounds.text(hello.version, 40), capabilities=capabilities)
    try:
        await link.arrive(connection, arrival)
    except BaseException:
        await link.left(connection)
        raise


async def _complain(connection: AgentConnection, error: WireError) -> None:
    log.warning("machine %s: %s", connection.machine.id, error)
    with contextlib.suppress(Closed):
        await connection.send(messages.Problem(about=error.path[:120], reason=error.reason[:500]))
    await connection.wire.close(wire.PROTOCOL_ERROR, error.reason)
