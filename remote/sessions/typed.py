"""What is typed into a session: one stream for the agent, made of the viewers' own streams, nothing lost or doubled.

Every viewer (one open page) numbers its bytes from 0. A part is accepted once and gets its place in the session's
stream; once the agent acknowledged it the viewer is told, which keeps its own copy until that moment. After a restart
of the server the recording's notes say what was accepted, the agent says what it received, and the viewers send the
rest again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

BUFFER = 64 * 1024  # bytes waiting for the agent; more is not accepted and waits with the viewer
SEGMENTS = 4096


class Segment(NamedTuple):
    """Bytes ``start`` to ``end`` of the session's stream came from ``viewer``; its own stream is at ``upto`` after."""

    start: int
    end: int
    viewer: str
    upto: int


class Typed:
    """Where the session's input stands. ``acknowledged`` ≤ ``end`` are offsets in the session's stream.

    The bytes themselves wait in the agent connection's stream; this knows whose they are.
    """

    __slots__ = ("_segments", "_taken", "acknowledged", "end", "known")

    def __init__(self) -> None:
        self._segments: deque[Segment] = deque(maxlen=SEGMENTS)
        self._taken: dict[str, int] = {}
        self.acknowledged = 0
        self.end = 0
        self.known = True  # False after a restart, until the agent says what it received

    @classmethod
    def restored(cls, notes: Iterable[tuple[str, int, int]]) -> Typed:
        """After a restart: ``notes`` (viewer, its stream, the session's stream) in the order they were made.

        An empty viewer voids what was accepted beyond the given offset of the session's stream.
        """
        typed = cls()
        for viewer, upto, session_upto in notes:
            if not viewer:
                typed._void(session_upto)
            elif session_upto > typed.end:
                typed._segments.append(Segment(typed.end, session_upto, viewer, upto))
                typed._taken[viewer] = upto
                typed.end = session_upto
        typed.known = typed.end == 0
        return typed

    def taken(self, viewer: str) -> int:
        """How far this viewer's stream was accepted."""
        return self._taken.get(viewer, 0)

    def confirmed(self, viewer: str) -> int:
        """How far this viewer's stream has reached the agent: what its page may forget."""
        for segment in self._segments:
            if segment.viewer == viewer:
                return segment.upto - (segment.end - max(segment.start, self.acknowledged))
        return self.taken(viewer)

    def offer(self, viewer: str, offset: int, data: bytes) -> bytes:
        """The part of ``data`` that is new and fits; nothing is accepted yet. Empty: a gap, a repetition, no room."""
        already = self.taken(viewer) - offset
        if not self.known or already < 0 or already >= len(data):
            return b""
        return data[already : already + max(0, BUFFER - (self.end - self.acknowledged))]

    def accept(self, viewer: str, new: bytes) -> None:
        """Take what ``offer`` gave back."""
        upto = self.taken(viewer) + len(new)
        self._segments.append(Segment(self.end, self.end + len(new), viewer, upto))
        self._taken[viewer] = upto
        self.end += len(new)

    def received(self, offset: int) -> dict[str, int]:
        """The agent has everything before ``offset``: how far each concerned viewer's stream arrived.

        Raises ValueError for an offset that was never reached.
        """
        if not self.known:
            return self._settle(offset)
        if not self.acknowledged <= offset <= self.end:
            raise ValueError("acknowledges input that was not sent")
        self.acknowledged = offset
        return self._arrived(offset)

    def _settle(self, offset: int) -> dict[str, int]:
        """After a restart: what the agent did not receive was lost with the server and is taken back."""
        if offset > self.end:
            raise ValueError("acknowledges input that was not sent")
        self._void(offset)
        self.known = True
        self._segments.clear()
        return dict(self._taken)

    def _void(self, offset: int) -> None:
        while self._segments and self._segments[-1].end > offset:
            last = self._segments.pop()
            kept = max(last.start, offset)
            self._taken[last.viewer] = last.upto - (last.end - kept)
            if kept > last.start:
                self._segments.append(Segment(last.start, kept, last.viewer, self._taken[last.viewer]))
        self.end = min(self.end, offset)
        self.acknowledged = self.end

    def _arrived(self, offset: int) -> dict[str, int]:
        arrived: dict[str, int] = {}
        while self._segments and self._segments[0].start < offset:
            segment = self._segments[0]
            arrived[segment.viewer] = segment.upto - max(0, segment.end - offset)
            if segment.end > offset:
                break
            self._segments.popleft()
        return arrived
