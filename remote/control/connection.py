"""One agent's connection: the handshake, and an object as small as can be for each of ten thousand."""

from __future__ import annotations

import asyncio
import logging
import secrets
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from compagnon_agent.protocol import messages, signing
from compagnon_agent.protocol.wire import WireError
from remote import wire
from remote.control.identity import Identity
from remote.machines.model import Machine, MachineState
from remote.wire import Closed, Wire

log = logging.getLogger(__name__)
HANDSHAKE_SECONDS = 10.0
HEARTBEAT = ""  # an empty text message, both ways
BURST = 120.0  # messages an agent may send at once
RATE = 5.0  # messages a second it may send for ever
BYTES_BURST = 4 * 1024 * 1024.0
BYTES_RATE = 128 * 1024.0


class Refused(Exception):
    """The other side is not who it says, or speaks nonsense. The reason is for the log, not for the other side."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What the server's later verdicts on this connection are signed over."""

    purpose: str
    machine_id: int
    server_nonce: bytes
    agent_nonce: bytes

    def sign(self, identity: Identity, verdict: str) -> bytes:
        return identity.sign(
            signing.server_proof(
                purpose=self.purpose,
                machine_id=self.machine_id,
                server_nonce=self.server_nonce,
                agent_nonce=self.agent_nonce,
                verdict=verdict,
            )
        )


class AgentConnection:
    """An agent that proved its key. ``heard`` is monotonic time; the budgets bound what it may send."""

    __slots__ = ("_bytes", "_messages", "_refilled", "heard", "machine", "proof", "schedule", "wire")

    def __init__(self, wire_: Wire, machine: Machine, proof: Proof) -> None:
        self.wire = wire_
        self.machine = machine
        self.proof = proof
        self.schedule = ""  # the digest of the schedule of checks that the agent has
        self.heard = self._refilled = time.monotonic()
        self._messages = BURST
        self._bytes = BYTES_BURST

    async def send(self, message: messages.Message) -> None:
        """Raises Closed, WireError (too long)."""
        await self.wire.send(messages.encode(message))

    async def beat(self) -> None:
        """The shortest sign of life. Raises Closed."""
        await self.wire.send(HEARTBEAT)

    async def receive(self) -> messages.Message:
        """The next message. Raises Closed; WireError for nonsense, Refused for too much of it."""
        raw = await self.wire.receive()
        self.heard = time.monotonic()
        self._spend(len(raw))
        if isinstance(raw, bytes):
            raise WireError("", "must be text")
        return messages.Heartbeat() if raw == HEARTBEAT else messages.decode(raw)

    def _spend(self, size: int) -> None:
        passed, self._refilled = self.heard - self._refilled, self.heard
        self._messages = min(BURST, self._messages + passed * RATE) - 1
        self._bytes = min(BYTES_BURST, self._bytes + passed * BYTES_RATE) - size
        if self._messages < 0 or self._bytes < 0:
            raise Refused("sends too much")


Find = Callable[[int], Awaitable[Machine | None]]


async def greet(wire_: Wire, identity: Identity, find: Find, *, purpose: str) -> tuple[AgentConnection, messages.Hello]:
    """Challenge the agent and check its answer (``docs/reference/protocol.md``, handshake).

    Raises Refused: no such machine, a wrong signature, nonsense or silence. A revoked machine is told so, signed.
    """
    nonce, hello = await challenge(wire_, identity)
    return await judge(wire_, identity, find, nonce, hello, purpose=purpose), hello


async def challenge(wire_: Wire, identity: Identity) -> tuple[bytes, messages.Hello]:
    """A fresh nonce, and what the agent answers to it. Raises Refused."""
    nonce = secrets.token_bytes(signing.NONCE_LENGTH)
    await wire_.send(messages.encode(messages.Challenge(nonce=nonce, server_key=identity.public)))
    try:
        async with asyncio.timeout(HANDSHAKE_SECONDS):
            hello = messages.decode(await wire_.receive())
    except TimeoutError:
        raise Refused("no hello in time") from None
    except WireError as error:
        raise Refused(f"hello: {error}") from None
    if not isinstance(hello, messages.Hello):
        raise Refused("the first message is not a hello")
    return nonce, hello


async def judge(
    wire_: Wire, identity: Identity, find: Find, nonce: bytes, hello: messages.Hello, *, purpose: str
) -> AgentConnection:
    """Whether the answer is signed by the machine's key. Raises Refused."""
    machine = await find(hello.machine_id)
    signed = signing.agent_proof(
        purpose=purpose,
        machine_id=hello.machine_id,
        server_nonce=nonce,
        agent_nonce=hello.nonce,
        server_key=identity.public,
    )
    if machine is None or not is_signed(machine.public_key, hello.signature, signed):
        raise Refused(f"machine {hello.machine_id}: not signed by its key")
    proof = Proof(purpose, machine.id, nonce, hello.nonce)
    if machine.state is MachineState.REVOKED:
        await wire_.send(messages.encode(messages.Revoked(signature=proof.sign(identity, "revoked"))))
        raise Refused(f"machine {machine.id} is revoked")
    connection = AgentConnection(wire_, machine, proof)
    connection.schedule = sys.intern(hello.schedule)  # a few environments, many machines
    return connection


def is_signed(public_key: bytes, signature: bytes, data: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, data)
    except (InvalidSignature, ValueError):
        return False
    return True


async def turn_away(wire_: Wire, reason: str, peer: str) -> None:
    log.warning("agent from %s turned away: %s", peer, reason)
    await wire_.close(wire.NOT_AUTHENTICATED, "not authenticated")


__all__ = ["AgentConnection", "Closed", "Proof", "Refused", "greet", "is_signed", "turn_away"]
