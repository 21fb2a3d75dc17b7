"""Remote sessions: states, participants and the pure rules about them."""

from __future__ import annotations

import ipaddress
import re
import secrets
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

RESUME_SECONDS = 300  # the agent keeps a shell this long without a connection
LOST_AFTER = RESUME_SECONDS + 30
GRANT_SECONDS = 4 * 3600  # how long the client is asked for
REASON = (3, 500)  # characters
COLUMNS = (20, 500)
ROWS = (5, 200)

_LABEL = "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
TARGET_HOST = re.compile(rf"(?=.{{1,240}}$){_LABEL}(\.{_LABEL})*")


class Capability(StrEnum):
    """What a session may do. ``TUNNEL`` leads to a ``target``, host:port of the client's network."""

    TERMINAL = "terminal"
    FILES = "files"
    PROCESSES = "processes"
    LOGS = "logs"
    SCREEN = "screen"
    CHAT = "chat"
    TUNNEL = "tunnel"


class SessionState(StrEnum):
    """Moves forward only: requested → consenting → open → ended, or to ended from anywhere."""

    REQUESTED = "requested"
    CONSENTING = "consenting"
    OPEN = "open"
    ENDED = "ended"


class EndReason(StrEnum):
    """Who or what ended a session. ``CLIENT``: Stop at the machine. ``LOST``: the agent stayed away too long.

    ``FULL``: the recording reached its largest size. ``RESTARTED``: the process that held a device's terminal ended.
    """

    MEMBER = "member"
    CLIENT = "client"
    TICKET = "ticket"
    REFUSED = "refused"
    NO_ANSWER = "no_answer"
    OFFLINE = "offline"
    EXIT = "exit"
    LOST = "lost"
    REVOKED = "revoked"
    FULL = "full"
    RESTARTED = "restarted"


class ParticipantRole(StrEnum):
    """``POINTER``: an observer who may point at things for all to see."""

    DRIVER = "driver"
    OBSERVER = "observer"
    POINTER = "pointer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """``short_code`` is compared by voice before the client says yes; ``driver_id`` holds the keyboard.

    ``end_detail`` is what the machine said about its end, in its own words.
    """

    id: str
    machine_id: int
    machine_name: str
    client_id: int
    ticket_id: int
    reason: str
    capability: Capability
    target: str
    state: SessionState
    short_code: str
    requested_by: int
    requested_by_name: str
    driver_id: int | None
    requested_at: datetime
    granted_until: datetime | None
    consent_by: str
    opened_at: datetime | None
    ended_at: datetime | None
    end_reason: EndReason | None
    recorded: bool
    end_detail: str = ""

    def __post_init__(self) -> None:  # rows come from PostgreSQL as text
        object.__setattr__(self, "capability", Capability(self.capability))
        object.__setattr__(self, "state", SessionState(self.state))
        if self.end_reason is not None:
            object.__setattr__(self, "end_reason", EndReason(self.end_reason))

    @property
    def url(self) -> str:
        return f"/sessions/{self.id}"

    @property
    def live(self) -> bool:
        return self.state is not SessionState.ENDED


@dataclass(frozen=True, slots=True, kw_only=True)
class Participant:
    """A member who joined at least once, or was invited (``came``). Presence now is the live room's to say."""

    session_id: str
    member_id: int
    name: str
    role: ParticipantRole
    invited_by: int | None
    joined_at: datetime
    left_at: datetime | None
    came: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """Somebody who could help here. ``why`` is ready to be read, in the reader's language."""

    member_id: int
    name: str
    available: bool
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """A live visit to which a member is invited; ``session_id`` is one of its sessions. ``here``: they have come."""

    session_id: str
    machine_name: str
    client_name: str
    ticket_id: int
    reason: str
    invited_by: str
    invited_at: datetime
    here: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchLink:
    """By it a client watches one session without signing in. The secret itself is shown once and not kept.

    ``created_by`` is None where it was asked for at the machine itself.
    """

    id: int
    session_id: str
    created_by: str | None
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None


def new_session_id() -> str:
    """128 random bits: the session's URL is what load balancers hash, and must not be guessed."""
    return secrets.token_hex(16)


def new_short_code() -> str:
    return f"{secrets.randbelow(10_000):04d}"


def is_target(text: str) -> bool:
    """``host:port``: a DNS name (RFC 1123 §2.1), an IPv4 address or an IPv6 address in brackets (RFC 3986 §3.2.2)."""
    host, _, port = text.rpartition(":")
    if not (port.isascii() and port.isdecimal() and len(port) <= 5 and 0 < int(port) <= 65_535):
        return False
    if host.startswith("[") and host.endswith("]"):
        return _is_ipv6(host[1:-1])
    return TARGET_HOST.fullmatch(host) is not None


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def bounded_size(columns: int, rows: int) -> tuple[int, int]:
    """A terminal size that every side can draw."""
    return min(max(columns, COLUMNS[0]), COLUMNS[1]), min(max(rows, ROWS[0]), ROWS[1])
