"""The one way to execution: every request becomes a :class:`Decision` here, and nowhere else.

What the server says is never enough. A grant is made only on the machine's own side, by an answer in a dialog or
terminal, or by the machine's policy file; it is kept there, and it ends by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeAlias

from .looking import BLIND, Look, Sight, commands, look
from .policy import LocalPolicy, Mode, Subject
from .protocol.checks import Check, is_read_only
from .protocol.manifest import Manifest, Risk, RunOn, digest, values_digest
from .protocol.messages import ConsentKind, ConsentSource, Phase
from .protocol.releases import ReleaseManifest
from .protocol.waking import NotWoken, hardware_address

WAKES_A_MINUTE = 6
"""Requests to wake another machine that are granted in a minute."""

CANNOT_WRITE = "this machine cannot write down what is done, so nothing is done: its disk may be full"
"""The reason for a no where a yes could not be recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChecksRequest:
    """Evaluate checks outside any procedure. ``checks`` are bound."""

    checks: tuple[Check, ...]
    sight: Sight = BLIND


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRequest:
    """One phase of one step of a manifest, for a ticket. ``checks`` are the step's, bound to ``values`` (validated)."""

    ticket_id: int
    manifest: Manifest
    step_id: str
    phase: Phase
    checks: tuple[Check, ...]
    values: Mapping[str, str]
    sight: Sight = BLIND


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRequest:
    """One capability of one session, for a ticket; ``target`` is where a tunnel leads (host:port).

    ``method`` is which of its calls is to be carried out; a grant covers all of them.
    """

    ticket_id: int
    session_id: str
    capability: str
    target: str = ""
    method: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseRequest:
    """Change over to another version of the agent. ``against`` is what its manifest is refused for, or empty."""

    manifest: ReleaseManifest
    pinned: bool
    signed: bool
    against: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadRequest:
    """Tell how busy the machine is while a technician looks at its page: figures, no names, no texts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WakeRequest:
    """Send packets that wake ``machine``, whose cards are ``macs``, into networks that this machine is in.

    ``broadcasts`` are addresses of this machine's own interfaces, found here; ``lately``: requests that were granted in
    the last minute.
    """

    ticket_id: int
    member: str
    reason: str
    machine: str
    macs: tuple[str, ...]
    broadcasts: tuple[str, ...]
    lately: int


Request: TypeAlias = ChecksRequest | StepRequest | SessionRequest | ReleaseRequest | LoadRequest | WakeRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A yes, given here: to a digest of a ``procedure`` and its values, or to one session's ``capability``.

    ``member_id`` and ``member``: whose name was shown.
    """

    kind: ConsentKind
    ticket_id: int
    until: datetime
    source: ConsentSource
    digest: str = ""
    values: str = ""
    procedure: str = ""
    risk: Risk = Risk.HIGH
    session_id: str = ""
    capability: str = ""
    target: str = ""
    member_id: int = 0
    member: str = ""

    @property
    def subject(self) -> Subject:
        return Subject(
            kind=self.kind,
            procedure=self.procedure,
            risk=self.risk,
            capability=self.capability,
            digest=self.digest,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """``needs_consent``: a question to the person at the machine could turn this no into a yes.

    Of allowed checks those in ``withheld`` (by place, with the reason) must not be evaluated; ``asked`` are the digests
    of the questions about texts that this answers for the first time, to be remembered.
    """

    allowed: bool
    reason: str
    needs_consent: bool = False
    until: datetime | None = None
    withheld: Mapping[int, str] = field(default_factory=dict)
    asked: frozenset[str] = frozenset()


def authorise(request: Request, *, policy: LocalPolicy, grants: Iterable[Grant], now: datetime) -> Decision:
    """May this be done, now? Pure: the same arguments give the same answer."""
    if isinstance(request, ChecksRequest):
        return _checks(request, policy)
    if isinstance(request, ReleaseRequest):
        return _release(request, policy)
    if isinstance(request, LoadRequest):
        return _load(policy)
    if isinstance(request, WakeRequest):
        return _wake(request, policy)
    if isinstance(request, StepRequest) and _only_looks(request):
        decision = _granted(request, policy, grants, now)
        return decision if decision.allowed else _looked(request, policy)
    if isinstance(request, StepRequest) and not _is_for_agents(request):
        return Decision(allowed=False, reason="nothing in this step is for the agent to run")
    return _granted(request, policy, grants, now)


def _checks(request: ChecksRequest, policy: LocalPolicy) -> Decision:
    """Each check by itself; no when none is left."""
    seen = _look(request, policy)
    if request.checks and len(seen.withheld) == len(request.checks):
        return Decision(allowed=False, reason=seen.withheld[0], withheld=seen.withheld)
    reason = "read-only checks, listed in the consent sheet"
    return Decision(allowed=True, reason=reason, withheld=seen.withheld, asked=seen.asked)


def _load(policy: LocalPolicy) -> Decision:
    if not policy.load:
        return Decision(allowed=False, reason="the policy file says that the load is not told")
    return Decision(allowed=True, reason="figures of the load, listed in the consent sheet")


def _wake(request: WakeRequest, policy: LocalPolicy) -> Decision:
    """No consent: nothing here is read, changed or run. What goes out is one fixed packet, into this network only."""
    if not policy.wake:
        return Decision(allowed=False, reason=NotWoken.POLICY)
    if not request.macs or any(hardware_address(mac) != mac for mac in request.macs):
        return Decision(allowed=False, reason=NotWoken.ADDRESS)
    if not request.broadcasts:
        return Decision(allowed=False, reason=NotWoken.ELSEWHERE)
    if request.lately >= WAKES_A_MINUTE:
        return Decision(allowed=False, reason=NotWoken.OFTEN)
    return Decision(allowed=True, reason="a packet into its own network, listed in the consent sheet")


def _release(request: ReleaseRequest, policy: LocalPolicy) -> Decision:
    """The signature is the grant: no consent, and no server, stands for it."""
    if not policy.updates:
        return Decision(allowed=False, reason="the policy of this machine takes no new versions by themselves")
    if not request.pinned:
        return Decision(allowed=False, reason="no release key is pinned on this machine")
    if not request.signed:
        return Decision(allowed=False, reason="the release key that is pinned here did not sign this")
    return Decision(allowed=not request.against, reason=request.against or "signed by the release key")


def _looked(request: StepRequest, policy: LocalPolicy) -> Decision:
    """A step's checks together: what needs a consent is asked for once, for all of them."""
    seen = _look(request, policy)
    if seen.withheld:
        return Decision(allowed=False, reason=next(iter(seen.withheld.values())), needs_consent=True)
    return Decision(allowed=True, reason="read-only checks of a procedure", asked=seen.asked)


def _look(request: ChecksRequest | StepRequest, policy: LocalPolicy) -> Look:
    return commands(request.checks) if policy.mode is Mode.UNATTENDED_DEMO else look(request.checks, request.sight)


def _only_looks(request: StepRequest) -> bool:
    return request.phase is not Phase.EXECUTE and all(map(is_read_only, request.checks))


def _is_for_agents(request: StepRequest) -> bool:
    if request.phase is not Phase.EXECUTE:
        return True
    step = request.manifest.step(request.step_id)
    return step is not None and any(command.run_on is RunOn.AGENT for command in step.commands)


def _granted(
    request: StepRequest | SessionRequest, policy: LocalPolicy, grants: Iterable[Grant], now: datetime
) -> Decision:
    matching = [grant for grant in grants if _covers(grant, request)]
    valid = [grant for grant in matching if grant.until > now and _still_given(grant, policy)]
    if valid:
        best = max(valid, key=lambda grant: grant.until)
        return Decision(allowed=True, reason=f"granted by {best.source}", until=best.until)
    reason = "the consent has ended" if matching else "nobody at the machine has consented"
    return Decision(allowed=False, reason=reason, needs_consent=True)


def _covers(grant: Grant, request: StepRequest | SessionRequest) -> bool:
    if grant.ticket_id != request.ticket_id:
        return False
    if isinstance(request, StepRequest):
        shown = (digest(request.manifest), values_digest(request.values))
        return grant.kind is ConsentKind.PROCEDURE and (grant.digest, grant.values) == shown
    asked = (request.session_id, request.capability, request.target)
    same = (grant.session_id, grant.capability, grant.target) == asked
    return grant.kind is ConsentKind.SESSION and same


def _still_given(grant: Grant, policy: LocalPolicy) -> bool:
    """What the policy gave ends with the policy; what a person gave is the person's."""
    return grant.source is not ConsentSource.POLICY or policy.grants_for(grant.subject) is not None


def beside(wanted: Grant, *, live: Iterable[str], grants: Iterable[Grant], now: datetime) -> Grant | None:
    """The grant of a further session, without a second question: None when it must be asked.

    A person's yes to one session counts for another of the same capability (and target), ticket and member as long as
    the first is open (``live``: ids of open sessions), and not a second longer than the first.
    """
    opened = set(live)
    first = [
        grant
        for grant in grants
        if grant.session_id in opened and grant.until > now and _likewise(grant, wanted) and _by_person(grant)
    ]
    if not first:
        return None
    best = max(first, key=lambda grant: grant.until)
    return replace(wanted, source=best.source, until=best.until)


def _likewise(grant: Grant, wanted: Grant) -> bool:
    def same(one: Grant) -> tuple[object, ...]:
        return one.kind, one.ticket_id, one.capability, one.target, one.member_id, one.member

    return wanted.kind is ConsentKind.SESSION and same(grant) == same(wanted)


def _by_person(grant: Grant) -> bool:
    """What the policy gave, the policy can give again."""
    return grant.source in (ConsentSource.DIALOG, ConsentSource.TERMINAL)
