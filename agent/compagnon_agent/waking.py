"""Waking another machine of the client's network: a packet that does nothing but that, sent from here (Wake-on-LAN).

AMD, "Magic Packet Technology" (white paper 20213, 1995): six octets FF, then the card's address sixteen times, anywhere
in a frame. It is carried to everyone in the network by UDP to port 9 ("discard", RFC 863), where nobody listens: the
machine is off, its card alone looks at what passes.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence

from .audit import AuditLog
from .authorise import Decision, Request, WakeRequest
from .checks.common import Trouble
from .interfaces import Lan, lans
from .protocol.messages import Message
from .protocol.waking import NotWoken, Wake, WakeAnswer

log = logging.getLogger(__name__)
PORT = 9
TIMES = 3
PAUSE = 0.2
"""Seconds between two packets: one may be lost, nobody confirms it."""

MINUTE = 60.0


def magic_packet(mac: str) -> bytes:
    """102 octets; ``mac`` in its plain form."""
    return b"\xff" * 6 + bytes.fromhex(mac.replace(":", "")) * 16


class Waking:
    """``decide`` says whether, and writes it down."""

    def __init__(
        self, *, audit: AuditLog, decide: Callable[[Request], Decision], send: Callable[[Message], None]
    ) -> None:
        self._audit = audit
        self._decide = decide
        self._send = send
        self._lately: deque[float] = deque()

    async def wake(self, message: Wake) -> None:
        """Decide, send, and answer."""
        here = await asyncio.to_thread(_shared, message.networks)
        decision = self._decide(
            WakeRequest(
                ticket_id=message.ticket_id,
                member=message.member_name,
                reason=message.reason,
                machine=message.machine,
                macs=message.macs,
                broadcasts=tuple(lan.broadcast for lan in here),
                lately=self._count(),
            )
        )
        packets, reason = 0, decision.reason
        if decision.allowed:
            self._lately.append(time.monotonic())
            packets, fault = await _send_all(here, [magic_packet(mac) for mac in message.macs])
            reason = "" if packets else f"{NotWoken.NETWORK} ({fault})"
            self._audit.note("wake", {"machine": message.machine, "packets": packets, "ticket": message.ticket_id})
        self._send(WakeAnswer(request_id=message.request_id, packets=packets, reason=reason[:500]))

    def _count(self) -> int:
        """Requests that were granted in the last minute."""
        while self._lately and self._lately[0] < time.monotonic() - MINUTE:
            self._lately.popleft()
        return len(self._lately)


def _shared(networks: Sequence[str]) -> list[Lan]:
    """Where the machine itself is in these networks. Blocking."""
    try:
        return [lan for lan in lans() if lan.network in networks]
    except (Trouble, OSError) as fault:
        log.warning("the interfaces cannot be listed: %s", fault)
        return []


async def _send_all(places: Sequence[Lan], packets: Sequence[bytes]) -> tuple[int, str]:
    """How many went out, and what was said of those that did not."""
    sent, trouble = 0, ""
    for turn in range(TIMES):
        await asyncio.sleep(PAUSE if turn else 0)
        for place in places:
            try:
                sent += _send_from(place, packets)
            except OSError as fault:
                trouble = fault.strerror or str(fault)
    return sent, trouble


def _send_from(place: Lan, packets: Sequence[bytes]) -> int:
    """Out of this interface, to everyone in its network, not further (a router does not pass it on: RFC 2644)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        out.setblocking(False)
        out.bind((str(place.address.ip), 0))
        if hasattr(socket, "SO_BINDTODEVICE"):  # else the routes choose, where two interfaces are in one network
            with contextlib.suppress(OSError):  # without the right to it
                out.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, place.name.encode())
        for packet in packets:
            out.sendto(packet, (place.broadcast, PORT))
    return len(packets)
