"""The machine's own cards in networks that it shares with others: what may be woken, and from where to wake.

Neither loopback nor what a container system, a VPN or a virtual machine's host makes up: only network cards, and what
stands on one (a bridge, a bond, a VLAN), are told. Each system says itself which are cards:

- Linux: a card has its place in the device tree, what was made up lies below ``/sys/devices/virtual`` (kernel
  documentation, ``admin-guide/sysfs-rules``: resolve the link in ``/sys/class/net`` and go by the place in
  ``/sys/devices``; do not look for a ``device`` link). ``DEVTYPE`` in ``uevent`` names the kind, ``lower_…`` leads to
  what an interface stands on. Docker's bridge stands on virtual pairs alone, and is left out.
- Windows: ``Get-NetAdapter -Physical``; ``NdisPhysicalMedium`` as in ``NDIS_PHYSICAL_MEDIUM`` (ntddndis.h).
- macOS: ``networksetup -listallhardwareports``.
"""

from __future__ import annotations

import ipaddress
import json
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from .checks import common
from .execute import argv
from .protocol.manifest import Shell
from .protocol.waking import MAX_LANS, hardware_address, local_network

SYSFS = Path("/sys")
DEPTH = 3  # a VLAN on a bridge on a bond
_ETHERNET = "1"  # ARPHRD_ETHER (linux/if_arp.h); Wi-Fi looks like it
_STANDS_ON_CARDS = frozenset({"bridge", "bond", "vlan"})
_ADAPTERS = "Get-NetAdapter -Physical | Select-Object Name,MacAddress,NdisPhysicalMedium | ConvertTo-Json -Compress"
_WIRED, _WIRELESS = frozenset({0, 14}), frozenset({1, 9})  # unspecified (most virtual machines) and 802.3; Wi-Fi


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What an interface consists of: the cards' own addresses."""

    macs: tuple[str, ...]
    wired: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Lan:
    """One IPv4 network that an interface of this machine is in."""

    name: str
    macs: tuple[str, ...]
    address: ipaddress.IPv4Interface
    wired: bool

    @property
    def network(self) -> str:
        return str(self.address.network)

    @property
    def broadcast(self) -> str:
        """The directed broadcast address (RFC 919)."""
        return str(self.address.network.broadcast_address)


def lans() -> list[Lan]:
    """At most :data:`MAX_LANS`, wired ones first. Blocking; raises :class:`.checks.common.Trouble`, ``OSError``."""
    cards, status = _cards(), psutil.net_if_stats()
    found = [
        Lan(name=name[:40], macs=cards[name].macs, address=address, wired=cards[name].wired)
        for name, entries in psutil.net_if_addrs().items()
        if name in cards and name in status and status[name].isup
        for entry in entries
        if entry.family == socket.AF_INET and (address := _address(entry.address, entry.netmask))
    ]
    return sorted(found, key=lambda lan: (not lan.wired, lan.name))[:MAX_LANS]


def _address(address: str, netmask: str | None) -> ipaddress.IPv4Interface | None:
    try:
        found = ipaddress.IPv4Interface(f"{address}/{netmask}") if netmask else None
    except ValueError:
        return None
    return found if found and local_network(str(found.network)) else None


def _cards() -> Mapping[str, Card]:
    if sys.platform == "win32":
        return windows_cards(common.run(argv(Shell.POWERSHELL, _ADAPTERS), timeout=20).stdout)
    if sys.platform == "darwin":
        return mac_cards(common.run(["networksetup", "-listallhardwareports"]).stdout)
    return linux_cards(SYSFS)


def linux_cards(sysfs: Path) -> dict[str, Card]:
    devices = (sysfs / "devices").resolve()
    found = {}
    for link in sorted((sysfs / "class/net").iterdir()):
        cards = _cards_below(link.resolve(), devices, DEPTH)
        macs = tuple(dict.fromkeys(mac for card in cards if (mac := _own_address(card))))
        if macs:
            found[link.name] = Card(macs=macs[:4], wired=any(_devtype(card) == "" for card in cards))
    return found


def _cards_below(device: Path, devices: Path, depth: int) -> list[Path]:
    """The cards that an interface is or stands on."""
    kind = _devtype(device)
    if not device.is_relative_to(devices / "virtual"):
        is_card = device.is_relative_to(devices) and kind in {"", "wlan"} and _read(device / "type") == _ETHERNET
        return [device] if is_card else []
    if kind not in _STANDS_ON_CARDS or depth == 0:
        return []
    lower = sorted(device.glob("lower_*"))
    return [card for link in lower for card in _cards_below(link.resolve(), devices, depth - 1)]


def _devtype(device: Path) -> str:
    lines = (_read(device / "uevent") or "").splitlines()
    return next((line.partition("=")[2] for line in lines if line.startswith("DEVTYPE=")), "")


def _own_address(card: Path) -> str:
    """What it listens to while the machine is off: in a bond it bears another's address meanwhile."""
    return hardware_address(_read(card / "bonding_slave/perm_hwaddr") or _read(card / "address"))


def _read(path: Path) -> str | None:
    try:
        return path.read_text(errors="replace")[:4096].strip()
    except OSError:
        return None


def windows_cards(output: str) -> dict[str, Card]:
    """From the adapters as JSON: a list, or one alone."""
    try:
        told = json.loads(output) if output.strip() else []
    except ValueError:
        return {}
    found = {}
    for item in told if isinstance(told, list) else [told]:
        medium, mac = item.get("NdisPhysicalMedium"), hardware_address(item.get("MacAddress"))
        if mac and medium in _WIRED | _WIRELESS:
            found[str(item.get("Name"))] = Card(macs=(mac,), wired=medium in _WIRED)
    return found


def mac_cards(output: str) -> dict[str, Card]:
    """From paragraphs of ``Hardware Port``, ``Device`` and ``Ethernet Address``; ``bridge0`` and the like are none."""
    found = {}
    for paragraph in output.split("\n\n"):
        said = {
            name.strip(): value.strip() for name, _, value in (line.partition(":") for line in paragraph.split("\n"))
        }
        device, mac = said.get("Device", ""), hardware_address(said.get("Ethernet Address"))
        if mac and device.startswith("en"):
            found[device] = Card(macs=(mac,), wired=said.get("Hardware Port") != "Wi-Fi")
    return found
