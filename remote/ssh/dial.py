"""The way to a device's port: straight from this server, or through the tunnel of an agent at the client's site."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias

from compagnon.auth.model import Member
from compagnon.errors import AppError
from remote.ssh.errors import Forbidden, TunnelMissing, Unreachable

if TYPE_CHECKING:
    from remote.tunnels.service import Tunnels

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
CONNECT_SECONDS = 10.0


class Dialler(Protocol):
    """Opens a TCP connection and gives the socket at this end; whoever gets it closes it."""

    async def connect(self, host: str, port: int) -> socket.socket:
        """A connected, blocking stream socket. Raises ``errors.Trouble``."""
        ...


class Direct:
    """From this server. Not to itself nor to its neighbours on the link, unless ``allowed`` names their network.

    Names are resolved once, and the address that was looked at is the one that is dialled.
    """

    def __init__(self, allowed: Sequence[Network] = ()) -> None:
        self._allowed = tuple(allowed)

    async def connect(self, host: str, port: int) -> socket.socket:
        addresses = await self._resolve(host, port)
        permitted = [address for address in addresses if self._permits(address)]
        if addresses and not permitted:
            raise Forbidden
        for address in permitted:
            try:
                return await asyncio.to_thread(socket.create_connection, (address, port), CONNECT_SECONDS)
            except OSError:
                continue
        raise Unreachable

    async def _resolve(self, host: str, port: int) -> list[str]:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, TimeoutError, UnicodeError):
            raise Unreachable from None
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))[:8]

    def _permits(self, address: str) -> bool:
        parsed = ipaddress.ip_address(address.partition("%")[0])
        if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped:
            parsed = parsed.ipv4_mapped
        if any(parsed in network for network in self._allowed):
            return True
        return not (parsed.is_loopback or parsed.is_link_local or parsed.is_multicast or parsed.is_unspecified)


class ThroughAgent:
    """Through a tunnel that ``member`` drives on machine ``via``: its agent asked a person there for this target."""

    def __init__(self, tunnels: Tunnels, via: int, member: Member | None) -> None:
        self._tunnels = tunnels
        self._via = via
        self._member = member

    async def connect(self, host: str, port: int) -> socket.socket:
        if self._member is None:
            raise TunnelMissing
        session = await self._tunnels.open_to(self._via, host, port, self._member)
        if session is None:
            raise TunnelMissing
        try:
            return await self._tunnels.dial(session.id, self._member, via="ssh")
        except AppError:
            raise Unreachable from None
