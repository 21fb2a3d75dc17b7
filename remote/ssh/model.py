"""Devices reached over SSH: what they are, the keys they show, and the pure rules about both."""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

_LABEL = "[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST = re.compile(rf"(?=.{{1,253}}$){_LABEL}(\.{_LABEL})*")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@\\$-]{0,63}")
REASON = (10, 500)  # characters of why a device shows another key


class DeviceKind(StrEnum):
    SERVER = "server"
    NAS = "nas"
    SWITCH = "switch"
    ROUTER = "router"


class CredentialKind(StrEnum):
    """``MADE``: a key pair the server made, whose private half nobody ever saw."""

    MADE = "made"
    KEY = "key"
    PASSWORD = "password"  # noqa: S105 - a kind


class HostKeyState(StrEnum):
    """seen → trusted (first use) or proposed → trusted (a change); a trusted one is replaced by the next."""

    SEEN = "seen"
    PROPOSED = "proposed"
    TRUSTED = "trusted"
    REPLACED = "replaced"
    REJECTED = "rejected"


class How(StrEnum):
    """How the client agreed, where no agent could ask."""

    PHONE = "phone"
    ON_SITE = "on_site"
    WRITTEN = "written"
    CONTRACT = "contract"


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """``via_machine_id``: reached through the tunnel of that machine's agent; ``trouble``: why it did not answer last.

    ``name`` and ``client_id`` are its machine's.
    """

    machine_id: int
    name: str
    client_id: int
    client_name: str
    kind: DeviceKind
    host: str
    port: int
    username: str
    via_machine_id: int | None
    via_name: str | None
    credential_id: int | None
    notes: str
    answered_at: datetime | None
    trouble: str

    def __post_init__(self) -> None:  # rows come from PostgreSQL as text
        object.__setattr__(self, "kind", DeviceKind(self.kind))

    @property
    def address(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.username}@{host}" + (f":{self.port}" if self.port != 22 else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDevice:
    """What a member says of a device; checked by :func:`is_host` and :func:`is_username`."""

    name: str
    kind: DeviceKind
    host: str
    port: int
    username: str
    via_machine_id: int | None = None
    credential_id: int | None = None
    notes: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostKey:
    """A key that a device showed. Members: who asked for the change, who decided."""

    id: int
    machine_id: int
    algorithm: str
    public_key: bytes
    state: HostKeyState
    seen_at: datetime
    proposed_by: int | None
    proposed_by_name: str | None
    proposed_at: datetime | None
    reason: str
    decided_by: int | None
    decided_by_name: str | None
    decided_at: datetime | None

    def __post_init__(self) -> None:
        object.__setattr__(self, "state", HostKeyState(self.state))

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.public_key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """What opens devices of one client; its secret is never here. ``devices`` counts those that use it."""

    id: int
    client_id: int
    kind: CredentialKind
    name: str
    public_key: str
    created_by_name: str
    created_at: datetime
    devices: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", CredentialKind(self.kind))


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """A member's record of who agreed, how, to what."""

    id: int
    machine_id: int
    ticket_id: int
    kind: str
    session_id: str | None
    digest: str
    values_digest: str
    how: How
    person: str
    member_id: int
    until: datetime

    def __post_init__(self) -> None:
        object.__setattr__(self, "how", How(self.how))


def fingerprint(public_key: bytes) -> str:
    """As ``ssh-keygen -l`` shows it: SHA-256, base64 without padding (OpenSSH 6.8)."""
    digest = base64.b64encode(hashlib.sha256(public_key).digest()).decode().rstrip("=")
    return f"SHA256:{digest}"


def is_host(text: str) -> bool:
    """A DNS name (RFC 1123 §2.1, underscores let through) or an IPv4 or IPv6 address, without brackets or zone."""
    if _HOST.fullmatch(text):
        return True
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text


def is_username(text: str) -> bool:
    """An account's name; no white space, no leading dash."""
    return _USER.fullmatch(text) is not None


def key_file(algorithm: str) -> str:
    """Where OpenSSH keeps the host key of this kind: the fingerprint is read from it at the device."""
    short = {"ssh-ed25519": "ed25519", "ssh-rsa": "rsa", "ssh-dss": "dsa"}.get(algorithm)
    return f"/etc/ssh/ssh_host_{short or ('ecdsa' if algorithm.startswith('ecdsa') else 'ed25519')}_key.pub"
