"""Running one command line on a device: an argv list quoted into the one string that SSH carries (RFC 4254 §6.5).

The string is read by the account's login shell there; ``shlex`` quotes for POSIX shells, and what else a device runs
finds an unknown command. Bounded in time and output.
"""

from __future__ import annotations

import contextlib
import shlex
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

import paramiko

from compagnon_agent.protocol.output import Tail
from remote.ssh.connector import HANDSHAKE
from remote.ssh.errors import Broken

READ = 32 * 1024
ENVIRONMENT = ("env", "LC_ALL=C.UTF-8", "LANG=C.UTF-8", "TERM=dumb", "DEBIAN_FRONTEND=noninteractive")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """``exit_code`` None: it is not known whether it ended (the time was up, or the connection broke)."""

    exit_code: int | None
    stdout: bytes
    stderr: bytes
    timed_out: bool = False


def shell_argv(script: str) -> list[str]:
    return [*ENVIRONMENT, "/bin/sh", "-c", script]


def run(client: paramiko.SSHClient, argv: Sequence[str], *, timeout: float, merge: bool = True, limit: int) -> Ran:
    """Blocking. ``limit``: bytes of each output that are kept, the last ones. Raises Broken when it did not begin."""
    try:
        channel = _begin(client, argv, merge=merge)
    except (paramiko.SSHException, EOFError, OSError):
        raise Broken from None
    out, err = Tail(limit), Tail(limit)
    deadline = time.monotonic() + timeout
    reader = threading.Thread(target=_drain, args=(channel.recv_stderr, err), name="ssh stderr", daemon=True)
    reader.start()
    try:
        ended = _drain(channel.recv, out, channel, deadline)
        if ended:
            ended = channel.status_event.wait(max(0.1, min(5.0, deadline - time.monotonic())))
        code = channel.exit_status if ended and channel.exit_status >= 0 else None
        timed_out = code is None and time.monotonic() >= deadline
        return Ran(exit_code=code, stdout=out.value(), stderr=err.value(), timed_out=timed_out)
    finally:
        with contextlib.suppress(OSError, EOFError):
            channel.close()
        reader.join(1.0)


def _begin(client: paramiko.SSHClient, argv: Sequence[str], *, merge: bool) -> paramiko.Channel:
    transport = client.get_transport()
    if transport is None:
        raise paramiko.SSHException("not connected")
    channel = transport.open_session(timeout=HANDSHAKE)
    channel.set_combine_stderr(merge)
    channel.exec_command(shlex.join(argv))
    channel.shutdown_write()
    return channel


def _drain(receive: object, tail: Tail, channel: paramiko.Channel | None = None, deadline: float | None = None) -> bool:
    """Until the other side has no more (True), or the time is up (False)."""
    assert callable(receive)
    try:
        while True:
            if channel is not None and deadline is not None:
                channel.settimeout(max(0.05, deadline - time.monotonic()))
            data = receive(READ)
            if not data:
                return True
            tail.feed(data)
            if deadline is not None and time.monotonic() >= deadline:
                return False
    except (TimeoutError, OSError, EOFError):
        return False
