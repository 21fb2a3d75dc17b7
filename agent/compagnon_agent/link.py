"""Dialling the server, and the handshake that both connections begin with (``docs/reference/protocol.md``)."""

from __future__ import annotations

import asyncio
import os
import random
import re
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.uri import parse_uri

from . import __version__, reaching
from .connection import Connection
from .identity import KEY_FILE, Identity
from .protocol.messages import (
    MAX_MESSAGE,
    Challenge,
    Heartbeat,
    Hello,
    Message,
    Pending,
    Revoked,
    Welcome,
    decode,
    encode,
)
from .protocol.signing import NONCE_LENGTH, agent_proof, long_fingerprint, server_proof
from .protocol.wire import WireError
from .signer import Here, Signer
from .web import PROXY, direct

OPEN_TIMEOUT = 15.0
HANDSHAKE_TIMEOUT = 15.0
CLOSE_TIMEOUT = 2.0
PROTOCOL_ERROR = 4000
NOT_AUTHENTICATED = 4001
NOT_TRUSTED = 4003
SILENT = 4008
TRY_AGAIN = 1013


class Untrusted(Exception):
    """The server is not the one this machine was enrolled with; the text says what to do. ``shown``: its key."""

    def __init__(self, text: str, *, shown: bytes | None = None) -> None:
        super().__init__(text)
        self.shown = shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Handshake:
    """The nonces of one connection, and the key that the server showed: verdicts are signed over and by them."""

    identity: Identity
    purpose: str
    server_key: bytes
    server_nonce: bytes
    agent_nonce: bytes

    async def verify(self, verdict: Welcome | Pending | Revoked, signer: Signer) -> None:
        proof = server_proof(
            purpose=self.purpose,
            machine_id=self.identity.machine_id,
            server_nonce=self.server_nonce,
            agent_nonce=self.agent_nonce,
            verdict=verdict.TYPE,
        )
        if not await signer.verify(self.server_key, verdict.signature, proof):
            raise Untrusted("The server could not prove that it is the one this machine was enrolled with.")


@asynccontextmanager
async def dial(identity: Identity, path: str) -> AsyncIterator[Connection]:
    """A WebSocket to ``path``, through the proxy that ``COMPAGNON_AGENT_PROXY`` or the usual variables name, if any."""
    socket = await _opened(identity.websocket(path))
    try:
        yield socket
    finally:
        await _hang_up(socket)


async def _hang_up(socket: Connection) -> None:
    """In order, if the other side hears it: over a dead link whose buffers are full even ``close`` waits for ever."""
    try:
        async with asyncio.timeout(CLOSE_TIMEOUT):
            await socket.close()
    except TimeoutError:
        socket.transport.abort()


async def _opened(address: str) -> Connection:
    uri = parse_uri(address)
    if direct(uri.host, uri.port):
        async with asyncio.timeout(OPEN_TIMEOUT):
            reached = await reaching.reached(uri.host, uri.port)
        try:
            return await _connect(address, sock=reached, proxy=None)
        except ValueError:
            pass  # a redirection, which is followed only on a connection of its own
    return await _connect(address, proxy=os.environ.get(PROXY) or True)


async def _connect(address: str, **how: Any) -> Connection:  # noqa: ANN401 - the arguments of ``connect``
    connection = await connect(
        address,
        create_connection=Connection,
        max_size=MAX_MESSAGE,
        max_queue=16,
        write_limit=64 * 1024,
        compression=None,
        ping_interval=None,
        open_timeout=OPEN_TIMEOUT,
        close_timeout=CLOSE_TIMEOUT,
        user_agent_header=f"compagnon-agent/{__version__}",
        **how,
    )
    return cast("Connection", connection)


