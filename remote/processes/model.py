"""Processes and services as a machine tells them: hostile until read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from compagnon.i18n import N_
from compagnon_agent.protocol.processes import Manager, Start, State
from compagnon_agent.protocol.wire import boolean, choice, integer, optional, record, sequence, text

LISTED = 4000
FIRST = frozenset({0, 1})


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """``cpu`` in tenths of a percent of the whole machine, ``memory`` in bytes (resident), ``started`` in Unix time."""

    pid: Annotated[int, integer(0, 2**31)]
    name: Annotated[str, text(80)]
    user: Annotated[str, text(80)]
    cpu: Annotated[int, integer(0, 1000)]
    memory: Annotated[int, integer(0, 2**53)]
    started: Annotated[int, integer(0, 2**40)]
    status: Annotated[str, text(40)]
    parent: Annotated[int, integer(0, 2**31)] = 0
    command: Annotated[str, text(400)] = ""

    @property
    def since(self) -> datetime:
        return datetime.fromtimestamp(min(self.started, 2**33), UTC)

    @property
    def percent(self) -> float:
        return self.cpu / 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """``kernel`` threads are only counted; ``left_out`` did not fit; ``agent`` is the agent's own pid."""

    processes: Annotated[tuple[Process, ...], sequence(record(Process), LISTED)]
    kernel: Annotated[int, integer(0, 2**31)] = 0
    left_out: Annotated[int, integer(0, 2**31)] = 0
    agent: Annotated[int, integer(0, 2**31)] = 0

    def guarded(self, process: Process) -> bool:
        """What is left alone on the machine, whoever asks."""
        return process.pid in FIRST or process.pid == self.agent


@dataclass(frozen=True, slots=True, kw_only=True)
class Closely:
    """One process; what the agent may not see is missing."""

    command: Annotated[str, text(8000)] = ""
    program: Annotated[str, text(1000)] = ""
    folder: Annotated[str, text(1000)] = ""
    parent: Annotated[str, text(80)] = ""
    threads: Annotated[int | None, optional(integer(0, 2**31))] = None
    nice: Annotated[int | None, optional(integer(-(2**31), 2**31))] = None
    files: Annotated[int | None, optional(integer(0, 2**31))] = None
    ports: Annotated[tuple[str, ...], sequence(text(80), 40)] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """``detail`` is the manager's own word for the state."""

    name: Annotated[str, text(200, minimum=1)]
    title: Annotated[str, text(200)]
    state: Annotated[State, choice(State)]
    detail: Annotated[str, text(60)]
    start: Annotated[Start, choice(Start)]
    pid: Annotated[int, integer(0, 2**31)] = 0

    @property
    def short(self) -> str:
        return self.name.removesuffix(".service")

    @property
    def cuts(self) -> bool:
        """Without it the machine may be out of reach."""
        return self.short.lower() in CUTS


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceList:
    manager: Annotated[Manager, choice(Manager)]
    services: Annotated[tuple[Service, ...], sequence(record(Service), LISTED)]

    @property
    def failed(self) -> int:
        return sum(service.state is State.FAILED for service in self.services)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What an order about a service led to; ``output`` and ``log`` where it failed."""

    ok: Annotated[bool, boolean]
    service: Annotated[Service | None, optional(record(Service))] = None
    output: Annotated[str, text(8000)] = ""
    log: Annotated[tuple[str, ...], sequence(text(500), 40)] = ()


# Stopping one of these cuts the very line that one helps over.
CUTS = frozenset(
    {
        "networkmanager", "systemd-networkd", "systemd-resolved", "networking", "network", "wpa_supplicant", "dhcpcd",
        "iwd", "connman", "dnsmasq", "dbus", "dbus-broker", "dhcp", "dnscache", "nlasvc", "wlansvc",
        "lanmanworkstation", "com.apple.configd", "com.apple.mdnsresponder",
    }
)  # fmt: skip

REFUSALS = {
    "ended": N_("This process has ended already."),
    "reused": N_("This process has ended already; its number belongs to another one now."),
    "first": N_("This is the system's first process: without it the machine stops."),
    "agent": N_("This is the agent itself: without it nobody could help from here any more."),
    "denied": N_("The agent's account on the machine may not do this."),
    "not_asked": N_("Ask the process to end first."),
    "no_service": N_("There is no such service on the machine any more."),
}
