"""The picture of a screen as the server keeps it, and what of it a page still lacks. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from compagnon_agent.protocol.tiles import Kind, Record

IN_FILE = 1.4  # bytes in the recording for one of the picture: base64 and the chain
HASTE = 8
LEAST = 1_000
WINDOW = 192 * 1024  # bytes on their way to a page; beyond them it gets what is newest then


@dataclass(slots=True, kw_only=True)
class Place:
    version: int
    record: Record


class Picture:
    """The newest tile of each place, in the order in which they came."""

    def __init__(self) -> None:
        self.screen: Record | None = None
        self.generation = 0
        self._version = 0
        self._places: dict[tuple[int, int], Place] = {}

    def take(self, record: Record) -> None:
        self._version += 1
        if record.kind is Kind.SCREEN:
            self.screen = record
            self.generation += 1
            self._places = {}
            return
        at = (record.x, record.y)
        self._places.pop(at, None)  # the newest is the last
        self._places[at] = Place(version=self._version, record=record)

    @property
    def size(self) -> int:
        """Bytes kept."""
        return sum(len(place.record.payload) for place in self._places.values())

    def after(self, version: int) -> Place | None:
        """The oldest of those that are newer than ``version``."""
        newer = None
        for place in reversed(self._places.values()):
            if place.version <= version:
                break
            newer = place
        return newer


@dataclass(slots=True)
class Eye:
    """How much of the picture one page has. ``sent`` and ``drawn`` count bytes."""

    generation: int = 0
    version: int = 0
    sent: int = 0
    drawn: int = 0
    width: int = field(default=1280)

    def next(self, picture: Picture) -> Record | None:
        """What to send now; None when it has everything, or must draw first."""
        if picture.screen is None or self.sent - self.drawn >= WINDOW:
            return None
        if self.generation != picture.generation:
            self.generation, self.version = picture.generation, 0
            return picture.screen
        place = picture.after(self.version)
        if place is None:
            return None
        self.version = place.version
        return place.record

    def drew(self, upto: int) -> None:
        self.drawn = min(max(self.drawn, upto), self.sent)


def rate_for(size: int, limit: int, most: int, left: float) -> int:
    """Bytes of picture a second, so that the recording lasts as long as the consent does (``left`` seconds).

    ``most`` until a quarter of the recording is full; then what it can still take, spent faster at first, so that a
    screen that moves all the time is seen worse and worse instead of ending the session.
    """
    if size < limit // 4:
        return most
    spread = max(0, limit * 9 // 10 - size) / (IN_FILE * max(left, 60.0))  # a tenth is left for the slowest rate
    return max(LEAST, min(most, int(HASTE * spread)))
