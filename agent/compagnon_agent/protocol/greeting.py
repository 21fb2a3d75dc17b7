"""The handshake that both connections begin with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from .envelope import Message
from .signing import KEY_LENGTH, NONCE_LENGTH, SIGNATURE_LENGTH
from .terms import VERSION
from .wire import fixed_bytes, identifier, integer, sequence, text

_nonce = fixed_bytes(NONCE_LENGTH)
_signature = fixed_bytes(SIGNATURE_LENGTH)


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge(Message):
    """Server, first: a fresh nonce, and the identity key that the agent compares with the one it pinned."""

    TYPE: ClassVar[str] = "challenge"
    nonce: Annotated[bytes, _nonce]
    server_key: Annotated[bytes, fixed_bytes(KEY_LENGTH)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello(Message):
    """Agent: who it is. ``signature`` over :func:`..signing.agent_proof`; ``protocol`` is its highest version.

    ``schedule``: the digest of the schedule of checks that it has (:func:`.duties.schedule_digest`), if any.
    """

    TYPE: ClassVar[str] = "hello"
    machine_id: Annotated[int, identifier()]
    nonce: Annotated[bytes, _nonce]
    signature: Annotated[bytes, _signature]
    version: Annotated[str, text(40)] = ""
    protocol: Annotated[int, integer(1, 1000)] = VERSION
    capabilities: Annotated[tuple[str, ...], sequence(text(40, minimum=1), 32)] = ()
    schedule: Annotated[str, text(64)] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Welcome(Message):
    """Server: the machine is approved. ``signature`` over :func:`..signing.server_proof` with verdict "welcome"."""

    TYPE: ClassVar[str] = "welcome"
    signature: Annotated[bytes, _signature]
    cooperative: Annotated[str, text(120)] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending(Message):
    """Server: a member has yet to approve. The connection stays open; ``welcome`` or ``revoked`` follows on it."""

    TYPE: ClassVar[str] = "pending"
    signature: Annotated[bytes, _signature]


@dataclass(frozen=True, slots=True, kw_only=True)
class Revoked(Message):
    """Server: the machine is no longer served. Signed, so that nobody else can end an agent's service."""

    TYPE: ClassVar[str] = "revoked"
    signature: Annotated[bytes, _signature]
    reason: Annotated[str, text(500)] = ""
