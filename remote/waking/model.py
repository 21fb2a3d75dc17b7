"""Who can wake an absent machine, and how far an attempt to wake it has come. Pure.

A neighbour is a machine of the *same client* that was last seen in the same IPv4 network. The network alone says
nothing: 192.168.1.0/24 is in every second house. That both belong to one client is what makes it one network, and
where a client has several sites with the same numbers, those of the machine's own site come first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from compagnon_agent.protocol.waking import MAX_LANS, MAX_MACS, MAX_NETWORKS, hardware_address, local_network
from remote.machines import bounds

PATIENCE = timedelta(minutes=3)
"""After which a machine that did not come is said not to have answered: a slow one starts in two."""

ASKING = timedelta(seconds=30)
"""After which an attempt that was not noted as sent never will be: the server was stopped meanwhile."""

LATE = timedelta(minutes=15)
"""Within which a machine that comes is taken to come because it was woken."""

SHOWN = timedelta(hours=12)
"""For which the outcome of the last attempt stands on the page."""

THROUGH = 3


class WakingState(StrEnum):
    """``OVER``: nobody waits for it any more, another attempt was made."""

    ASKED = "asked"
    SENT = "sent"
    FAILED = "failed"
    ARRIVED = "arrived"
    OVER = "over"


class Obstacle(StrEnum):
    """Why nobody can wake a machine now."""

    UNKNOWN = "unknown"  # its agent never told a card in a network
    ALONE = "alone"  # no other machine of the client was seen there
    ABSENT = "absent"  # there are some, and none is connected
    UNABLE = "unable"  # they are connected, but their version or their owner does not let them


@dataclass(frozen=True, slots=True, kw_only=True)
class Lan:
    """A network card in a network, as an agent told it: both in their plain form."""

    name: str
    mac: str
    network: str
    wired: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """A machine of the same client in one of the networks. ``able``: its agent wakes others, and its policy lets it.

    ``networks`` are those that both are in; ``wired``: with a cable in one of them.
    """

    id: int
    name: str
    site_id: int | None
    online: bool
    able: bool
    wired: bool
    networks: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """``through`` and ``names`` are the machines that sent it; ``reason`` why none did, as the first of them said."""

    id: int
    machine_id: int
    ticket_id: int
    member_id: int
    member_name: str
    state: WakingState
    through: Sequence[int]
    names: Sequence[str]
    reason: str
    asked_at: datetime
    arrived_at: datetime | None

    def __post_init__(self) -> None:  # rows come from PostgreSQL as text
        object.__setattr__(self, "state", WakingState(self.state))

    @property
    def neighbours(self) -> list[tuple[int, str]]:
        return list(zip(self.through, self.names, strict=True))

    def waits(self, now: datetime) -> float:
        """Seconds for which it is still waited for; 0 when it is not."""
        lasting = {WakingState.ASKED: ASKING, WakingState.SENT: PATIENCE}.get(self.state)
        return max(0.0, (self.asked_at + lasting - now).total_seconds()) if lasting else 0.0

    def shown(self, now: datetime) -> bool:
        return self.state is not WakingState.OVER and now - self.asked_at < SHOWN

    @property
    def why(self) -> str:
        """The reason without what the system said."""
        return self.reason.partition(" (")[0]

    @property
    def took(self) -> int:
        """Seconds until it came."""
        return round((self.arrived_at - self.asked_at).total_seconds()) if self.arrived_at else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Prospect:
    """What is known about waking one machine; ``last`` is the newest attempt, if it is worth telling."""

    site_id: int | None = None
    lans: Sequence[Lan] = ()
    neighbours: Sequence[Neighbour] = ()
    last: Attempt | None = None
    now: datetime

    @property
    def obstacle(self) -> Obstacle | None:
        if not self.lans:
            return Obstacle.UNKNOWN
        if not self.neighbours:
            return Obstacle.ALONE
        if not any(one.online for one in self.neighbours):
            return Obstacle.ABSENT
        return None if self.chosen else Obstacle.UNABLE

    @property
    def chosen(self) -> list[Neighbour]:
        return chosen(self.neighbours, self.site_id)

    @property
    def networks(self) -> list[str]:
        """Those in which a chosen neighbour is, at most :data:`MAX_NETWORKS`."""
        shared = {network for one in self.chosen for network in one.networks}
        return [network for network in dict.fromkeys(lan.network for lan in self.lans) if network in shared][
            :MAX_NETWORKS
        ]

    @property
    def places(self) -> str:
        """The networks that the machine was seen in."""
        return ", ".join(dict.fromkeys(lan.network for lan in self.lans))

    @property
    def macs(self) -> list[str]:
        """Its cards in these networks, those with a cable first, at most :data:`MAX_MACS`."""
        return macs(self.lans, self.networks)

    @property
    def wireless(self) -> bool:
        """It was seen without a cable only."""
        return bool(self.lans) and not any(lan.wired for lan in self.lans)

    @property
    def waits(self) -> float:
        return self.last.waits(self.now) if self.last else 0.0

    @property
    def woken(self) -> bool:
        """It came just now because somebody had it woken."""
        return bool(self.last and self.last.arrived_at and self.now - self.last.arrived_at < LATE)

    def cards(self, interface: str) -> list[Lan]:
        """Those of one interface, each once."""
        return list({lan.mac: lan for lan in self.lans if lan.name == interface}.values())

    @property
    def away(self) -> list[str]:
        return [one.name for one in self.neighbours if not one.online]


def chosen(neighbours: Iterable[Neighbour], site_id: int | None) -> list[Neighbour]:
    """Up to three that are connected and may: of the same site first, then where a site is not known, then by cable.

    A machine with a cable does not move; a portable one may be in a house with the same numbers.
    """

    def rank(one: Neighbour) -> tuple[int, bool, int]:
        same = 0 if one.site_id == site_id and site_id is not None else 2 if one.site_id and site_id else 1
        return same, not one.wired, one.id

    return sorted((one for one in neighbours if one.online and one.able), key=rank)[:THROUGH]


def macs(lans: Iterable[Lan], networks: Sequence[str]) -> list[str]:
    there = [lan for lan in lans if lan.network in networks]
    return list(dict.fromkeys(lan.mac for lan in sorted(there, key=lambda lan: not lan.wired)))[:MAX_MACS]


def told_lans(facts: Mapping[str, Any]) -> list[Lan] | None:
    """From an agent's facts; None where it does not tell this. What is not what it should be is left out."""
    raw = facts.get("lans")
    if not isinstance(raw, list):
        return None
    found: dict[tuple[str, str], Lan] = {}
    for item in bounds.mappings(raw, count=MAX_LANS):
        mac, network = hardware_address(item.get("mac")), local_network(item.get("network"))
        if mac and network:
            name = bounds.text(item.get("name"), 40)
            found[mac, network] = Lan(name=name, mac=mac, network=network, wired=item.get("wired") is True)
    return list(found.values())
