"""Mouse and keyboard of a macOS desktop, by Quartz events. Written from its documentation, not run yet.

macOS lets a program do this once somebody has allowed it under Privacy & Security, Accessibility (and, to look, under
Screen Recording).
"""

from __future__ import annotations

import ctypes
import ctypes.util
from typing import Any

_HID = 0  # kCGHIDEventTap
_MOVED = 5
_PRESSED = {0: (1, 2, 6), 1: (25, 26, 27), 2: (3, 4, 7)}  # down, up, dragged (kCGEvent…)
_BUTTON = {0: 0, 1: 2, 2: 1}  # kCGMouseButtonLeft, Center, Right
_LINES = 1  # kCGScrollEventUnitLine
_FLAGS = {"Shift": 1 << 17, "Control": 1 << 18, "Alt": 1 << 19, "AltGraph": 1 << 19, "Meta": 1 << 20}

KEYS = {
    "Enter": 36,
    "Tab": 48,
    "Escape": 53,
    "Backspace": 51,
    "Delete": 117,
    "Home": 115,
    "End": 119,
    "PageUp": 116,
    "PageDown": 121,
    "ArrowLeft": 123,
    "ArrowRight": 124,
    "ArrowDown": 125,
    "ArrowUp": 126,
    "Shift": 56,
    "Control": 59,
    "Alt": 58,
    "AltGraph": 61,
    "Meta": 55,
    "CapsLock": 57,
    " ": 49,
    "a": 0,
    "s": 1,
    "d": 2,
    "f": 3,
    "h": 4,
    "g": 5,
    "z": 6,
    "x": 7,
    "c": 8,
    "v": 9,
    "b": 11,
    "q": 12,
    "w": 13,
    "e": 14,
    "r": 15,
    "y": 16,
    "t": 17,
    "o": 31,
    "u": 32,
    "i": 34,
    "p": 35,
    "l": 37,
    "j": 38,
    "k": 40,
    "n": 45,
    "m": 46,
    "F1": 122,
    "F2": 120,
    "F3": 99,
    "F4": 118,
    "F5": 96,
    "F6": 97,
    "F7": 98,
    "F8": 100,
    "F9": 101,
    "F10": 109,
    "F11": 103,
    "F12": 111,
}
"""Names of UI Events (W3C) and virtual key codes of an ANSI keyboard (HIToolbox/Events.h)."""


class _Point(ctypes.Structure):
    _fields_ = (("x", ctypes.c_double), ("y", ctypes.c_double))


class MacHands:
    """Raises ``OSError`` where Quartz is not there."""

    def __init__(self) -> None:
        self._quartz, self._core = _library("ApplicationServices"), _library("CoreFoundation")
        self._declare()
        self._at = _Point(0, 0)
        self._held: list[int] = []
        self._flags = 0

    def _declare(self) -> None:
        quartz = self._quartz
        for make in ("CGEventCreateMouseEvent", "CGEventCreateKeyboardEvent", "CGEventCreateScrollWheelEvent"):
            getattr(quartz, make).restype = ctypes.c_void_p
        quartz.CGEventCreateMouseEvent.argtypes = [ctypes.c_void_p, ctypes.c_uint32, _Point, ctypes.c_uint32]
        quartz.CGEventCreateKeyboardEvent.argtypes = [ctypes.c_void_p, ctypes.c_uint16, ctypes.c_bool]
        quartz.CGEventPost.argtypes = [ctypes.c_uint32, ctypes.c_void_p]
        quartz.CGEventSetFlags.argtypes = [ctypes.c_void_p, ctypes.c_uint64]
        quartz.CGEventKeyboardSetUnicodeString.argtypes = [
            ctypes.c_void_p,
            ctypes.c_ulong,
            ctypes.POINTER(ctypes.c_uint16),
        ]
        self._core.CFRelease.argtypes = [ctypes.c_void_p]

    def move(self, x: int, y: int) -> None:
        self._at = _Point(x, y)
        kind = _PRESSED[self._held[-1]][2] if self._held else _MOVED
        self._mouse(kind, self._held[-1] if self._held else 0)

    def button(self, button: int, down: bool) -> None:
        self._held = [held for held in self._held if held != button] + ([button] if down else [])
        self._mouse(_PRESSED[button][0 if down else 1], button)

    def wheel(self, dx: int, dy: int) -> None:
        create = self._quartz.CGEventCreateScrollWheelEvent
        self._post(create(None, _LINES, ctypes.c_uint32(2), ctypes.c_int32(-dy), ctypes.c_int32(-dx)))

    def key(self, name: str, down: bool) -> None:
        code = KEYS.get(name, KEYS.get(name.lower()) if len(name) == 1 else None)
        if code is None:
            return
        flag = _FLAGS.get(name, 0)
        self._flags = self._flags | flag if down else self._flags & ~flag
        event = self._quartz.CGEventCreateKeyboardEvent(None, code, down)
        self._quartz.CGEventSetFlags(event, self._flags)
        self._post(event)

    def text(self, text: str) -> None:
        for character in text.replace("\n", "\r"):
            raw = character.encode("utf-16-le", "replace")
            units = (ctypes.c_uint16 * (len(raw) // 2)).from_buffer_copy(raw)
            for down in (True, False):
                event = self._quartz.CGEventCreateKeyboardEvent(None, 0, down)
                self._quartz.CGEventKeyboardSetUnicodeString(event, len(units), units)
                self._post(event)

    def give_back(self) -> None:
        """Text is sent as it is: nothing was borrowed for it."""

    def _mouse(self, kind: int, button: int) -> None:
        self._post(self._quartz.CGEventCreateMouseEvent(None, kind, self._at, _BUTTON[button]))

    def _post(self, event: int | None) -> None:
        if event:
            self._quartz.CGEventPost(_HID, event)
            self._core.CFRelease(event)


def _library(name: str) -> Any:  # noqa: ANN401 - a C library has no types of its own
    found = ctypes.util.find_library(name)
    if found is None:
        raise OSError(f"{name} is not there")
    return ctypes.CDLL(found)
