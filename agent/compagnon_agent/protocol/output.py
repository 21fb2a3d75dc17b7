"""What a command printed, as it is kept: its end, as plain text. Pure."""

from __future__ import annotations

import re

from .terms import OUTPUT_LIMIT


class Tail:
    """Keeps the last ``limit`` bytes of what it is fed."""

    def __init__(self, limit: int = OUTPUT_LIMIT) -> None:
        self._limit = limit
        self._data = bytearray()

    def feed(self, data: bytes) -> None:
        self._data += data
        if len(self._data) > 2 * self._limit:
            del self._data[: -self._limit]

    def value(self) -> bytes:
        return bytes(self._data[-self._limit :])


_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def plain(data: bytes, limit: int = OUTPUT_LIMIT) -> str:
    """Text without terminal escapes and control characters, at most ``limit`` bytes of UTF-8, its end kept."""
    text = data.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
    text = _CONTROLS.sub("", _ESCAPES.sub("", text))
    encoded = text.encode()
    return text if len(encoded) <= limit else encoded[-limit:].decode("utf-8", "ignore")
