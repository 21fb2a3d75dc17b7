"""Dialling the server, and the handshake that both connections begin with (``docs/reference/protocol.md``)."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from . import __version__
from .identity import Identity
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
from .protocol.signing import NONCE_LENGTH, agent_proof, server_proof
from .protocol.wire import WireError

OPEN_TIMEOUT = 15.0
HANDSHAKE_TIMEOUT = 15.0
PROTOCOL_ERROR = 4000
NOT_TRUSTED = 4003
SILENT = 4008


class Untrusted(Exception):
    """The server is not the one this machine was enrolled with; the text says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Handshake:
    """The nonces of one connection: verdicts on it are signed over them."""

    identity: Identity
    purpose: str
    server_nonce: bytes
    agent_nonce: bytes

    def verify(self, verdict: Welcome | Pending | Revoked) -> None:
        proof = server_proof(
            purpose=self.purpose,
            machine_id=self.identity.machine_id,
            server_nonce=self.server_nonce,
            agent_nonce=self.agent_nonce,
            verdict=verdict.TYPE,
        )
        if not self.identity.trusts(verdict.signature, proof):
            raise Untrusted("The server could not prove that it is the one this machine was enrolled with.")


@asynccontextmanager
async def dial(identity: Identity, path: str) -> AsyncIterator[ClientConnection]:
    """A WebSocket to ``path``, through the proxy that the environment names, if any."""
    async with connect(
        identity.websocket(path),
        max_size=MAX_MESSAGE,
        max_queue=16,
        write_limit=64 * 1024,
        compression=None,
        ping_interval=None,
        open_timeout=OPEN_TIMEOUT,
        close_timeout=2,
        user_agent_header=f"compagnon-agent/{__version__}",
    ) as socket:
        yield socket


async def shake_hands(
    socket: ClientConnection, identity: Identity, purpose: str, capabilities: Sequence[str], *, schedule: str = ""
) -> tuple[Handshake, Welcome | Pending | Revoked]:
    """Both sides prove who they are. :class:`Untrusted` when the server cannot; ``WireError`` for nonsense."""
    async with asyncio.timeout(HANDSHAKE_TIMEOUT):
        challenge = await receive(socket)
        if not isinstance(challenge, Challenge):
            raise WireError("", "the handshake must begin with a challenge")
        if challenge.server_key != identity.server_key:
            await socket.close(NOT_TRUSTED, "not the server this machine was enrolled with")
            raise Untrusted(
                "The server's identity key is not the one this machine was enrolled with. If the co-operative has "
                "a new server, enrol this machine again; otherwise somebody may be in between."
            )
        handshake = Handshake(
            identity=identity,
            purpose=purpose,
            server_nonce=challenge.nonce,
            agent_nonce=secrets.token_bytes(NONCE_LENGTH),
        )
        await socket.send(encode(_hello(handshake, capabilities, schedule)))
        verdict = await receive(socket)
    if not isinstance(verdict, Welcome | Pending | Revoked):
        raise WireError("", "the handshake must end with a verdict")
    try:
        handshake.verify(verdict)
    except Untrusted:
        await socket.close(NOT_TRUSTED, "no proof of the server's identity")
        raise
    return handshake, verdict


def _hello(handshake: Handshake, capabilities: Sequence[str], schedule: str) -> Hello:
    identity = handshake.identity
    proof = agent_proof(
        purpose=handshake.purpose,
        machine_id=identity.machine_id,
        server_nonce=handshake.server_nonce,
        agent_nonce=handshake.agent_nonce,
        server_key=identity.server_key,
    )
    return Hello(
        machine_id=identity.machine_id,
        nonce=handshake.agent_nonce,
        signature=identity.sign(proof),
        version=__version__,
        capabilities=tuple(capabilities),
        schedule=schedule,
    )


async def receive(socket: ClientConnection) -> Message:
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


class Backoff:
    """Full jitter: a random pause between 0 and min(cap, base · 2ⁿ) seconds."""

    def __init__(self, base: float, cap: float) -> None:
        self._base = base
        self._cap = cap
        self._failures = 0

    def reset(self) -> None:
        self._failures = 0

    def pause(self) -> float:
        ceiling = min(self._cap, self._base * 2 ** min(self._failures, 20))
        self._failures += 1
        return random.uniform(0, ceiling)  # noqa: S311 - spreading load, not a secret
