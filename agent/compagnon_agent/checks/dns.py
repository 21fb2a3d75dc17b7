"""``dns``: names to addresses, by the machine's own resolver or by asking one server (RFC 1035 over UDP)."""

from __future__ import annotations

import secrets
import socket
import struct
import time

from ..protocol.wire import JSON
from .common import Observed, Question, Trouble

TYPES = {"A": 1, "AAAA": 28}
_HEADER = struct.Struct(">HHHHHH")


def observe(question: Question) -> Observed:
    kind, _, name = question.key.rpartition(":") if question.key.startswith(("A:", "AAAA:")) else ("", "", question.key)
    server = question.setting("server")
    kinds = [kind] if kind else ["A", "AAAA"]
    if server:
        found = [address for item in kinds for address in ask(server, name, item, question.seconds(2.0))]
    else:
        found = _resolve(name, kinds)
    addresses: list[JSON] = [*sorted(set(found))]
    return {"resolvable": bool(addresses), "resolveable": bool(addresses), "addrs": addresses}


def _resolve(name: str, kinds: list[str]) -> list[str]:
    families = {"A": socket.AF_INET, "AAAA": socket.AF_INET6}
    found: list[str] = []
    for kind in kinds:
        try:
            answers = socket.getaddrinfo(name, None, families[kind], socket.SOCK_STREAM)
        except (socket.gaierror, UnicodeError):
            continue
        found += [str(answer[4][0]) for answer in answers]
    return found


def ask(server: str, name: str, kind: str, timeout: float) -> list[str]:
    """The addresses that ``server`` (``host`` or ``host:port``) gives; :class:`Trouble` when it does not answer."""
    host, _, port = server.partition(":") if server.count(":") == 1 else (server, "", "")
    number = secrets.randbits(16)
    try:
        query = _query(number, name, kind)
        family, *_, address = socket.getaddrinfo(host, int(port or 53), type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, socket.SOCK_DGRAM) as link:
            link.connect(address)
            link.send(query)
            return parse_answer(_receive(link, number, time.monotonic() + timeout), TYPES[kind])
    except TimeoutError:
        raise Trouble(f"{server} did not answer within {timeout:.1f} s") from None
    except (OSError, ValueError) as fault:
        raise Trouble(f"{server}: {fault}") from None


def _receive(link: socket.socket, number: int, deadline: float) -> bytes:
    while True:
        link.settimeout(max(0.001, deadline - time.monotonic()))
        answer = link.recv(4096)
        if len(answer) >= _HEADER.size and int.from_bytes(answer[:2], "big") == number:
            return answer


def _query(number: int, name: str, kind: str) -> bytes:
    labels = [label.encode("ascii") for label in name.rstrip(".").split(".")]
    if not all(0 < len(label) < 64 for label in labels):
        raise ValueError("not a domain name")
    packed = b"".join(bytes([len(label)]) + label for label in labels)
    return _HEADER.pack(number, 0x0100, 1, 0, 0, 0) + packed + b"\x00" + struct.pack(">HH", TYPES[kind], 1)


def parse_answer(packet: bytes, kind: int) -> list[str]:
    """Addresses in a DNS answer; nothing for a name that does not exist; ``ValueError`` for a malformed packet."""
    try:
        _, _, questions, answers, _, _ = _HEADER.unpack_from(packet)
        at = _HEADER.size
        for _ in range(questions):
            at = _skip_name(packet, at) + 4
        found: list[str] = []
        for _ in range(min(answers, 100)):
            at = _skip_name(packet, at)
            record, _, _, length = struct.unpack_from(">HHIH", packet, at)
            at += 10
            if record == kind and length == (4 if kind == 1 else 16):
                family = socket.AF_INET if kind == 1 else socket.AF_INET6
                found.append(socket.inet_ntop(family, packet[at : at + length]))
            at += length
    except (struct.error, IndexError, OSError):
        raise ValueError("malformed answer") from None
    return found


def _skip_name(packet: bytes, at: int) -> int:
    while packet[at]:
        if packet[at] & 0xC0:
            return at + 2
        at += packet[at] + 1
    return at + 1
