"""Mouse and keyboard of an X11 desktop, by its XTEST extension (libX11 and libXtst, which every such desktop has)."""

from __future__ import annotations

import ctypes
import ctypes.util
import time
from collections import OrderedDict
from typing import Any

SHIFT = "Shift"
_NO_SYMBOL = 0
_SPARE_LEVELS = 4
_SETTLED = 0.2  # seconds in which a program has looked up the last key
_BUTTONS = {0: 1, 1: 2, 2: 3}
_WHEEL_UP, _WHEEL_DOWN, _WHEEL_LEFT, _WHEEL_RIGHT = 4, 5, 6, 7

NAMED = {
    "Enter": "Return",
    "Tab": "Tab",
    "Escape": "Escape",
    "Backspace": "BackSpace",
    "Delete": "Delete",
    "Insert": "Insert",
    "Home": "Home",
    "End": "End",
    "PageUp": "Prior",
    "PageDown": "Next",
    "ArrowLeft": "Left",
    "ArrowRight": "Right",
    "ArrowUp": "Up",
    "ArrowDown": "Down",
    "Shift": "Shift_L",
    "Control": "Control_L",
    "Alt": "Alt_L",
    "AltGraph": "ISO_Level3_Shift",
    "Meta": "Super_L",
    "CapsLock": "Caps_Lock",
    "ContextMenu": "Menu",
    "PrintScreen": "Print",
    " ": "space",
    **{f"F{number}": f"F{number}" for number in range(1, 13)},
}
"""Names of UI Events (W3C) and X11's names of the same keys."""


def keysym_of(character: str) -> int:
    """X11 protocol, appendix A: Latin-1 is itself, everything else its code point above 0x01000000."""
    code = ord(character)
    if character == "\n":
        return 0xFF0D
    return code if 0x20 <= code <= 0x7E or 0xA0 <= code <= 0xFF else 0x0100_0000 + code