async def shake_hands(
    socket: Connection,
    identity: Identity,
    purpose: str,
    capabilities: Sequence[str],
    *,
    schedule: str = "",
    signer: Signer | None = None,
    key_file: str = KEY_FILE,
) -> tuple[Handshake, Welcome | Pending | Revoked]:
    """Both sides prove who they are. :class:`Untrusted` when the server cannot; ``WireError`` for nonsense."""
    signer = signer or Here(identity.folder)
    async with asyncio.timeout(HANDSHAKE_TIMEOUT):
        challenge = await receive(socket)
        if not isinstance(challenge, Challenge):
            raise WireError("", "the handshake must begin with a challenge")
        if not identity.knows(challenge.server_key):
            await socket.close(NOT_TRUSTED, "not the server this machine was enrolled with")
            raise Untrusted(_stranger(challenge.server_key), shown=challenge.server_key)
        handshake = Handshake(
            identity=identity,
            purpose=purpose,
            server_key=challenge.server_key,
            server_nonce=challenge.nonce,
            agent_nonce=secrets.token_bytes(NONCE_LENGTH),
        )
        signature = await signer.sign(key_file, _proof(handshake))
        await socket.send(encode(_hello(handshake, signature, capabilities, schedule)))
        verdict = await receive(socket)
    if not isinstance(verdict, Welcome | Pending | Revoked):
        raise WireError("", "the handshake must end with a verdict")
    try:
        await handshake.verify(verdict, signer)
    except Untrusted:
        await socket.close(NOT_TRUSTED, "no proof of the server's identity")
        raise
    return handshake, verdict


def _stranger(shown: bytes) -> str:
    return (
        "The server's identity key is not the one this machine was enrolled with: it shows "
        f"{long_fingerprint(shown)}. If the co-operative has a new key, a technician reads these digits out to you: "
        "then run 'compagnon-agent trust-server' with them. Otherwise somebody may be in between."
    )


def _proof(handshake: Handshake) -> bytes:
    return agent_proof(
        purpose=handshake.purpose,
        machine_id=handshake.identity.machine_id,
        server_nonce=handshake.server_nonce,
        agent_nonce=handshake.agent_nonce,
        server_key=handshake.server_key,
    )


def _hello(handshake: Handshake, signature: bytes, capabilities: Sequence[str], schedule: str) -> Hello:
    return Hello(
        machine_id=handshake.identity.machine_id,
        nonce=handshake.agent_nonce,
        signature=signature,
        version=__version__,
        capabilities=tuple(capabilities),
        schedule=schedule,
    )


async def receive(socket: Connection) -> Message:
    data = await socket.recv()
    if isinstance(data, bytes):
        raise WireError("", "must be text")
    return decode(data) if data else Heartbeat()


def why_closed(fault: BaseException) -> str:
    """One line for the log and for ``status``."""
    if isinstance(fault, ConnectionClosed):
        close = fault.rcvd
        return f"the server closed the connection ({close.code} {close.reason})" if close else "the connection was lost"
    return f"{type(fault).__name__}: {fault}"[:300]


def refused(fault: BaseException) -> bool:
    """Whether the server does not know the key that the handshake used."""
    close = fault.rcvd if isinstance(fault, ConnectionClosed) else None
    return close is not None and close.code == NOT_AUTHENTICATED


def retry_after(fault: BaseException) -> float:
    """Seconds that the server asks for: it has too many agents at its door. 0 when it says nothing."""
    close = fault.rcvd if isinstance(fault, ConnectionClosed) else None
    found = re.fullmatch(r"retry after ([0-9]{1,3})", close.reason) if close and close.code == TRY_AGAIN else None
    return float(found[1]) if found else 0.0


class Backoff:
    """Full jitter: a random pause between 0 and min(cap, base · 2ⁿ) seconds."""

    def __init__(self, base: float, cap: float) -> None:
        self._base = base
        self._cap = cap
        self._failures = 0

    def reset(self) -> None:
        self._failures = 0

    def pause(self, asked: float = 0.0) -> float:
        """``asked``: what the server asked for; all that it asked come again within as long once more."""
        if asked:
            return asked * random.uniform(1, 2)  # noqa: S311 - spreading load, not a secret
        ceiling = min(self._cap, self._base * 2 ** min(self._failures, 20))
        self._failures += 1
        return random.uniform(0, ceiling)  # noqa: S311 - spreading load, not a secret
