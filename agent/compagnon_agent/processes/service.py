"""A service, whoever manages it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """``DONE``: it ran and ended as it should. ``MOVING``: starting or stopping."""

    RUNNING = "running"
    STOPPED = "stopped"
    FAILED = "failed"
    DONE = "done"
    MOVING = "moving"
    UNKNOWN = "unknown"


class Start(StrEnum):
    """Whether it starts with the machine. ``STATIC``: when something else needs it. ``MASKED``: it cannot start."""

    AUTO = "auto"
    MANUAL = "manual"
    DISABLED = "disabled"
    STATIC = "static"
    MASKED = "masked"
    UNKNOWN = "unknown"


class Action(StrEnum):
    START = "start"
    STOP = "stop"
    RESTART = "restart"
    ENABLE = "enable"
    DISABLE = "disable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """``detail`` is the manager's own word for the state; ``pid`` 0 where it is not known."""

    name: str
    title: str = ""
    state: State = State.UNKNOWN
    detail: str = ""
    start: Start = Start.UNKNOWN
    pid: int = 0
