"""Where a tunnel may lead: to the address that the person read in the question, and not where names only pretend to."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Collection
from typing import TypeAlias

import psutil

RESOLVE_SECONDS = 10.0
ADDRESSES = 8
Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_CLOUDS: frozenset[Address] = frozenset(
    map(ipaddress.ip_address, ("169.254.169.254", "fd00:ec2::254", "100.100.100.200", "168.63.129.16"))
)
"""Where clouds hand out the machine's own credentials (AWS, Alibaba, Azure); most are link-local anyway."""


def split(target: str) -> tuple[str, int]:
    """``host:port``, the host without the brackets of IPv6. Raises ``OSError``."""
    host, _, port = target.rpartition(":")
    if not host or not port.isascii() or not port.isdecimal() or not 0 < int(port) <= 65_535:
        raise OSError(f"{target!r} is no host and port")
    return host.removeprefix("[").removesuffix("]"), int(port)


def refusal(address: Address, host: str, own: Collection[Address]) -> str:
    """Why this address of ``host`` is not dialled, or nothing. This machine itself only where it was named as such."""
    plain = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped else address
    if plain in _CLOUDS or plain.is_link_local:
        return "addresses of the link itself and of a cloud's own services are not reached"
    if plain.is_loopback or plain in own:
        return "" if _names_itself(host) else "this name leads to this computer itself: name it by its address"
    if plain.is_multicast or plain.is_unspecified or plain.is_reserved:
        return "this is not the address of one machine"
    return ""


def _names_itself(host: str) -> bool:
    if host.casefold() == "localhost":
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


async def resolve(target: str) -> tuple[list[str], int]:
    """The addresses that may be dialled (at most :data:`ADDRESSES`) and the port. Raises ``OSError``: why not."""
    host, port = split(target)
    try:
        async with asyncio.timeout(RESOLVE_SECONDS):
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, TimeoutError):
        raise OSError(f"{host} is not known in this network") from None
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))[:ADDRESSES]
    refused = {text: refusal(ipaddress.ip_address(text.partition("%")[0]), host, _own()) for text in addresses}
    allowed = [text for text in addresses if not refused[text]]
    if not allowed:
        raise OSError(next(iter(refused.values()), f"{host} is not known in this network"))
    return allowed, port


def _own() -> frozenset[Address]:
    texts = [each.address for several in psutil.net_if_addrs().values() for each in several]
    found: set[Address] = set()
    for text in texts:
        try:
            found.add(ipaddress.ip_address(text.partition("%")[0]))
        except ValueError:
            continue  # a hardware address
    return frozenset(found)
