"""Mouse and keyboard as a member's page tells them: typed and bounded before anything is moved or pressed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Protocol, TypeVar

from ..protocol.wire import WireError, boolean, choice, integer, read_record, text

T = TypeVar("T")

AT_ONCE = 64
WHOLE = 65_535
"""Places on a monitor are told in parts of its width and height, from 0 to this."""


class What(StrEnum):
    MOVE = "move"
    BUTTON = "button"
    WHEEL = "wheel"
    KEY = "key"
    TEXT = "text"
    RELEASE = "release"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """``key`` is a name of UI Events (``Enter``, ``c`` beside a modifier); ``text`` is typed as it is."""

    what: Annotated[What, choice(What)]
    x: Annotated[int, integer(0, WHOLE)] = 0
    y: Annotated[int, integer(0, WHOLE)] = 0
    button: Annotated[int, integer(0, 2)] = 0
    down: Annotated[bool, boolean] = False
    dx: Annotated[int, integer(-20, 20)] = 0
    dy: Annotated[int, integer(-20, 20)] = 0
    key: Annotated[str, text(20)] = ""
    text: Annotated[str, text(20)] = ""


class Hands(Protocol):
    """What a system offers. ``x`` and ``y`` are pixels of the whole desktop, ``button`` 0 left, 1 middle, 2 right."""

    def move(self, x: int, y: int) -> None: ...

    def button(self, button: int, down: bool) -> None: ...

    def wheel(self, dx: int, dy: int) -> None: ...

    def key(self, name: str, down: bool) -> None: ...

    def text(self, text: str) -> None: ...

    def give_back(self) -> None:
        """The keyboard is as it was before ``text``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """A monitor's place on the desktop, in pixels."""

    left: int
    top: int
    width: int
    height: int

    def at(self, x: int, y: int) -> tuple[int, int]:
        across = min(self.width - 1, x * self.width // WHOLE)
        return self.left + across, self.top + min(self.height - 1, y * self.height // WHOLE)


def read_events(raw: object) -> tuple[Event, ...]:
    """Raises ``WireError``."""
    if not isinstance(raw, list) or len(raw) > AT_ONCE:
        raise WireError("events", f"must be a list of at most {AT_ONCE}")
    return tuple(read_record(Event, item, "events") for item in raw)


class Doer:
    """Does events with somebody's hands, and lets go of everything that is still held."""

    def __init__(self, hands: Hands) -> None:
        self._hands = hands
        self._keys: list[str] = []
        self._buttons: list[int] = []

    def do(self, event: Event, area: Area) -> None:
        if event.what is What.MOVE:
            self._hands.move(*area.at(event.x, event.y))
        elif event.what is What.BUTTON:
            _hold(self._buttons, event.button, event.down)
            self._hands.button(event.button, event.down)
        elif event.what is What.WHEEL:
            self._hands.wheel(event.dx, event.dy)
        elif event.what is What.KEY and event.key:
            _hold(self._keys, event.key, event.down)
            self._hands.key(event.key, event.down)
        elif event.what is What.TEXT:
            self._hands.text(event.text)
        elif event.what is What.RELEASE:
            self.release()

    def release(self) -> None:
        for key in reversed(self._keys):
            self._hands.key(key, False)
        for button in self._buttons:
            self._hands.button(button, False)
        self._keys.clear()
        self._buttons.clear()
        self._hands.give_back()


def _hold(held: list[T], which: T, down: bool) -> None:
    if which in held:
        held.remove(which)
    if down:
        held.append(which)
