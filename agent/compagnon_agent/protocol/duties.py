"""What an agent does by itself and tells later: its queue, the scheduled checks, its keys.

A machine's clock may be wrong by years. What an agent tells of the past it tells by its age in seconds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

from .checks import OBSERVED_LIMIT, Check, Outcome, check_codec
from .envelope import Message
from .signing import KEY_LENGTH, SIGNATURE_LENGTH
from .terms import MAX_AGE
from .wire import (
    JSON,
    MAX_ID,
    boolean,
    choice,
    dumps,
    fixed_bytes,
    integer,
    json_object,
    optional,
    record,
    sequence,
    string_map,
    text,
)

MAX_SCHEDULED = 500
"""Checks of one schedule."""

_uuid = text(36, minimum=8)
_digest = text(64, minimum=64)
_key = fixed_bytes(KEY_LENGTH)
_signature = fixed_bytes(SIGNATURE_LENGTH)
_age = integer(0, MAX_AGE)


# --- the queue -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Queued(Message):
    """Agent: a message out of its queue, sent again after each reconnection until :class:`Kept` comes.

    ``queue`` names the queue, made with the agent's store; ``number`` counts up in it and goes out in that order.
    ``age``: how long ago it happened. ``message``: one of facts, policy, check_report, consent_withdrawn,
    session_ended and dropped, as it would go out by itself.
    """

    TYPE: ClassVar[str] = "queued"
    queue: Annotated[str, _uuid]
    number: Annotated[int, integer(1, MAX_ID)]
    age: Annotated[int, _age]
    message: Annotated[Mapping[str, JSON], json_object(200 * 1024)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept(Message):
    """Server: everything of this queue up to ``number`` is stored for good.

    A number higher than any that the agent gave out: its store was put back to an older state. It begins a new queue.
    """

    TYPE: ClassVar[str] = "kept"
    queue: Annotated[str, _uuid]
    number: Annotated[int, integer(0, MAX_ID)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped(Message):
    """Agent: so many messages of each type were dropped from the queue because it was full or they were too old."""

    TYPE: ClassVar[str] = "dropped"
    counts: Annotated[Mapping[str, int], string_map(text(40, minimum=1), integer(1, MAX_ID), 20)]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditHead(Message):
    """Agent: the hash of the last line of its own record, and that line's ``number`` (0: not told).

    Numbers only count up, and a line never changes: what was told once is in the record for ever.
    """

    TYPE: ClassVar[str] = "audit_head"
    head: Annotated[str, _digest]
    number: Annotated[int, integer(0, MAX_ID)] = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditQuery(Message):
    """Server: what is the line of that number in your record now? Asked when its end is not what was told before."""

    TYPE: ClassVar[str] = "audit_query"
    number: Annotated[int, integer(1, MAX_ID)]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditLine(Message):
    """Agent: the hash of that line; empty when there is none, ``gone`` when its file is not kept any more."""

    TYPE: ClassVar[str] = "audit_line"
    number: Annotated[int, integer(1, MAX_ID)]
    hash: Annotated[str, text(64)]
    gone: Annotated[bool, boolean] = False


# --- scheduled checks ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule(Message):
    """Server: evaluate these checks every ``period`` seconds, also while there is no connection.

    Replaces the schedule before it; without checks there is nothing to do any more.
    """

    TYPE: ClassVar[str] = "schedule"
    environment: Annotated[str, text(80)]
    version: Annotated[int, integer(0, 2**31)]
    period: Annotated[int, integer(30, 7 * 86_400)]
    checks: Annotated[tuple[Check, ...], sequence(check_codec, MAX_SCHEDULED)]


def schedule_digest(schedule: Schedule) -> str:
    """SHA-256 of all of it: whether an agent has the schedule that is in force."""
    checks: list[JSON] = [check_codec.write(check) for check in schedule.checks]
    content: list[JSON] = [schedule.environment, schedule.version, schedule.period, checks]
    return hashlib.sha256(dumps(content).encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckNow(Message):
    """Server: evaluate the schedule now and report all of it."""

    TYPE: ClassVar[str] = "check_now"
    request_id: Annotated[str, _uuid]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The result of the schedule's check number ``index``, counted from 0."""

    index: Annotated[int, integer(0, MAX_SCHEDULED - 1)]
    outcome: Annotated[Outcome, choice(Outcome)]
    observed: Annotated[Mapping[str, JSON], json_object(OBSERVED_LIMIT)]
    reason: Annotated[str, text(500)] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport(Message):
    """Agent: what has changed since the report before; ``full``: everything (the first time, daily, when asked)."""

    TYPE: ClassVar[str] = "check_report"
    schedule: Annotated[str, _digest]
    full: Annotated[bool, boolean]
    findings: Annotated[tuple[Finding, ...], sequence(record(Finding), MAX_SCHEDULED)]
    request_ids: Annotated[tuple[str, ...], sequence(_uuid, 20)] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked(Message):
    """Agent: the schedule was evaluated, and nothing has changed. Not queued: it only tells that it is looked at."""

    TYPE: ClassVar[str] = "checked"
    schedule: Annotated[str, _digest]


# --- keys ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Successor(Message):
    """Server: the identity key that will follow. Signed by the present one, over
    :func:`..signing.successor_proof`.

    The agent keeps both, and accepts the successor from its first use on; then it forgets the old one. None: there is
    no successor any more.
    """

    TYPE: ClassVar[str] = "successor"
    key: Annotated[bytes | None, optional(_key)]
    signature: Annotated[bytes, _signature]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyChange(Message):
    """Agent: its own new key. Both keys sign :func:`..signing.key_change_proof`."""

    TYPE: ClassVar[str] = "key_change"
    key: Annotated[bytes, _key]
    old_signature: Annotated[bytes, _signature]
    new_signature: Annotated[bytes, _signature]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyChanged(Message):
    """Server: from now on the machine is known by this key."""

    TYPE: ClassVar[str] = "key_changed"
    key: Annotated[bytes, _key]


__all__ = [
    "MAX_SCHEDULED", "AuditHead", "AuditLine", "AuditQuery", "CheckNow", "CheckReport", "Checked", "Dropped", "Finding",
    "Kept", "KeyChange", "KeyChanged", "Queued", "Schedule", "Successor", "schedule_digest",
]  # fmt: skip
