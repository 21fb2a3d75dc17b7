"""What the procedures need from the rooms above them.

``remote`` implements :class:`MachineGateway` (the agents) and :class:`RunObserver` (live sessions mark the step in
their recording); ``tickets`` implements :class:`TicketGate`. ``compagnon.app`` passes the implementations in, so that
this package never imports a higher one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from compagnon.db import Connection
    from compagnon_agent.protocol.checks import Check, CheckResult
    from compagnon_agent.protocol.manifest import Manifest

OUTPUT_LIMIT = 64 * 1024
"""Bytes of a step's output that travel and are kept: the tail, because errors come last."""


class Phase(StrEnum):
    """What is asked of a step: look whether it is already true, do it, or look whether it worked."""

    CHECK = "check"
    EXECUTE = "execute"
    VERIFY = "verify"


class ReportState(StrEnum):
    """How an attempt ended.

    ``REFUSED``: the agent's authorisation said no. ``UNREACHABLE``: it may or may not have run.
    """

    DONE = "done"
    FAILED = "failed"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineRef:
    """A client's machine, as far as a run needs to know it. ``environment`` is the code of its declared standard."""

    id: int
    name: str
    client_id: int
    environment: str | None
    online: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketRef:
    """A ticket, as far as a run needs to know it. ``state`` is the ticket's own word for it ("new", "open", …)."""

    id: int
    title: str
    client_id: int
    owner_id: int | None
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRef:
    """A run in progress, as its observers see it. ``procedure`` is the code (``imp-001``), ``version`` its number."""

    id: int
    procedure: str
    version: int
    machine_id: int | None
    ticket_id: int | None
    member_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRequest:
    """One phase of one step for one machine.

    ``attempt_id`` (a UUID in text) is the idempotency key: it is committed before the request leaves, and the agent
    answers a repeated request with the result in its journal instead of running the step twice.
    ``parameters`` hold canonical text by parameter name.
    """

    attempt_id: str
    machine_id: int
    ticket_id: int
    run_id: int
    member_id: int
    member_name: str
    manifest: Manifest
    step_id: str
    parameters: Mapping[str, str]
    phase: Phase


@dataclass(frozen=True, slots=True, kw_only=True)
class StepReport:
    """What an agent says about one attempt. ``output`` is hostile text of at most :data:`OUTPUT_LIMIT` bytes.

    ``exit_code`` is None where nothing was executed. Times are aware and in UTC.
    """

    state: ReportState
    output: str
    exit_code: int | None
    checks: tuple[CheckResult, ...]
    started: datetime
    ended: datetime


@runtime_checkable
class MachineGateway(Protocol):
    """The way to the agents. No method raises for a silent machine: it says so in its answer."""

    async def reference(self, machine_id: int) -> MachineRef:
        """Raise ``NotFound`` when there is no such machine."""
        ...

    async def run_checks(
        self,
        machine_id: int,
        checks: Sequence[Check],
        *,
        parameters: Mapping[str, str],
        ticket_id: int | None,
        member_id: int | None,
        timeout: float,
    ) -> Sequence[CheckResult]:
        """Evaluate ``checks`` in order, one result each; ``timeout`` in seconds for all of them.

        Read-only checks need no consent. Raises ``Unavailable`` when the machine cannot be reached in time.
        """
        ...

    async def execute_step(self, request: StepRequest) -> StepReport:
        """Ask the agent and wait for its report. The same ``attempt_id`` again gives the same report."""
        ...

    async def cancel_step(self, machine_id: int, attempt_id: str) -> None:
        """Tell the agent to stop what it does for an attempt; nothing for one it does not know or has finished."""
        ...


@runtime_checkable
class TicketGate(Protocol):
    """The tickets' say in who may do what, and when."""

    async def require_open(self, ticket_id: int, *, conn: Connection | None = None) -> TicketRef:
        """Raise ``NotFound`` for no such ticket, ``Conflict`` for a closed one.

        ``conn``: in this transaction, until whose end the ticket then stays open (its row is locked FOR SHARE).
        """
        ...

    async def may_act(self, ticket_id: int, member_id: int, *, conn: Connection | None = None) -> bool:
        """Whether the member owns the ticket or is an accepted collaborator of it; ``conn``: in this transaction."""
        ...


@runtime_checkable
class RunObserver(Protocol):
    """Whoever wants to know where a run is: called after the commit, does not raise for its own trouble."""

    async def step_started(self, run: RunRef, step_id: str) -> None: ...

    async def step_ended(self, run: RunRef, step_id: str, outcome: str) -> None: ...
