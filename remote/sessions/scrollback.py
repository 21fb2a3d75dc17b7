"""The end of a session's output, addressed by its absolute offset, for whoever joins late, reloads or falls behind."""

from __future__ import annotations

import re

SCROLLBACK = 1 << 20  # bytes kept for those who join
SLACK = SCROLLBACK // 4  # trimmed in steps, so that trimming costs nothing per key
CATCH_UP = 128 * 1024  # bytes a slow viewer is brought up to date with

# DEC private modes that change how everything after them looks or is typed (xterm control sequences, DECSET).
MODE = re.compile(rb"\x1b\[\?([0-9;]{1,24})([hl])")
KEPT_MODES = frozenset({1, 7, 25, 47, 1000, 1002, 1003, 1005, 1006, 1015, 1047, 1049, 2004})


class Scrollback:
    """The bytes from ``base`` to ``end``. ``modes`` are the private modes in force at ``base``."""

    __slots__ = ("_data", "base", "modes")

    def __init__(self, tail: bytes = b"", *, end: int = 0) -> None:
        self._data = bytearray(tail)
        self.base = end - len(tail)
        self.modes: dict[int, bool] = {}

    @property
    def end(self) -> int:
        return self.base + len(self._data)

    def append(self, data: bytes) -> None:
        self._data += data
        if len(self._data) > SCROLLBACK + SLACK:
            self._forget(len(self._data) - SCROLLBACK)

    def _forget(self, count: int) -> None:
        _follow(self.modes, bytes(self._data[:count]))
        del self._data[:count]
        self.base += count

    def read(self, offset: int, limit: int) -> bytes:
        """Up to ``limit`` bytes from ``offset``, which is between base and end (or behind the end: empty)."""
        start = offset - self.base
        return bytes(self._data[start : start + limit])

    def holds(self, offset: int) -> bool:
        return offset >= self.base

    def snapshot(self, *, keep: int = SCROLLBACK) -> tuple[bytes, int]:
        """Where to start showing from when what was shown before does not count: a prefix and an offset.

        The offset is the beginning of a line within the last ``keep`` bytes, the prefix brings a reset terminal into
        the modes in force there.
        """
        start = max(0, len(self._data) - keep)
        if start or self.base:
            newline = self._data.find(b"\n", start)
            start = newline + 1 if newline >= 0 else start
        modes = dict(self.modes)
        _follow(modes, bytes(self._data[:start]))
        return _as_sequences(modes), self.base + start


def _follow(modes: dict[int, bool], data: bytes) -> None:
    for numbers, letter in MODE.findall(data):
        for number in numbers.split(b";"):
            if number and int(number) in KEPT_MODES:
                modes[int(number)] = letter == b"h"


def _as_sequences(modes: dict[int, bool]) -> bytes:
    return b"".join(b"\x1b[?%d%c" % (number, b"h" if on else b"l") for number, on in modes.items())
