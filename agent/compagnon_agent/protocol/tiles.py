"""A screen on the wire: records, one after the other, on one channel of a ``screen`` session.

A record is a head of 13 bytes (kind u8; x, y, width, height u16; length u32; big-endian) and so many bytes.
``SCREEN`` says how large the picture is that the tiles after it belong to (x: which monitor, from 1; y: how many there
are). A ``TILE`` is a JPEG of the place (x, y) on the grid. No I/O.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

from .wire import WireError

SIDE = 128
"""Pixels of a tile's side; at the right and lower edge tiles are smaller."""

WIDEST, HIGHEST = 3840, 2400
TILE_LIMIT = 60_000
"""Bytes of one tile, at most: it fits into one frame of a page."""

MONITORS = 16
_HEAD = struct.Struct(">BHHHHI")
_JPEG = b"\xff\xd8"


class Kind(IntEnum):
    SCREEN = 1
    TILE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    kind: Kind
    x: int
    y: int
    width: int
    height: int
    payload: bytes = b""

    def encode(self) -> bytes:
        return _HEAD.pack(self.kind, self.x, self.y, self.width, self.height, len(self.payload)) + self.payload


class Reader:
    """Bytes in, records out; whatever breaks the rules raises ``WireError``."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._width = self._height = 0

    def feed(self, data: bytes) -> list[Record]:
        self._rest += data
        found = []
        while (record := self._next()) is not None:
            found.append(record)
        return found

    def _next(self) -> Record | None:
        if len(self._rest) < _HEAD.size:
            return None
        kind, x, y, width, height, length = _HEAD.unpack_from(self._rest)
        self._check(kind, x, y, width, height, length)
        if len(self._rest) < _HEAD.size + length:
            return None
        payload = bytes(self._rest[_HEAD.size : _HEAD.size + length])
        del self._rest[: _HEAD.size + length]
        if kind == Kind.SCREEN:
            self._width, self._height = width, height
        elif not payload.startswith(_JPEG):
            raise WireError("tile", "is no JPEG")
        return Record(kind=Kind(kind), x=x, y=y, width=width, height=height, payload=payload)

    def _check(self, kind: int, x: int, y: int, width: int, height: int, length: int) -> None:
        if kind == Kind.SCREEN:
            fits = 0 < width <= WIDEST and 0 < height <= HIGHEST and 1 <= x <= y <= MONITORS and length == 0
        elif kind == Kind.TILE:
            on_grid = x % SIDE == 0 and y % SIDE == 0 and x < self._width and y < self._height
            same = width == min(SIDE, self._width - x) and height == min(SIDE, self._height - y)
            fits = on_grid and same and 0 < length <= TILE_LIMIT
        else:
            raise WireError("screen", "has no such record")
        if not fits:
            raise WireError("screen", "a record does not fit")
