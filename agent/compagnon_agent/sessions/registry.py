"""Which capabilities this agent has. A module is imported when its first session opens: an idle agent stays small."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping

from .capability import Capability

TERMINAL = "terminal"
_CLASSES: Mapping[str, tuple[str, str]] = {
    "files": ("files.capability", "Files"),
    "processes": ("processes", "Processes"),
    "logs": ("logs", "Logs"),
    "chat": ("chat", "Chat"),
    "tunnel": ("tunnel", "Tunnel"),
    "screen": ("screen", "Screen"),
}
_NEEDS: Mapping[str, tuple[str, ...]] = {"screen": ("mss", "PIL")}
"""Packages of an extra (``compagnon-agent[screen]``) without which a capability is not offered."""


def names() -> tuple[str, ...]:
    """What can be asked for here, told to the server at each connection."""
    return (TERMINAL, *filter(_has, _CLASSES))


def _has(name: str) -> bool:
    return all(importlib.util.find_spec(package) for package in _NEEDS.get(name, ()))


def capability(name: str) -> type[Capability] | None:
    """None: this agent does not have it."""
    if name not in _CLASSES or not _has(name):
        return None
    module, cls = _CLASSES[name]
    found: type[Capability] = getattr(importlib.import_module(f".{module}", __package__), cls)
    return found
