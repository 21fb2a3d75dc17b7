"""Which capabilities this agent has. A module is imported when its first session opens: an idle agent stays small."""

from __future__ import annotations

import importlib
from collections.abc import Mapping

from .capability import Capability

TERMINAL = "terminal"
_CLASSES: Mapping[str, tuple[str, str]] = {
    "files": ("files.capability", "Files"),
    "processes": ("processes", "Processes"),
    "logs": ("logs", "Logs"),
    "chat": ("chat", "Chat"),
    "tunnel": ("tunnel", "Tunnel"),
}


def names() -> tuple[str, ...]:
    """What can be asked for here, told to the server at each connection."""
    return (TERMINAL, *_CLASSES)


def capability(name: str) -> type[Capability] | None:
    """None: this agent does not have it."""
    if name not in _CLASSES:
        return None
    module, cls = _CLASSES[name]
    found: type[Capability] = getattr(importlib.import_module(f".{module}", __package__), cls)
    return found
