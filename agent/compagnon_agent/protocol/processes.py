"""The words in which an agent and its server speak of processes and services."""

from __future__ import annotations

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


class Manager(StrEnum):
    """``NONE``: nothing on this machine manages services that this agent knows."""

    SYSTEMD = "systemd"
    SYSV = "sysv"
    WINDOWS = "windows"
    LAUNCHD = "launchd"
    NONE = "none"


class Turn(StrEnum):
    """How a process takes its turn on the processors: as usual, after others, when nobody else wants to."""

    NORMAL = "normal"
    LOW = "low"
    IDLE = "idle"
