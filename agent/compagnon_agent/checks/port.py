"""``port``: what listens. ``tcp`` (or a bare number) means either address family, ``tcp6`` IPv6; likewise ``udp``."""

from __future__ import annotations

import socket

import psutil

from ..protocol.wire import JSON
from .common import Observed, Question, Trouble


def observe(question: Question) -> Observed:
    protocol, _, number = question.key.rpartition(":")
    protocol = protocol or "tcp"
    port = int(number)
    if port > 65535:
        raise Trouble("a port is at most 65535")
    try:
        connections = psutil.net_connections(kind=protocol)
    except (psutil.AccessDenied, OSError) as fault:
        raise Trouble(f"the list of connections cannot be read: {fault}") from None
    addresses = {
        connection.laddr.ip
        for connection in connections
        if connection.laddr and connection.laddr.port == port and _listens(connection.type, connection)
    }
    ips: list[JSON] = [*sorted(addresses)]
    return {"listening": bool(ips), "ip": ips}


def _listens(kind: int, connection: object) -> bool:
    if kind == socket.SOCK_STREAM:
        return getattr(connection, "status", "") == psutil.CONN_LISTEN
    return not getattr(connection, "raddr", None)
