"""``addr``: can the machine reach a host and port? UDP has no connection: only a refusal can be noticed."""

from __future__ import annotations

import socket

from .common import Observed, Question, Trouble


def observe(question: Question) -> Observed:
    protocol, _, rest = question.key.partition("://")
    host, _, number = rest.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    port = int(number)
    if not 1 <= port <= 65535:
        raise Trouble("a port is between 1 and 65535")
    local = question.setting("local-address")
    source = (local, 0) if local else None
    timeout = question.seconds(2.0)
    reach = _tcp if protocol == "tcp" else _udp
    return {"reachable": reach(host, port, source, timeout)}


def _tcp(host: str, port: int, source: tuple[str, int] | None, timeout: float) -> bool:
    try:
        with socket.create_connection((host, port), timeout=timeout, source_address=source):
            return True
    except (OSError, UnicodeError):
        return False


def _udp(host: str, port: int, source: tuple[str, int] | None, timeout: float) -> bool:
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, socket.SOCK_DGRAM) as link:
            if source:
                link.bind(source)
            link.connect(address)
            link.settimeout(min(timeout, 0.3))
            link.send(b"")
            link.recv(1)
    except TimeoutError:
        return True
    except (OSError, UnicodeError):
        return False
    return True
