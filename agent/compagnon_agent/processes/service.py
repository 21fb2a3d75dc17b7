"""A service, whoever manages it."""

from __future__ import annotations

from dataclasses import dataclass

from ..protocol.processes import Start, State


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """``detail`` is the manager's own word for the state; ``pid`` 0 where it is not known."""

    name: str
    title: str = ""
    state: State = State.UNKNOWN
    detail: str = ""
    start: Start = Start.UNKNOWN
    pid: int = 0
