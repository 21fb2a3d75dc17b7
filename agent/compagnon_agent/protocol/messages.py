"""Messages of the control connection: JSON text ``{"v": 1, "type": "heartbeat", …}`` of at most 256 KiB.

One dataclass per type; ``docs/reference/protocol.md`` tells who sends which and when. A type this version does not know
is read as :class:`Unknown`, to be logged and left alone; fields it does not know are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, ClassVar

from .agreements import Held, PolicyAnswer, PolicyProposal
from .checks import MAX_CHECKS, Check, CheckResult, check_codec
from .duties import (
    AuditHead,
    AuditLine,
    AuditQuery,
    Checked,
    CheckNow,
    CheckReport,
    Dropped,
    Finding,
    Kept,
    KeyChange,
    KeyChanged,
    Queued,
    Schedule,
    Successor,
)
from .envelope import Message, Unknown, decode_as, encode
from .greeting import Challenge, Hello, Pending, Revoked, Welcome
from .load import Load, WatchLoad
from .manifest import Manifest, manifest_codec
from .parameters import MAX_PARAMETERS, MAX_VALUE
from .releases import ReleaseOffer, ReleaseQuery, ReleaseReport
from .terms import (
    HEARTBEAT,
    MAX_AGE,
    MAX_MESSAGE,
    OUTPUT_LIMIT,
    SILENCE,
    VERSION,
    ConsentKind,
    ConsentSource,
    EndReason,
    Phase,
    StepState,
)
from .waking import Wake, WakeAnswer
from .watch import WatchLink, WatchProblem, WatchRequest
from .wire import (
    JSON,
    boolean,
    choice,
    identifier,
    instant,
    integer,
    json_object,
    optional,
    record,
    sequence,
    string_map,
    text,
)

__all__ = [
    "HEARTBEAT", "MAX_MESSAGE", "OUTPUT_LIMIT", "SILENCE", "TYPES", "VERSION", "AuditHead", "AuditLine", "AuditQuery",
    "Cancel", "Challenge", "CheckNow", "CheckReport", "CheckRequest", "CheckResults", "Checked", "ConsentAnswer",
    "ConsentKind", "ConsentRequest", "ConsentSource", "ConsentWithdrawn", "Dropped", "EndReason", "Execute", "Facts",
    "FactsRequest", "Finding", "Heartbeat", "Hello", "Kept", "KeyChange", "KeyChanged", "Load", "Message",
    "OpenSession", "Pending", "Phase", "Policy", "PolicyAnswer", "PolicyProposal", "Problem", "Queued",
    "ReleaseOffer", "ReleaseQuery", "ReleaseReport", "Revoked", "Schedule", "SessionEnded", "SessionRefused",
    "StepAck", "StepResult", "StepState", "Successor", "Unknown", "Wake", "WakeAnswer", "WatchLink", "WatchLoad",
    "WatchProblem", "WatchRequest", "Welcome", "decode", "encode",
]  # fmt: skip

_name = text(120)
_reason = text(500)
_uuid = text(36, minimum=8)
_session = text(32, minimum=32)
_target = text(255)
_values = string_map(text(40, minimum=1), text(MAX_VALUE), MAX_PARAMETERS)


# --- life, facts, policy -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat(Message):
    """Agent, every :data:`HEARTBEAT` seconds, and the server's answer: any message counts as a sign of life.

    On the wire it is an empty text message: two bytes from the server, six from the agent.
    """

    TYPE: ClassVar[str] = "heartbeat"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts(Message):
    """Agent: what the machine is. Keys in ``docs/reference/protocol.md``; every one may be missing."""

    TYPE: ClassVar[str] = "facts"
    collected: Annotated[datetime, instant]
    facts: Annotated[Mapping[str, JSON], json_object(48 * 1024)]


@dataclass(frozen=True, slots=True, kw_only=True)
class FactsRequest(Message):
    """Server: collect the facts now."""

    TYPE: ClassVar[str] = "facts_request"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy(Message):
    """Agent: what it grants without asking, as its own policy file says; shown on the machine's page.

    ``sheet`` is the consent sheet: resources whose read-only checks need no question. ``source`` is the file as it is;
    ``agreement`` what was agreed to beforehand on the machine's screen.
    """

    TYPE: ClassVar[str] = "policy"
    mode: Annotated[str, text(40)]
    note: Annotated[str, _reason] = ""
    automatic: Annotated[tuple[str, ...], sequence(text(200), 50)] = ()
    sheet: Annotated[tuple[str, ...], sequence(text(40), 40)] = ()
    source: Annotated[str, text(8 * 1024)] = ""
    agreement: Annotated[Held | None, optional(record(Held))] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem(Message):
    """Both: a message was not understood. ``about`` is its type or id."""

    TYPE: ClassVar[str] = "problem"
    about: Annotated[str, _name]
    reason: Annotated[str, _reason]


# --- checks --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRequest(Message):
    """Server: evaluate these checks, in order. ``timeout`` in seconds for all of them.

    ``command`` checks are answered with outcome ``error``: they run only in a consented step (:class:`Execute`).
    """

    TYPE: ClassVar[str] = "check_request"
    request_id: Annotated[str, _uuid]
    checks: Annotated[tuple[Check, ...], sequence(check_codec, MAX_CHECKS)]
    parameters: Annotated[Mapping[str, str], _values]
    timeout: Annotated[int, integer(1, 600)] = 60
    ticket_id: Annotated[int | None, optional(identifier())] = None
    member_id: Annotated[int | None, optional(identifier())] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResults(Message):
    """Agent: one result for each check, in the order asked."""

    TYPE: ClassVar[str] = "check_results"
    request_id: Annotated[str, _uuid]
    results: Annotated[tuple[CheckResult, ...], sequence(record(CheckResult), MAX_CHECKS)]


# --- consent -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentRequest(Message):
    """Server: ask the person at the machine. ``seconds``: for how long; ``short_code``: compared by voice.

    ``manifest`` for kind PROCEDURE; ``session_id`` and ``capability`` for kind SESSION, with the ``target`` (host:port)
    that a tunnel leads to. ``wait``: seconds until the question is withdrawn by itself.
    """

    TYPE: ClassVar[str] = "consent_request"
    request_id: Annotated[str, _uuid]
    kind: Annotated[ConsentKind, choice(ConsentKind)]
    ticket_id: Annotated[int, identifier()]
    ticket_title: Annotated[str, text(200)]
    member_id: Annotated[int, identifier()]
    member_name: Annotated[str, _name]
    reason: Annotated[str, _reason]
    short_code: Annotated[str, text(12)]
    seconds: Annotated[int, integer(60, 86_400)] = 3600
    wait: Annotated[int, integer(5, 3600)] = 180
    cooperative: Annotated[str, _name] = ""
    locale: Annotated[str, text(10)] = "fr"
    manifest: Annotated[Manifest | None, optional(manifest_codec)] = None
    parameters: Annotated[Mapping[str, str] | None, optional(_values)] = None
    session_id: Annotated[str | None, optional(_session)] = None
    capability: Annotated[str | None, optional(text(40, minimum=1))] = None
    target: Annotated[str, _target] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentAnswer(Message):
    """Agent: yes until ``until``, or no and why. ``person``: the account that is logged in at the machine, if known.

    ``until`` is by the machine's clock, which may be wrong; ``seconds`` says the same without a clock.
    """

    TYPE: ClassVar[str] = "consent_answer"
    request_id: Annotated[str, _uuid]
    granted: Annotated[bool, boolean]
    source: Annotated[ConsentSource, choice(ConsentSource)]
    reason: Annotated[str, _reason] = ""
    until: Annotated[datetime | None, optional(instant)] = None
    person: Annotated[str, _name] = ""
    seconds: Annotated[int | None, optional(integer(0, 86_400))] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentWithdrawn(Message):
    """Agent: a grant was taken back at the machine. All grants when neither a session nor a digest is named."""

    TYPE: ClassVar[str] = "consent_withdrawn"
    reason: Annotated[str, _reason] = ""
    ticket_id: Annotated[int | None, optional(identifier())] = None
    session_id: Annotated[str | None, optional(_session)] = None
    digest: Annotated[str | None, optional(text(64, minimum=64))] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel(Message):
    """Server: never mind. ``id`` is a ``request_id`` (close the question) or an ``attempt_id`` (kill the step)."""

    TYPE: ClassVar[str] = "cancel"
    id: Annotated[str, _uuid]


# --- steps ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Execute(Message):
    """Server: one phase of one step. The agent builds what it runs from the manifest, under the grant for its digest.

    The same ``attempt_id`` again never runs again: the journalled result is sent again.
    """

    TYPE: ClassVar[str] = "execute"
    attempt_id: Annotated[str, _uuid]
    run_id: Annotated[int, identifier()]
    ticket_id: Annotated[int, identifier()]
    member_id: Annotated[int, identifier()]
    member_name: Annotated[str, _name]
    manifest: Annotated[Manifest, manifest_codec]
    step_id: Annotated[str, text(60, minimum=1)]
    parameters: Annotated[Mapping[str, str], _values]
    phase: Annotated[Phase, choice(Phase)]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult(Message):
    """Agent: how the attempt ended; sent again after each reconnection until :class:`StepAck` comes.

    ``age``: seconds since ``ended`` when it is sent, because the machine's clock may be wrong.
    With state REFUSED and ``needs_consent`` nothing was journalled: ask for consent, then send the same attempt again.
    """

    TYPE: ClassVar[str] = "step_result"
    attempt_id: Annotated[str, _uuid]
    state: Annotated[StepState, choice(StepState)]
    started: Annotated[datetime, instant]
    ended: Annotated[datetime, instant]
    reason: Annotated[str, _reason] = ""
    needs_consent: Annotated[bool, boolean] = False
    output: Annotated[str, text(OUTPUT_LIMIT)] = ""
    exit_code: Annotated[int | None, optional(integer(-(2**31), 2**32))] = None
    checks: Annotated[tuple[CheckResult, ...], sequence(record(CheckResult), MAX_CHECKS)] = ()
    age: Annotated[int | None, optional(integer(0, MAX_AGE))] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepAck(Message):
    """Server: the result is stored; the agent may stop sending it."""

    TYPE: ClassVar[str] = "step_ack"
    attempt_id: Annotated[str, _uuid]


# --- sessions ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSession(Message):
    """Server: dial ``…/agent/sessions/{session_id}`` and open the capability there. Needs a grant.

    ``watch``: a :class:`.watch.WatchRequest` for it is answered with a link.
    """

    TYPE: ClassVar[str] = "open_session"
    session_id: Annotated[str, _session]
    ticket_id: Annotated[int, identifier()]
    member_id: Annotated[int, identifier()]
    member_name: Annotated[str, _name]
    reason: Annotated[str, _reason]
    capability: Annotated[str, text(40, minimum=1)] = "terminal"
    target: Annotated[str, _target] = ""
    columns: Annotated[int, integer(2, 1000)] = 80
    rows: Annotated[int, integer(1, 1000)] = 24
    watch: Annotated[bool, boolean] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRefused(Message):
    """Agent: it does not open, and why. ``needs_consent``: a :class:`ConsentRequest` may change that."""

    TYPE: ClassVar[str] = "session_refused"
    session_id: Annotated[str, _session]
    reason: Annotated[str, _reason]
    needs_consent: Annotated[bool, boolean] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEnded(Message):
    """Both: the session is over. From the server, the agent closes it; from the agent, it is already closed."""

    TYPE: ClassVar[str] = "session_ended"
    session_id: Annotated[str, _session]
    reason: Annotated[EndReason, choice(EndReason)]
    exit_code: Annotated[int | None, optional(integer(-(2**31), 2**32))] = None


_ALL: tuple[type[Message], ...] = (
    Challenge, Hello, Welcome, Pending, Revoked, Heartbeat, Facts, FactsRequest, Policy, Problem, CheckRequest,
    CheckResults, ConsentRequest, ConsentAnswer, ConsentWithdrawn, Cancel, Execute, StepResult, StepAck, OpenSession,
    SessionRefused, SessionEnded, ReleaseQuery, ReleaseOffer, ReleaseReport, Queued, Kept, Dropped, AuditHead,
    Schedule, CheckNow, CheckReport, Checked, Successor, KeyChange, KeyChanged,
    PolicyProposal, PolicyAnswer, WatchLoad, Load, Wake, WakeAnswer, AuditQuery, AuditLine, WatchRequest, WatchLink,
)  # fmt: skip

TYPES: Mapping[str, type[Message]] = {cls.TYPE: cls for cls in _ALL}


def decode(source: str | bytes) -> Message:
    """The message in ``source``; :class:`WireError` for anything malformed, :class:`Unknown` for an unknown type."""
    return decode_as(source, TYPES)
