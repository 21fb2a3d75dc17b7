"""Facts and policy of a machine, as its agent reports them: typed and bounded on arrival, read back for the page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from remote.machines import bounds

MANY = 16  # disks, interfaces, users shown at most
BYTES = 2**50


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """Sizes in bytes. ``percent`` is what is used, 0 to 100."""

    mount: str
    device: str
    filesystem: str
    total: int
    used: int

    @property
    def percent(self) -> int:
        return min(100, round(100 * self.used / self.total)) if self.total else 0

    @property
    def full(self) -> bool:
        return self.percent >= 90


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    name: str
    up: bool
    mac: str
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a machine is. Empty text, 0 or None where the agent did not say. Memory in bytes."""

    os_name: str = ""
    os_id: str = ""
    os_version: str = ""
    kernel: str = ""
    architecture: str = ""
    hostname: str = ""
    vendor: str = ""
    model: str = ""
    serial: str = ""
    processor: str = ""
    cores: int = 0
    memory: int = 0
    memory_available: int = 0
    boot: str = ""
    packages: int | None = None
    updates: int | None = None
    users: tuple[str, ...] = ()
    failing_services: tuple[str, ...] | None = None
    disks: tuple[Disk, ...] = ()
    network: tuple[Interface, ...] = ()
    agent_note: str = ""
    agent_root: bool | None = None

    @property
    def memory_percent(self) -> int:
        used = self.memory - self.memory_available
        return max(0, min(100, round(100 * used / self.memory))) if self.memory else 0

    @property
    def booted_at(self) -> datetime | None:
        try:
            found = datetime.fromisoformat(self.boot)
        except ValueError:
            return None
        return found if found.tzinfo else found.replace(tzinfo=UTC)

    @classmethod
    def report(cls, raw: Mapping[str, Any]) -> Facts:
        """From an agent's message. Never raises: what is not what it should be is left out."""
        system, hardware, memory = _part(raw, "os"), _part(raw, "hardware"), _part(raw, "memory")
        agent = _part(raw, "agent")
        total = bounds.whole(memory.get("total") or hardware.get("memory"), high=BYTES) or 0
        return cls(
            os_name=bounds.text(system.get("name"), 80),
            os_id=bounds.text(system.get("id"), 40),
            os_version=bounds.text(system.get("version"), 40),
            kernel=bounds.text(system.get("kernel"), 80),
            architecture=bounds.text(system.get("arch"), 20),
            hostname=bounds.text(raw.get("hostname"), 80),
            vendor=bounds.text(hardware.get("vendor"), 80),
            model=bounds.text(hardware.get("model"), 80),
            serial=bounds.text(hardware.get("serial"), 80),
            processor=bounds.text(hardware.get("cpu"), 80),
            cores=bounds.whole(hardware.get("cores"), high=4096) or 0,
            memory=total,
            memory_available=min(total, bounds.whole(memory.get("available"), high=BYTES) or 0),
            boot=bounds.text(raw.get("boot"), 40),
            packages=bounds.whole(raw.get("packages"), high=10**6),
            updates=bounds.whole(raw.get("updates"), high=10**6),
            users=tuple(bounds.texts(raw.get("users"), count=MANY, limit=60)),
            failing_services=_names(raw.get("failing")),
            disks=tuple(_disk(item) for item in bounds.mappings(raw.get("disks"), count=MANY)),
            network=tuple(_interface(item) for item in bounds.mappings(raw.get("network"), count=MANY)),
            agent_note=bounds.text(agent.get("note"), 200),
            agent_root=bounds.boolean(agent.get("root")),
        )

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> Facts:
        """Back from the database, where only ``as_json`` of bounded facts is written."""
        if not stored:
            return cls()
        known = {name: stored[name] for name in cls.__dataclass_fields__ if name in stored}
        known["users"] = tuple(known.get("users", ()))
        if known.get("failing_services") is not None:
            known["failing_services"] = tuple(known["failing_services"])
        known["disks"] = tuple(Disk(**disk) for disk in known.get("disks", ()))
        known["network"] = tuple(
            Interface(**{**item, "addresses": tuple(item["addresses"])}) for item in known.get("network", ())
        )
        return cls(**known)


def _part(raw: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = raw.get(name)
    return found if isinstance(found, Mapping) else {}


def _names(value: object) -> tuple[str, ...] | None:
    """None where the agent does not know."""
    return tuple(bounds.texts(value, count=20, limit=80)) if isinstance(value, list) else None


def _disk(item: Mapping[str, object]) -> Disk:
    total = bounds.whole(item.get("total"), high=BYTES) or 0
    return Disk(
        mount=bounds.text(item.get("mount"), 100),
        device=bounds.text(item.get("device"), 100),
        filesystem=bounds.text(item.get("filesystem"), 20),
        total=total,
        used=min(total, bounds.whole(item.get("used"), high=BYTES) or 0),
    )


def _interface(item: Mapping[str, object]) -> Interface:
    return Interface(
        name=bounds.text(item.get("name"), 40),
        up=bounds.boolean(item.get("up")) or False,
        mac=bounds.text(item.get("mac"), 20),
        addresses=tuple(bounds.texts(item.get("addresses"), count=8, limit=50)),
    )


AGREEMENT = ("digest", "attendance", "since", "until", "person")


def bounded_policy(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The consent policy: mode, note, what is granted without asking, the consent sheet, the policy file's text."""
    source, held = raw.get("source"), raw.get("agreement")
    lines = source.splitlines()[:200] if isinstance(source, str) else []
    return {
        "mode": bounds.text(raw.get("mode"), 40),
        "note": bounds.text(raw.get("note"), 500),
        "automatic": bounds.texts(raw.get("automatic"), count=50, limit=200),
        "sheet": bounds.texts(raw.get("sheet"), count=40, limit=40),
        "source": "\n".join(bounds.text(line, 200) for line in lines)[:8192],
        **({"agreement": {name: bounds.text(held.get(name), 120) for name in AGREEMENT}} if held else {}),
    }
