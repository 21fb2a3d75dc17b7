"""Processes as a machine tells them: hostile until read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from compagnon_agent.protocol.wire import integer, text

LISTED = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """``memory`` in bytes (resident), ``cpu`` in seconds used so far, ``started`` in Unix time."""

    pid: Annotated[int, integer(0, 2**31)]
    name: Annotated[str, text(80)]
    user: Annotated[str, text(80)]
    memory: Annotated[int, integer(0, 2**53)]
    cpu: Annotated[int, integer(0, 2**40)]
    started: Annotated[int, integer(0, 2**40)]
    status: Annotated[str, text(40)]

    @property
    def since(self) -> datetime:
        return datetime.fromtimestamp(self.started, UTC)
