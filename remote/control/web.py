"""Where agents knock: enrolment over HTTP, the control connection over a WebSocket."""

from __future__ import annotations

import base64
import binascii
import contextlib
import logging
import time
from collections.abc import Mapping
from typing import Any

from litestar import Request, asgi, post
from litestar.enums import ScopeType
from litestar.exceptions import ClientException, SerializationException
from litestar.handlers import ASGIRouteHandler, HTTPRouteHandler
from litestar.response import Response
from litestar.types import Receive, Scope, Send

from compagnon.errors import AppError, Forbidden, Invalid
from compagnon.i18n import N_
from compagnon_agent.protocol import messages, signing
from compagnon_agent.protocol.wire import WireError
from remote import wire
from remote.control.connection import AgentConnection, Refused, greet, is_signed, turn_away
from remote.control.link import AgentLink
from remote.machines import bounds
from remote.machines.model import EnrolRequest, MachineState
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
        peer = wire.address(scope)
        await serve(Wire(receive, send, scope), link, peer)

    return control


async def not_a_websocket(send: Send) -> None:
    """426 Upgrade Required (RFC 9110 §15.5.22)."""
    headers = [(b"upgrade", b"websocket"), (b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 426, "headers": headers})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def serve(wire_: Wire, link: AgentLink, peer: str) -> None:
    """An agent's control connection, from its handshake to its end."""
    await wire_.accept()
    try:
        connection, hello = await greet(wire_, link.identity, link.machines, purpose=signing.CONTROL)
    except Refused as error:
        await turn_away(wire_, str(error), peer)
        return
    except Closed:
        return
    await attend(connection, hello, link)


async def attend(connection: AgentConnection, hello: messages.Hello, link: AgentLink) -> None:
    """Listen to an agent that proved who it is (or that lives in this process: ``remote.ssh.agents``)."""
    machine_id = connection.machine.id
    replaced = link.add(connection)
    try:
        if replaced is not None:
            replaced.wire.dismiss(wire.REPLACED, "replaced")
        await _arrive(connection, hello, link)
        while True:
            await link.received(connection, await connection.receive())
    except Closed:
        pass
    except WireError as error:
        await _complain(connection, error)
    except Refused as error:
        log.warning("machine %s: %s", machine_id, error)
        await connection.wire.close(wire.TOO_FAST, str(error))
    except AppError as error:
        log.warning("machine %s: %s", machine_id, error)
        await connection.wire.close(wire.TRY_AGAIN, "try again")
    finally:
        if link.remove(connection):
            with contextlib.suppress(AppError):
                await link.machines.disconnected(connection.machine)


async def _arrive(connection: AgentConnection, hello: messages.Hello, link: AgentLink) -> None:
    capabilities = [bounds.text(name, 40) for name in hello.capabilities]
    version = bounds.text(hello.version, 40)
    machine_id = connection.machine.id
    connection.machine = await link.machines.connected(machine_id, version=version, capabilities=capabilities)
    connection.heard = time.monotonic()
    if connection.machine.state is MachineState.APPROVED:
        await link.welcome(connection)
    else:
        await connection.send(messages.Pending(signature=connection.proof.sign(link.identity, "pending")))


async def _complain(connection: AgentConnection, error: WireError) -> None:
    log.warning("machine %s: %s", connection.machine.id, error)
    with contextlib.suppress(Closed):
        await connection.send(messages.Problem(about=error.path[:120], reason=error.reason[:500]))
    await connection.wire.close(wire.PROTOCOL_ERROR, error.reason)
