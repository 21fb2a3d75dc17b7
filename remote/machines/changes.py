"""What changed on a machine from one report of its facts to the next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from remote.machines.facts import Facts

MOST = 20  # of one report
PREFIX = "fact_"
SIZE_STEP = 1_000_000_000  # bytes; memory that is told a little differently has not changed


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """``kind`` is an event's, without ``fact_``; ``before`` and ``after`` are as they are shown."""

    kind: str
    subject: str = ""
    before: str = ""
    after: str = ""

    @property
    def detail(self) -> str:
        return f"{self.before} → {self.after}" if self.before and self.after else self.after or self.before


def changes(old: Facts, new: Facts) -> list[Change]:
    """At most :data:`MOST`. A first report changes nothing, and what is not told any more is not a change."""
    if not old.hostname and not old.os_name:
        return []
    return list(islice(_changes(old, new), MOST))


def _changes(old: Facts, new: Facts) -> Iterator[Change]:
    yield from _text("os", f"{old.os_name} {old.os_version}".strip(), f"{new.os_name} {new.os_version}".strip())
    yield from _text("kernel", old.kernel, new.kernel)
    yield from _text("hostname", old.hostname, new.hostname)
    if old.packages is not None and new.packages is not None and old.packages != new.packages:
        yield Change(kind="packages", before=str(old.packages), after=str(new.packages))
    if old.memory and new.memory and abs(old.memory - new.memory) >= SIZE_STEP // 2:
        yield Change(kind="memory", before=_size(old.memory), after=_size(new.memory))
    yield from _disks(old, new)
    yield from _addresses(old, new)
    yield from _services(old, new)


def _text(kind: str, before: str, after: str) -> Iterator[Change]:
    if before and after and before != after:
        yield Change(kind=kind, before=before, after=after)


def _disks(old: Facts, new: Facts) -> Iterator[Change]:
    before, after = ({disk.mount: disk for disk in facts.disks} for facts in (old, new))
    if not after:
        return
    for mount in sorted(after.keys() - before.keys()):
        yield Change(kind="disk_added", subject=mount, after=_size(after[mount].total))
    for mount in sorted(before.keys() - after.keys()):
        yield Change(kind="disk_gone", subject=mount)
    for mount in sorted(after.keys() & before.keys()):
        if before[mount].full != after[mount].full:
            kind = "disk_full" if after[mount].full else "disk_free"
            percents = {"before": f"{before[mount].percent} %", "after": f"{after[mount].percent} %"}
            yield Change(kind=kind, subject=mount, **percents)


def _addresses(old: Facts, new: Facts) -> Iterator[Change]:
    """Of interfaces that are there still; an address of one boot (fe80::) says nothing."""
    before, after = ({item.name: _lasting(item.addresses) for item in facts.network} for facts in (old, new))
    for name in sorted(after.keys() & before.keys()):
        if before[name] != after[name] and (before[name] or after[name]):
            yield Change(kind="address", subject=name, before=", ".join(before[name]), after=", ".join(after[name]))


def _lasting(addresses: tuple[str, ...]) -> list[str]:
    """Those of IPv4: IPv6's change by themselves (RFC 8981)."""
    return sorted(address for address in addresses if ":" not in address)


def _services(old: Facts, new: Facts) -> Iterator[Change]:
    if old.failing_services is None or new.failing_services is None:
        return
    before, after = set(old.failing_services), set(new.failing_services)
    for name in sorted(after - before):
        yield Change(kind="service_failed", subject=name)
    for name in sorted(before - after):
        yield Change(kind="service_back", subject=name)


def _size(count: int) -> str:
    return f"{count / SIZE_STEP:.0f} GB"
