"""What a machine is to the co-operative, and the pure rules about it."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

CODE_DIGITS = 8
CODE_LIFETIME = timedelta(minutes=15)
FAILURES_PER_ADDRESS = 10  # wrong codes in CODE_LIFETIME; 8 digits stay out of reach
FAILURES_EVERYWHERE = 500
PRESENCE = timedelta(seconds=60)  # a machine not heard of for this long is offline
WAIVER_LONGEST = timedelta(days=366)
EMPTY_RECORD = "0" * 64  # what an agent tells of a record without a line


class MachineState(StrEnum):
    """A pending machine is connected but may do nothing; a revoked one is turned away for good."""

    PENDING = "pending"
    APPROVED = "approved"
    REVOKED = "revoked"


class MachineKind(StrEnum):
    """``DEVICE``: no agent runs on it, the server reaches it over SSH (``remote.ssh``)."""

    AGENT = "agent"
    DEVICE = "device"


class Health(StrEnum):
    """One word for a list: the worst thing that is known."""

    PENDING = "pending"
    REVOKED = "revoked"
    OFFLINE = "offline"
    UNKNOWN = "unknown"
    DRIFT = "drift"
    SOUND = "sound"


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A client's machine. ``failing`` counts checks that fail and are not waived; ``environment`` is a code or None.

    ``public_key`` is its agent's, empty for a device.
    """

    id: int
    name: str
    client_id: int
    client_name: str
    site_id: int | None
    environment: str | None
    state: MachineState
    public_key: bytes
    hostname: str
    os: str
    agent_version: str
    capabilities: list[str]
    online: bool
    last_seen_at: datetime | None
    checked_at: datetime | None
    failing: int
    waived: int
    enrolled_at: datetime
    approved_at: datetime | None
    approved_by: int | None
    revoked_at: datetime | None
    kind: MachineKind = MachineKind.AGENT

    def __post_init__(self) -> None:  # rows come from PostgreSQL as text
        object.__setattr__(self, "state", MachineState(self.state))
        object.__setattr__(self, "kind", MachineKind(self.kind))

    @property
    def is_device(self) -> bool:
        return self.kind is MachineKind.DEVICE

    @property
    def url(self) -> str:
        return f"/machines/{self.id}"

    @property
    def health(self) -> Health:
        if self.state is not MachineState.APPROVED:
            return Health(self.state.value)
        if self.failing:
            return Health.DRIFT
        if not self.online and not self.is_device:
            return Health.OFFLINE
        return Health.SOUND if self.environment and self.checked_at else Health.UNKNOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """What the agent last told about its machine; hostile, bounded on arrival. ``policy`` is its consent policy."""

    facts: Mapping[str, Any]
    facts_at: datetime | None
    policy: Mapping[str, Any]
    audit_head: str | None = None
    audit_head_at: datetime | None = None


class RecordChange(StrEnum):
    """What was done to an agent's own record since it was told about."""

    CUT = "cut"
    REWRITTEN = "rewritten"


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownRecord:
    """The last line of an agent's own record that was told and believed; ``claimed``: told since, and not shown yet."""

    number: int
    head: str
    told_at: datetime
    claimed_number: int | None
    claimed_head: str | None
    claimed_at: datetime | None

    @property
    def claimed(self) -> tuple[int, str, datetime] | None:
        """Number, hash, when."""
        if self.claimed_number is None or self.claimed_head is None or self.claimed_at is None:
            return None
        return self.claimed_number, self.claimed_head, self.claimed_at


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenRecord:
    """Nobody has looked into it yet. ``whole_at``: when it was last known to be whole."""

    machine_id: int
    machine_name: str
    client_name: str
    kind: RecordChange
    whole_at: datetime
    noticed_at: datetime

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", RecordChange(self.kind))


def record_change(known: KnownRecord, shown: str, *, gone: bool) -> RecordChange | None:
    """What the line that the machine shows under the known number tells; None: all is well.

    ``shown`` is empty when there is none; ``gone``: so old that the machine does not keep its file any more.
    """
    if shown == known.head or (gone and not shown):
        return None
    return RecordChange.REWRITTEN if shown else RecordChange.CUT


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolmentCode:
    id: int
    client_id: int
    site_id: int | None
    environment: str | None
    created_by: int
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None
    machine_id: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A fresh code, shown once: it is stored hashed."""

    code: str
    expires_at: datetime
    command: str
    server: str

    @property
    def spoken(self) -> str:
        return f"{self.code[:4]} {self.code[4:]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckState:
    """The latest result of one check of the declared environment. ``waived_until`` is set while a waiver holds."""

    key: str
    label: str
    procedure_code: str | None
    environment: str
    version: int
    outcome: str
    observed: Mapping[str, Any]
    reason: str
    since: datetime
    checked_at: datetime
    waiver_id: int | None
    justification: str | None
    waived_until: datetime | None

    @property
    def failing(self) -> bool:
        return self.outcome == "fail" and self.waiver_id is None

    @property
    def subject(self) -> str:
        """What is checked, by its name: ``cups``, ``/etc/hosts``."""
        return self.key.partition("/")[2].partition(":")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCheckState:
    """One result as it arrives, already bounded."""

    key: str
    position: int
    label: str
    procedure_code: str | None
    outcome: str
    observed: Mapping[str, Any]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineEvent:
    """A line of a machine's history. ``kind`` is a word of ``EVENT_KINDS``; ``detail`` is data, shown escaped."""

    id: int
    at: datetime
    kind: str
    member_id: int | None
    member_name: str | None
    subject: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineFilter:
    """What a list shows. ``after`` continues behind (name, id) of the last row; ``limit`` is 1 to 200."""

    text: str = ""
    client_id: int | None = None
    environment: str | None = None
    state: MachineState | None = None
    drifting: bool = False
    online: bool | None = None
    after: tuple[str, int] | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """An agent that proved its key, bounded."""

    id: int
    version: str
    capabilities: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolRequest:
    """What an agent sends with its code, bounded."""

    code: str
    public_key: bytes
    hostname: str
    os: str
    version: str
    name: str = ""


def new_code() -> str:
    return f"{secrets.randbelow(10**CODE_DIGITS):0{CODE_DIGITS}d}"


def spoken_code(raw: str) -> str:
    """The digits of a code as somebody typed it (spaces, dots and dashes do not count); empty when it cannot be one."""
    digits = "".join(character for character in raw[:40] if character not in " .-\u00a0")
    return digits if len(digits) == CODE_DIGITS and digits.isascii() and digits.isdecimal() else ""


def code_digest(code: str, secret: str) -> bytes:
    """Keyed, because eight digits would be found again from a plain hash in a second."""
    return hmac.new(secret.encode(), b"enrolment:" + code.encode(), hashlib.sha256).digest()


def now() -> datetime:
    return datetime.now(UTC)
