"""Waking a machine that is switched off, through the agent of another one in its network (Wake-on-LAN).

The server names network cards and networks; from where to where a packet goes the agent alone decides.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, ClassVar

from .envelope import Message
from .wire import identifier, integer, sequence, text

MAX_MACS = 4
MAX_NETWORKS = 4
MAX_LANS = 16
"""Cards and networks that a machine tells of itself."""

WAKE = "wake"
"""The word for it among an agent's capabilities, and in the consent sheet."""

_MAC = re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}")
_PREFIXES = range(8, 31)  # a /31 has no address for all (RFC 3021), and nobody's own network is larger than a /8


class NotWoken(StrEnum):
    """Why an agent sends nothing."""

    POLICY = "the policy file of this machine says that it wakes no other"
    ADDRESS = "this is not the address of one network card"
    ELSEWHERE = "this machine is not in that network now"
    OFTEN = "too many machines were to be woken in the last minute"
    NETWORK = "the network did not take the packet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wake(Message):
    """Server: wake ``machine``, which has the cards ``macs`` and was last seen in ``networks``.

    Both in their plain form (:func:`hardware_address`, :func:`local_network`); where a packet goes is never named.
    """

    TYPE: ClassVar[str] = "wake"
    request_id: Annotated[str, text(36, minimum=8)]
    ticket_id: Annotated[int, identifier()]
    member_id: Annotated[int, identifier()]
    member_name: Annotated[str, text(120)]
    reason: Annotated[str, text(500)]
    machine: Annotated[str, text(120)]
    macs: Annotated[tuple[str, ...], sequence(text(17), MAX_MACS)]
    networks: Annotated[tuple[str, ...], sequence(text(18), MAX_NETWORKS)]


@dataclass(frozen=True, slots=True, kw_only=True)
class WakeAnswer(Message):
    """Agent: how many packets went out; 0 with the reason, one of :class:`NotWoken` or other words."""

    TYPE: ClassVar[str] = "wake_answer"
    request_id: Annotated[str, text(36, minimum=8)]
    packets: Annotated[int, integer(0, 1000)]
    reason: Annotated[str, text(500)] = ""


def hardware_address(raw: object) -> str:
    """``00:1a:2b:3c:4d:5e`` of one network card; empty for anything else.

    Not of a group: bit I/G of the first octet (IEEE 802-2014, 8.2.2), with which ``ff:ff:ff:ff:ff:ff`` goes as well.
    """
    plain = raw.strip().lower().replace("-", ":") if isinstance(raw, str) and len(raw) <= 40 else ""
    if not _MAC.fullmatch(plain) or plain == "00:00:00:00:00:00":
        return ""
    return "" if int(plain[:2], 16) & 1 else plain


def local_network(raw: object) -> str:
    """``192.168.1.0/24``; empty for what is no network of several machines that share a wire."""
    try:
        network = ipaddress.IPv4Network(raw) if isinstance(raw, str) and len(raw) <= 18 and "/" in raw else None
    except ValueError:
        return ""
    if network is None or network.prefixlen not in _PREFIXES:
        return ""
    strange = network.is_loopback or network.is_link_local or network.is_multicast or network.is_reserved
    return "" if strange or network.network_address.is_unspecified else str(network)
