"""What of a picture must be sent so that who has the one before sees this one: the tiles that changed, within a budget.

Needs Pillow; imported only where it is there.
"""

from __future__ import annotations

import io
from collections.abc import Iterator

from PIL import Image, ImageChops

from ..protocol.tiles import SIDE, TILE_LIMIT, Kind, Record

FINE, MIDDLE, COARSE = 80, 55, 35
CALM, BUSY = 12, 40
"""So many changed tiles are few, and many: the quality falls with their number."""

REFINED = 6
"""Tiles of low quality that are sent again at once when nothing else changed."""

Place = tuple[int, int]


class Painter:
    """One for each picture that somebody is kept up to date with."""

    def __init__(self) -> None:
        self._sent: Image.Image | None = None
        self._quality: dict[Place, int] = {}
        self._about: tuple[int, ...] = ()
        self._turn = 0

    def paint(self, now: Image.Image, *, monitor: int, monitors: int, budget: int) -> bytes:
        """Records of at most ``budget`` bytes (one tile at least, when any changed). ``now`` is RGB."""
        head = self._head(now, monitor, monitors)
        assert self._sent is not None
        changed = list(self._changed(now))
        quality = FINE if len(changed) <= CALM else MIDDLE if len(changed) <= BUSY else COARSE
        tiles = [(place, quality) for place in self._in_turn(changed)]
        if not changed:
            tiles = [(place, FINE) for place, had in self._quality.items() if had < FINE][:REFINED]
        return head + b"".join(self._within(now, tiles, budget))

    def _head(self, now: Image.Image, monitor: int, monitors: int) -> bytes:
        about = (*now.size, monitor, monitors)
        if about == self._about:
            return b""
        self._about = about
        self._sent = Image.new("RGB", now.size)
        self._quality = {}
        record = Record(kind=Kind.SCREEN, x=monitor, y=monitors, width=now.width, height=now.height)
        return record.encode()

    def _changed(self, now: Image.Image) -> Iterator[Place]:
        """Tiles that differ from what was sent, or were never sent."""
        assert self._sent is not None
        difference = ImageChops.difference(now, self._sent)
        box = difference.getbbox()
        for y in range(0, now.height, SIDE):
            for x in range(0, now.width, SIDE):
                new = (x, y) not in self._quality
                touched = box is not None and x < box[2] and y < box[3] and x + SIDE > box[0] and y + SIDE > box[1]
                if new or (touched and difference.crop(_box(now, x, y)).getbbox()):
                    yield x, y

    def _in_turn(self, changed: list[Place]) -> list[Place]:
        """Beginning behind the last one that was sent, so that a film in one corner leaves room for the others."""
        places = sorted(changed, key=lambda place: (place[1], place[0]))
        behind = [place for place in places if place[1] * 10_000 + place[0] > self._turn]
        return behind + [place for place in places if place not in behind]

    def _within(self, now: Image.Image, tiles: list[tuple[Place, int]], budget: int) -> Iterator[bytes]:
        assert self._sent is not None
        spent = 0
        for (x, y), quality in tiles:
            part = now.crop(_box(now, x, y))
            data = Record(
                kind=Kind.TILE, x=x, y=y, width=part.width, height=part.height, payload=_jpeg(part, quality)
            ).encode()
            if spent and spent + len(data) > budget:
                return
            spent += len(data)
            self._sent.paste(part, (x, y))
            self._quality[(x, y)] = quality
            self._turn = y * 10_000 + x
            yield data


def _box(image: Image.Image, x: int, y: int) -> tuple[int, int, int, int]:
    return x, y, min(x + SIDE, image.width), min(y + SIDE, image.height)


def _jpeg(part: Image.Image, quality: int) -> bytes:
    for attempt in (quality, COARSE, 10):
        out = io.BytesIO()
        part.save(out, "JPEG", quality=attempt, optimize=True)
        if out.tell() <= TILE_LIMIT:
            break
    return out.getvalue()
