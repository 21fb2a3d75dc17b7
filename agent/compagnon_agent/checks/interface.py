"""``interface``: network interfaces, with their addresses as ``address/prefix``."""

from __future__ import annotations

import ipaddress
import socket

import psutil

from ..protocol.wire import JSON
from .common import Observed, Question


def observe(question: Question) -> Observed:
    entries = psutil.net_if_addrs().get(question.key)
    if entries is None:
        return {"exists": False, "addrs": [], "mtu": None}
    addresses: list[JSON] = [
        _with_prefix(entry.address, entry.netmask)
        for entry in entries
        if entry.family in (socket.AF_INET, socket.AF_INET6)
    ]
    status = psutil.net_if_stats().get(question.key)
    return {"exists": True, "addrs": addresses, "mtu": status.mtu if status else None}


def _with_prefix(address: str, netmask: str | None) -> str:
    plain = address.partition("%")[0]
    if not netmask:
        return plain
    bits = int(ipaddress.ip_address(netmask.partition("%")[0])).bit_count()
    return f"{plain}/{bits}"
