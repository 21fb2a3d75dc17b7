"""The bytes that the two sides sign with Ed25519. The signatures themselves are made outside: the protocol has no keys.

Every text begins with its own context and length-prefixes each part, so that no signature can be taken for another's.
"""

from __future__ import annotations

import hashlib
import re

NONCE_LENGTH = 32
KEY_LENGTH = 32
SIGNATURE_LENGTH = 64

CONTROL = "control"
"""Purpose of the handshake on the control connection."""


def session_purpose(session_id: str) -> str:
    """Purpose of the handshake on a session's own connection."""
    if not re.fullmatch(r"[0-9a-f]{32}", session_id):
        raise ValueError("a session id is 32 hexadecimal digits")
    return f"session:{session_id}"


def pack(context: str, *parts: bytes) -> bytes:
    """One unambiguous text: its context, then each part after its length (4 bytes)."""
    pieces = [context.encode() + b"\x00"]
    for part in parts:
        pieces.append(len(part).to_bytes(4, "big") + part)
    return b"".join(pieces)


def enrolment_proof(*, code: str, public_key: bytes) -> bytes:
    """Signed by the agent's new key: whoever sends the key also holds its secret half. ``code`` as it was sent."""
    return pack("compagnon enrolment 1", code.encode(), public_key)


def agent_proof(*, purpose: str, machine_id: int, server_nonce: bytes, agent_nonce: bytes, server_key: bytes) -> bytes:
    """Signed by the agent in ``hello``: it is machine ``machine_id``, and speaks to the server with this key."""
    number = machine_id.to_bytes(8, "big")
    return pack("compagnon agent 1", purpose.encode(), number, server_nonce, agent_nonce, server_key)


def server_proof(*, purpose: str, machine_id: int, server_nonce: bytes, agent_nonce: bytes, verdict: str) -> bytes:
    """Signed by the server in its verdict (``welcome``, ``pending`` or ``revoked``): it holds the pinned key."""
    number = machine_id.to_bytes(8, "big")
    return pack("compagnon server 1", purpose.encode(), number, server_nonce, agent_nonce, verdict.encode())


def long_fingerprint(public_key: bytes) -> str:
    """Twenty-four digits (80 bits), for a key that is compared without a code that ends soon."""
    number = int.from_bytes(hashlib.sha256(b"long" + public_key).digest()[:16], "big") % 10**24
    digits = f"{number:024d}"
    return " ".join(digits[start : start + 4] for start in range(0, 24, 4))


def successor_proof(*, present: bytes, successor: bytes | None) -> bytes:
    """Signed by the server's present identity key: this key follows it. None: no key follows any more."""
    return pack("compagnon successor 1", present, successor or b"")


def key_change_proof(*, machine_id: int, old: bytes, new: bytes, server_key: bytes) -> bytes:
    """Signed by both keys of the machine: it is known by the new one from now on."""
    return pack("compagnon key change 1", machine_id.to_bytes(8, "big"), old, new, server_key)


def fingerprint(public_key: bytes) -> str:
    """Twelve digits of a key to compare by voice: ``4711 0815 1234`` (40 bits of SHA-256, for a code of 15 minutes)."""
    number = int.from_bytes(hashlib.sha256(public_key).digest()[:8], "big") % 10**12
    digits = f"{number:012d}"
    return f"{digits[:4]} {digits[4:8]} {digits[8:]}"
