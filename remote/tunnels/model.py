"""The connections of a tunnel, counted; and what lets a member's own computer use it."""

from __future__ import annotations

import hashlib
import ipaddress
import secrets
import time
from dataclasses import dataclass, field
from typing import Annotated

from compagnon_agent.protocol.wire import integer, text

CODE_SECONDS = 600  # a code on the page is good for ten minutes, once
PASSES = 4  # computers at once for one session: a fifth takes the place of the first
PAST = 30  # connections that are over and still shown
_COUNT = integer(0, 2**53)


@dataclass(slots=True, kw_only=True)
class Connection:
    """One TCP connection. ``up`` and ``down`` are bytes towards and from the target, ``ended`` is a monotonic time."""

    number: int
    member_id: int
    member_name: str
    via: str
    up: int = 0
    down: int = 0
    reason: str = ""
    began: float = field(default_factory=time.monotonic)
    ended: float | None = None

    @property
    def live(self) -> bool:
        return self.ended is None

    @property
    def seconds(self) -> float:
        return round((self.ended or time.monotonic()) - self.began, 1)

    def end(self, reason: str) -> bool:
        """False when it was over already."""
        if self.ended is not None:
            return False
        self.ended, self.reason = time.monotonic(), reason
        return True

    @property
    def label(self) -> str:
        """The line in the recording."""
        if self.ended is None:
            return f"tunnel.opened: {self.number} {self.member_name}"
        counted = f"{self.up} B ↑ {self.down} B ↓ {self.seconds} s"
        return f"tunnel.closed: {self.number} {counted} ({self.reason})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """What the agent tells about a connection that ended there."""

    channel: Annotated[int, integer(1, 2**16)]
    reason: Annotated[str, text(80)]
    up: Annotated[int, _COUNT] = 0
    down: Annotated[int, _COUNT] = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """A member's computer that may use a session's tunnel, as long as the sign-in it was let in by holds."""

    session_id: str
    member_id: int
    sign_in_id: int


class Passes:
    """In memory: the connections of this process end with it as well. Only digests are kept."""

    def __init__(self) -> None:
        self._given: dict[bytes, Pass] = {}

    def give(self, to: Pass) -> str:
        same = [digest for digest, known in self._given.items() if known.session_id == to.session_id]
        for digest in same[: max(0, len(same) - PASSES + 1)]:
            del self._given[digest]
        made = secrets.token_urlsafe(32)
        self._given[_digest(made)] = to
        return made

    def find(self, shown: str, session_id: str) -> Pass | None:
        known = self._given.get(_digest(shown[:200]))
        return known if known and known.session_id == session_id else None

    def forget(self, given: Pass) -> None:
        """Whatever was given to this member's sign-in for this session is good for nothing any more."""
        self._given = {digest: known for digest, known in self._given.items() if known != given}


def _digest(shown: str) -> bytes:
    return hashlib.sha256(shown.encode()).digest()


def purpose(session_id: str, sign_in_id: int) -> str:
    """What a code is for (see ``compagnon.web.ws_tickets``)."""
    return f"tunnel:{session_id}:{sign_in_id}"


def target_of(host: str, port: int) -> str:
    """``host:port`` as a session names it."""
    try:
        bracketed = isinstance(ipaddress.ip_address(host), ipaddress.IPv6Address)
    except ValueError:
        bracketed = False
    return f"[{host}]:{port}" if bracketed else f"{host}:{port}"


def listening_port(target: str) -> int:
    """What to listen on at the member's computer: the target's port where any account may, else 10000 higher."""
    port = int(target.rpartition(":")[2])
    return port if port >= 1024 else port + 10_000
