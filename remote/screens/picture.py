"""The picture of a screen as the server keeps it, and what of it a page still lacks. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from compagnon_agent.protocol.tiles import Kind, Record

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


def rate_for(size: int, limit: int, most: int) -> int:
    """Bytes a second that a recording of ``size`` can still take: all until it is half full, then less and less.

    So a screen that moves all the time is recorded for hours, and the session is not ended by its recording.
    """
    return max(8_000, int(most * min(1.0, 2 * (1 - size / limit))))
