"""What pages and agents say about a screen, read as hostile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from compagnon_agent.protocol.tiles import MONITORS, WIDEST
from compagnon_agent.protocol.wire import JSON, WireError, integer, read_record

CONTROL = "screen.control"
MOST = 160_000  # bytes of picture a second
WHOLE = 65_535  # places are told in parts of the monitor's width and height
EVENTS_AT_ONCE = 64
EVENTS_WAITING = 512
NARROWEST = 320
_KINDS: Mapping[str, tuple[str, ...]] = {
    "move": ("x", "y"),
    "button": ("button", "down"),
    "wheel": ("dx", "dy"),
    "key": ("key", "down"),
    "text": ("text",),
    "release": (),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Monitor:
    width: Annotated[int, integer(1, 100_000)]
    height: Annotated[int, integer(1, 100_000)]

    @classmethod
    def several(cls, answer: Mapping[str, JSON]) -> list[Monitor]:
        """Raises WireError."""
        raw = answer.get("monitors")
        if not isinstance(raw, list) or not 1 <= len(raw) <= MONITORS:
            raise WireError("monitors", f"must be a list of 1 to {MONITORS}")
        return [read_record(cls, item, "monitors") for item in raw]


def _number(note: Mapping[str, Any], name: str, low: int, high: int, default: int) -> int:
    """Raises ValueError."""
    value = note.get(name, default)
    if type(value) is not int or not low <= value <= high:
        raise ValueError(f"{name} must be between {low} and {high}")
    return value


def wanted_view(note: Mapping[str, Any]) -> tuple[int, int]:
    """Monitor (0: no wish) and width. Raises ValueError."""
    return _number(note, "monitor", 0, MONITORS, 0), _number(note, "width", NARROWEST, WIDEST, 1280)


def pointed(note: Mapping[str, Any]) -> tuple[int, int]:
    """Raises ValueError."""
    return _number(note, "x", 0, WHOLE, -1), _number(note, "y", 0, WHOLE, -1)


def events_of(note: Mapping[str, Any]) -> list[dict[str, JSON]]:
    """A page's events with nothing in them but what their kind has; the agent reads their values again.

    Raises ValueError.
    """
    raw = note.get("events")
    if not isinstance(raw, list) or len(raw) > EVENTS_AT_ONCE:
        raise ValueError("events must be a short list")
    return [_event(item) for item in raw]


def _event(item: object) -> dict[str, JSON]:
    if not isinstance(item, dict) or item.get("what") not in _KINDS:
        raise ValueError("there is no such event")
    kept: dict[str, JSON] = {"what": item["what"]}
    for name in _KINDS[item["what"]]:
        value = item.get(name)
        if not isinstance(value, bool | int | str) or (isinstance(value, str) and len(value) > 20):
            raise ValueError(f"{name} does not fit")
        kept[name] = value
    return kept
