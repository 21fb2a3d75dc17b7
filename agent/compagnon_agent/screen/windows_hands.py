"""Mouse and keyboard of a Windows desktop, by ``SendInput`` (user32). Written from its documentation, not run yet.

Windows refuses it towards programs that run with more rights than this one (UIPI), and on the secure desktop.
"""

from __future__ import annotations

import ctypes
from typing import Any

_MOUSE, _KEYBOARD = 0, 1
_MOVE, _ABSOLUTE, _WHOLE_DESKTOP = 0x0001, 0x8000, 0x4000
_DOWN_UP = {0: (0x0002, 0x0004), 1: (0x0020, 0x0040), 2: (0x0008, 0x0010)}
_WHEEL, _WHEEL_ACROSS, _NOTCH = 0x0800, 0x1000, 120
_KEY_EXTENDED, _KEY_UP, _KEY_UNICODE = 0x0001, 0x0002, 0x0004
_LEFT, _TOP, _WIDTH, _HEIGHT = 76, 77, 78, 79  # GetSystemMetrics: SM_XVIRTUALSCREEN and after

KEYS = {
    "Enter": 0x0D,
    "Tab": 0x09,
    "Escape": 0x1B,
    "Backspace": 0x08,
    "Delete": 0x2E,
    "Insert": 0x2D,
    "Home": 0x24,
    "End": 0x23,
    "PageUp": 0x21,
    "PageDown": 0x22,
    "ArrowLeft": 0x25,
    "ArrowUp": 0x26,
    "ArrowRight": 0x27,
    "ArrowDown": 0x28,
    "Shift": 0x10,
    "Control": 0x11,
    "Alt": 0x12,
    "AltGraph": 0xA5,
    "Meta": 0x5B,
    "CapsLock": 0x14,
    "ContextMenu": 0x5D,
    "PrintScreen": 0x2C,
    " ": 0x20,
    **{f"F{number}": 0x6F + number for number in range(1, 13)},
}
"""Names of UI Events (W3C) and virtual-key codes."""

EXTENDED = frozenset(
    {
        "Delete",
        "Insert",
        "Home",
        "End",
        "PageUp",
        "PageDown",
        "ArrowLeft",
        "ArrowUp",
        "ArrowRight",
        "ArrowDown",
        "AltGraph",
        "Meta",
        "ContextMenu",
        "PrintScreen",
    }
)


class _MouseInput(ctypes.Structure):
    _fields_ = (
        ("dx", ctypes.c_long),
        ("dy", ctypes.c_long),
        ("data", ctypes.c_ulong),
        ("flags", ctypes.c_ulong),
        ("time", ctypes.c_ulong),
        ("extra", ctypes.c_void_p),
    )


class _KeyboardInput(ctypes.Structure):
    _fields_ = (
        ("key", ctypes.c_ushort),
        ("scan", ctypes.c_ushort),
        ("flags", ctypes.c_ulong),
        ("time", ctypes.c_ulong),
        ("extra", ctypes.c_void_p),
    )


class _Either(ctypes.Union):
    _fields_ = (("mouse", _MouseInput), ("keyboard", _KeyboardInput))


class _Input(ctypes.Structure):
    _fields_ = (("kind", ctypes.c_ulong), ("either", _Either))


def utf16_units(text: str) -> list[int]:
    """``KEYEVENTF_UNICODE`` takes UTF-16 code units, a pair for what is beyond the first plane."""
    raw = text.encode("utf-16-le", "replace")
    return [int.from_bytes(raw[at : at + 2], "little") for at in range(0, len(raw), 2)]


def key_code(name: str) -> int:
    """The virtual-key code; 0 for a name that is not known. Letters and digits are their own capital's code."""
    if name in KEYS:
        return KEYS[name]
    return ord(name.upper()) if len(name) == 1 and name.isascii() and name.isalnum() else 0


class WindowsHands:
    def __init__(self) -> None:
        self._user: Any = ctypes.WinDLL("user32", use_last_error=True)  # type: ignore[attr-defined,unused-ignore]

    def move(self, x: int, y: int) -> None:
        metric = self._user.GetSystemMetrics
        across = (x - metric(_LEFT)) * 65_535 // max(1, metric(_WIDTH) - 1)
        down = (y - metric(_TOP)) * 65_535 // max(1, metric(_HEIGHT) - 1)
        self._mouse(_MouseInput(dx=across, dy=down, flags=_MOVE | _ABSOLUTE | _WHOLE_DESKTOP))

    def button(self, button: int, down: bool) -> None:
        self._mouse(_MouseInput(flags=_DOWN_UP[button][0 if down else 1]))

    def wheel(self, dx: int, dy: int) -> None:
        if dy:
            self._mouse(_MouseInput(data=(-dy * _NOTCH) & 0xFFFF_FFFF, flags=_WHEEL))
        if dx:
            self._mouse(_MouseInput(data=(dx * _NOTCH) & 0xFFFF_FFFF, flags=_WHEEL_ACROSS))

    def key(self, name: str, down: bool) -> None:
        if code := key_code(name):
            flags = (_KEY_EXTENDED if name in EXTENDED else 0) | (0 if down else _KEY_UP)
            self._keyboard(_KeyboardInput(key=code, flags=flags))

    def text(self, text: str) -> None:
        for unit in utf16_units(text.replace("\n", "\r")):
            self._keyboard(_KeyboardInput(scan=unit, flags=_KEY_UNICODE))
            self._keyboard(_KeyboardInput(scan=unit, flags=_KEY_UNICODE | _KEY_UP))

    def give_back(self) -> None:
        """Text is sent as it is: nothing was borrowed for it."""

    def _mouse(self, what: _MouseInput) -> None:
        self._send(_Input(kind=_MOUSE, either=_Either(mouse=what)))

    def _keyboard(self, what: _KeyboardInput) -> None:
        self._send(_Input(kind=_KEYBOARD, either=_Either(keyboard=what)))

    def _send(self, one: _Input) -> None:
        self._user.SendInput(1, ctypes.byref(one), ctypes.sizeof(_Input))
