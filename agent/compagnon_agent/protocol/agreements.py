"""What a co-operative may propose to be granted without asking each time, and what came of it.

A proposal is words: it grants nothing. The person at the machine reads the whole of it on their own screen; a yes is
kept on that machine, and only there can it be taken back or changed.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar

from .envelope import Message
from .manifest import Risk
from .terms import ConsentSource
from .wire import (
    WireError,
    boolean,
    choice,
    dumps,
    identifier,
    instant,
    integer,
    optional,
    record,
    sequence,
    text,
    write_record,
)

CAPABILITIES = ("terminal", "files", "processes", "logs", "screen", "screen.control", "chat")
"""What can be agreed to beforehand. Not a tunnel: where it leads is read each time."""

VERSIONS = 100_000
DAYS = 400
WORDS = 400

_name = text(120)
_uuid = text(36, minimum=8)


class Attendance(StrEnum):
    """``ATTENDED``: each request is asked. ``PREAGREED``: what is listed is granted while somebody is signed in at the
    machine. ``UNATTENDED``: at any hour.
    """

    ATTENDED = "attended"
    PREAGREED = "preagreed"
    UNATTENDED = "unattended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """``hours``: how long one grant lasts at most; ``days``: until the whole ends. ``procedures``: up to which risk.

    ``words`` is the co-operative's own explanation.
    """

    attendance: Annotated[Attendance, choice(Attendance)]
    capabilities: Annotated[tuple[str, ...], sequence(text(40, minimum=1), len(CAPABILITIES))] = ()
    procedures: Annotated[Risk | None, optional(choice(Risk))] = None
    hours: Annotated[int, integer(1, 24)] = 2
    days: Annotated[int, integer(1, DAYS)] = 365
    words: Annotated[str, text(WORDS)] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """Version ``version`` of what is asked of ``client``."""

    client: Annotated[str, _name]
    version: Annotated[int, integer(1, VERSIONS)]
    terms: Annotated[Terms, record(Terms)]


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyProposal(Message):
    """Server: show this to the person at the machine. ``short_code``: compared by voice; ``wait``: seconds."""

    TYPE: ClassVar[str] = "policy_proposal"
    request_id: Annotated[str, _uuid]
    proposal: Annotated[Proposal, record(Proposal)]
    member_id: Annotated[int, identifier()]
    member_name: Annotated[str, _name]
    short_code: Annotated[str, text(12)]
    wait: Annotated[int, integer(5, 3600)] = 180
    cooperative: Annotated[str, _name] = ""
    locale: Annotated[str, text(10)] = "fr"


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyAnswer(Message):
    """Agent: yes or no; what holds from now on is in the ``policy`` message."""

    TYPE: ClassVar[str] = "policy_answer"
    request_id: Annotated[str, _uuid]
    accepted: Annotated[bool, boolean]
    source: Annotated[ConsentSource, choice(ConsentSource)]
    reason: Annotated[str, text(500)] = ""
    person: Annotated[str, _name] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """The agreement that holds on a machine. ``digest`` says which proposal it was, word for word."""

    version: Annotated[int, integer(1, VERSIONS)]
    digest: Annotated[str, text(64, minimum=64)]
    attendance: Annotated[Attendance, choice(Attendance)]
    since: Annotated[datetime, instant]
    until: Annotated[datetime, instant]
    person: Annotated[str, _name] = ""


def check(terms: Terms) -> None:
    """Raises :class:`WireError` for terms that say nothing, or something that nobody can agree to beforehand."""
    strange = [name for name in terms.capabilities if name not in CAPABILITIES]
    if strange or len(set(terms.capabilities)) != len(terms.capabilities):
        raise WireError("capabilities", f"must be some of {', '.join(CAPABILITIES)}")
    listed = bool(terms.capabilities) or terms.procedures is not None
    if listed == (terms.attendance is Attendance.ATTENDED):
        raise WireError("attendance", "lists what is granted, unless every request is asked")


def digest(proposal: Proposal) -> str:
    """SHA-256 (hexadecimal) of every word and number of it."""
    return hashlib.sha256(dumps(write_record(proposal)).encode()).hexdigest()