class XHands:
    """Raises ``OSError`` when there is no display or it lacks XTEST."""

    def __init__(self) -> None:
        self._x, self._test = _library("X11"), _library("Xtst")
        self._declare()
        self._display = self._x.XOpenDisplay(None)
        if not self._display:
            raise OSError("there is no X display")
        numbers = [ctypes.byref(ctypes.c_int()) for _ in range(4)]
        if not self._test.XTestQueryExtension(self._display, *numbers):
            raise OSError("this display does not take a mouse and keyboard from programs (XTEST)")
        self._shifted = False
        self._lent: OrderedDict[int, int] = OrderedDict()  # a character and the key it has borrowed
        self._spares: list[int] | None = None

    def _declare(self) -> None:
        x, test = self._x, self._test
        x.XOpenDisplay.restype = ctypes.c_void_p
        x.XStringToKeysym.restype = ctypes.c_ulong
        x.XKeysymToKeycode.argtypes = [ctypes.c_void_p, ctypes.c_ulong]
        x.XKeysymToKeycode.restype = ctypes.c_ubyte
        x.XkbKeycodeToKeysym.argtypes = [ctypes.c_void_p, ctypes.c_ubyte, ctypes.c_uint, ctypes.c_uint]
        x.XkbKeycodeToKeysym.restype = ctypes.c_ulong
        x.XFlush.argtypes = x.XSync.argtypes = [ctypes.c_void_p]
        x.XSync.argtypes = [ctypes.c_void_p, ctypes.c_int]
        x.XDisplayKeycodes.argtypes = [ctypes.c_void_p, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int)]
        x.XChangeKeyboardMapping.argtypes = [
            ctypes.c_void_p,
            ctypes.c_int,
            ctypes.c_int,
            ctypes.POINTER(ctypes.c_ulong),
            ctypes.c_int,
        ]
        test.XTestQueryExtension.argtypes = [ctypes.c_void_p, *[ctypes.c_void_p] * 4]
        test.XTestFakeKeyEvent.argtypes = [ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_ulong]
        test.XTestFakeButtonEvent.argtypes = [ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_ulong]
        test.XTestFakeMotionEvent.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_ulong]

    # -- the mouse

    def move(self, x: int, y: int) -> None:
        self._test.XTestFakeMotionEvent(self._display, -1, x, y, 0)
        self._x.XFlush(self._display)

    def button(self, button: int, down: bool) -> None:
        self._press_button(_BUTTONS[button], down)

    def wheel(self, dx: int, dy: int) -> None:
        for count, less, more in ((dy, _WHEEL_UP, _WHEEL_DOWN), (dx, _WHEEL_LEFT, _WHEEL_RIGHT)):
            for _ in range(abs(count)):
                self._press_button(less if count < 0 else more, True)
                self._press_button(less if count < 0 else more, False)

    def _press_button(self, number: int, down: bool) -> None:
        self._test.XTestFakeButtonEvent(self._display, number, down, 0)
        self._x.XFlush(self._display)

    # -- the keyboard

    def key(self, name: str, down: bool) -> None:
        """A name that this system does not know is left alone."""
        keysym = self._x.XStringToKeysym(NAMED[name].encode()) if name in NAMED else 0
        if not keysym and len(name) == 1:
            keysym = keysym_of(name)
        code = self._x.XKeysymToKeycode(self._display, keysym) if keysym else 0
        if code:
            self._shifted = down if name == SHIFT else self._shifted
            self._press(code, down)

    def text(self, text: str) -> None:
        for character in text:
            self._type(keysym_of(character))

    def _type(self, keysym: int) -> None:
        """With the key of this keyboard's own layout that makes it, or with a spare one that is lent to it."""
        code = self._x.XKeysymToKeycode(self._display, keysym)
        level = self._level(code, keysym)
        if level is None:
            self._strike(self._lend(keysym), shift=False)
        else:
            self._strike(code, shift=level == 1)

    def _level(self, code: int, keysym: int) -> int | None:
        if not code:
            return None
        levels = [level for level in (0, 1) if self._x.XkbKeycodeToKeysym(self._display, code, 0, level) == keysym]
        return levels[0] if levels else None

    def _strike(self, code: int, *, shift: bool) -> None:
        shift_code = self._x.XKeysymToKeycode(self._display, self._x.XStringToKeysym(b"Shift_L"))
        other = shift is not self._shifted
        if other:
            self._press(shift_code, shift)
        self._press(code, True)
        self._press(code, False)
        if other:
            self._press(shift_code, not shift)

    def _lend(self, keysym: int) -> int:
        """A key for this character. It keeps it as long as it can: programs look late what a key means."""
        if keysym in self._lent:
            self._lent.move_to_end(keysym)
            return self._lent[keysym]
        spares = self._spare_keys()
        code = spares[len(self._lent)] if len(self._lent) < len(spares) else self._lent.popitem(last=False)[1]
        self._lent[keysym] = code
        self._map(code, keysym)
        return code

    def _spare_keys(self) -> list[int]:
        """Those without a meaning on this keyboard; one at least."""
        if self._spares is None:
            lowest, highest = ctypes.c_int(), ctypes.c_int()
            self._x.XDisplayKeycodes(self._display, ctypes.byref(lowest), ctypes.byref(highest))
            codes = range(highest.value, lowest.value - 1, -1)
            self._spares = [code for code in codes if not self._means_something(code)] or [highest.value]
        return self._spares

    def _means_something(self, code: int) -> bool:
        return any(self._x.XkbKeycodeToKeysym(self._display, code, 0, level) for level in range(_SPARE_LEVELS))

    def give_back(self) -> None:
        if self._lent:
            time.sleep(_SETTLED)
        for code in self._lent.values():
            self._map(code, _NO_SYMBOL)
        self._lent.clear()

    def _map(self, code: int, keysym: int) -> None:
        symbols = (ctypes.c_ulong * 2)(keysym, keysym)
        self._x.XChangeKeyboardMapping(self._display, code, 2, symbols, 1)
        self._x.XSync(self._display, 0)

    def _press(self, code: int, down: bool) -> None:
        self._test.XTestFakeKeyEvent(self._display, code, down, 0)
        self._x.XFlush(self._display)


def _library(name: str) -> Any:  # noqa: ANN401 - a C library has no types of its own
    found = ctypes.util.find_library(name)
    if found is None:
        raise OSError(f"lib{name} is not installed")
    return ctypes.CDLL(found)
