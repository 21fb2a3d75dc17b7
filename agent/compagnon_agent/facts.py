"""What this machine is. Each fact is collected by itself: one that fails is left out and leaves the others."""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import socket
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import psutil

from . import __version__
from .checks import common
from .checks.service import SYSTEMD
from .checks.system import identify
from .execute import KILL, signal_group
from .interfaces import lans
from .processes import systemd
from .protocol.waking import MAX_LANS
from .protocol.wire import JSON, WireError, dumps, loads

TIME_LIMIT = 90.0

_SKIPPED = frozenset({"tmpfs", "devtmpfs", "squashfs", "overlay", "proc", "sysfs", "efivarfs", "autofs", "iso9660"})
_DMI = Path("/sys/class/dmi/id")


async def collect(root_note: str) -> dict[str, JSON] | None:
    """In a process of its own, which can be killed when a program it asks hangs; None when nothing came of it."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "compagnon_agent.facts",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(TIME_LIMIT):
            output, _ = await process.communicate()
        facts = loads(output, limit=1024 * 1024)
    except (TimeoutError, WireError):
        return None
    finally:
        signal_group(process.pid, KILL)
        await process.wait()
    return {**facts, "agent": _agent(root_note)} if isinstance(facts, dict) else None


def likeness(facts: Mapping[str, JSON], salt: str = "") -> str:
    """What makes facts others than the last ones: not the free memory, nor a disk that is a few percent fuller.

    ``salt``: makes any facts new.
    """
    told: dict[str, JSON] = {name: value for name, value in facts.items() if name not in {"memory", "disks", "agent"}}
    disks = facts.get("disks")
    told["disks"] = [_rough(disk) for disk in disks] if isinstance(disks, list) else None
    return dumps([told, salt])


def _rough(disk: JSON) -> JSON:
    if not isinstance(disk, dict):
        return None
    percent = disk.get("percent")
    rough = round(percent / 5) if isinstance(percent, int | float) else None
    return [disk.get("mount"), disk.get("device"), disk.get("total"), rough]


def gather() -> dict[str, JSON]:
    """All facts of this machine, here and now: blocking."""
    facts: dict[str, JSON] = {}
    for name, fact in _FACTS.items():
        try:
            value = fact()
        except Exception:  # noqa: S112 - hostile environments are many; a missing fact is the answer
            continue
        if value is not None:
            facts[name] = value
    return facts


def _agent(note: str) -> dict[str, JSON]:
    root = getattr(os, "geteuid", lambda: None)() == 0
    return {
        "version": __version__,
        "python": platform.python_version(),
        "pid": os.getpid(),
        "root": root,
        "note": note,
    }


def _system() -> JSON:
    observed, _ = identify()
    try:
        name = platform.freedesktop_os_release().get("PRETTY_NAME")
    except OSError:
        name = None
    return {**observed, "family": sys.platform, "name": name or f"{platform.system()} {platform.release()}"}


def _hostname() -> JSON:
    return socket.gethostname()


def _boot() -> JSON:
    return datetime.fromtimestamp(psutil.boot_time(), UTC).isoformat(timespec="seconds")


def _hardware() -> JSON:
    return {
        "cpu": _cpu(),
        "cores": psutil.cpu_count(logical=False),
        "threads": psutil.cpu_count(),
        "memory": psutil.virtual_memory().total,
        "vendor": _dmi("sys_vendor"),
        "model": _dmi("product_name"),
        "serial": _dmi("product_serial"),
    }


def _cpu() -> str | None:
    try:
        text = Path("/proc/cpuinfo").read_text(errors="replace")
    except OSError:
        return platform.processor() or None
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name.strip() in {"model name", "Model"}:
            return value.strip()[:120]
    return platform.machine()


def _dmi(name: str) -> str | None:
    try:
        return (_DMI / name).read_text(errors="replace").strip()[:120] or None
    except OSError:
        return None


def _memory() -> JSON:
    memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    return {
        "total": memory.total,
        "available": memory.available,
        "swap_total": swap.total,
        "swap_used": swap.used,
    }


def _disks() -> JSON:
    disks: list[JSON] = []
    seen: set[str] = set()
    for part in psutil.disk_partitions(all=True):
        root = part.mountpoint == "/"
        if part.device in seen or (part.fstype in _SKIPPED and not root) or not (root or part.device.startswith("/")):
            continue
        if len(disks) >= 20 or not Path(part.mountpoint).is_dir():
            continue
        seen.add(part.device)
        disks.append(_disk(part.mountpoint, part.device, part.fstype))
    return disks


def _disk(mount: str, device: str, filesystem: str) -> JSON:
    use = psutil.disk_usage(mount)
    return {
        "mount": mount[:200],
        "device": device[:200],
        "filesystem": filesystem,
        "total": use.total,
        "used": use.used,
        "percent": use.percent,
    }


def _network() -> JSON:
    status = psutil.net_if_stats()
    interfaces: list[JSON] = []
    for name, entries in list(psutil.net_if_addrs().items())[:30]:
        addresses: list[JSON] = [
            entry.address.partition("%")[0] for entry in entries if entry.family in (socket.AF_INET, socket.AF_INET6)
        ]
        mac = next((entry.address for entry in entries if entry.family == psutil.AF_LINK), None)
        up = name in status and status[name].isup
        interfaces.append({"name": name[:40], "up": up, "mac": mac, "addresses": addresses[:10]})
    return interfaces


def _lans() -> JSON:
    """What is needed to wake this machine: its cards, and the networks that it shares with others."""
    told: list[JSON] = [
        {"name": lan.name, "mac": mac, "network": lan.network, "wired": lan.wired} for lan in lans() for mac in lan.macs
    ]
    return told[:MAX_LANS]


def _packages() -> JSON:
    if shutil.which("dpkg-query"):
        return count_installed(common.run(["dpkg-query", "-W", "-f", "${db:Status-Status}\\n"], timeout=20).stdout)
    if shutil.which("rpm"):
        return len(common.run(["rpm", "-qa"], timeout=20).stdout.splitlines())
    return None


def count_installed(output: str) -> int:
    return output.splitlines().count("installed")


def _updates() -> JSON:
    """Pending updates as apt knows them now: its lists are not refreshed, and nothing is changed."""
    program = shutil.which("apt-get")
    if not program:
        return None
    done = common.run([program, "--just-print", "-o", "Debug::NoLocking=true", "dist-upgrade"], timeout=30)
    return count_updates(done.stdout) if done.returncode == 0 else None


def count_updates(output: str) -> int:
    return sum(1 for line in output.splitlines() if line.startswith("Inst "))


def _failing() -> JSON:
    """Services that systemd calls failed; nothing where it does not run."""
    if not SYSTEMD.is_dir():
        return None
    found = systemd.services(common.run(systemd.FAILED, timeout=10).stdout, "")
    return [one.name.removesuffix(".service")[:80] for one in found[:20]]


def _users() -> JSON:
    names: list[JSON] = [*sorted({user.name for user in psutil.users()})[:20]]
    return names


_FACTS: Mapping[str, Callable[[], JSON]] = {
    "os": _system,
    "hostname": _hostname,
    "boot": _boot,
    "hardware": _hardware,
    "memory": _memory,
    "disks": _disks,
    "network": _network,
    "lans": _lans,
    "packages": _packages,
    "updates": _updates,
    "users": _users,
    "failing": _failing,
}


if __name__ == "__main__":
    sys.stdout.write(dumps(gather()))
