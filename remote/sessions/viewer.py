"""One open page of a session: sends what the room has, at the page's own pace."""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from compagnon_agent.protocol import frames
from remote.sessions.scrollback import CATCH_UP, Scrollback
from remote.wire import NORMAL, TRY_AGAIN, Wire

if TYPE_CHECKING:
    from remote.sessions.room import Room

WINDOW = 256 * 1024  # bytes on their way to the page and not yet drawn there
CHUNK = 32 * 1024
PATIENCE = 60.0  # seconds without room for more: a page survives a cut of a minute, and only its own task waits
HINTS = 16  # messages that may wait before hints are left out
POINT_EVERY = 0.05  # seconds between two places that a page points at
NOTES = 64  # messages beside the frames that may wait; a page that does not take them is cut off


class Viewer:
    """``sent`` and ``drawn`` are offsets in the session's output; nothing is queued but short messages.

    A page that falls out of the scrollback is brought up to date with a snapshot; it slows nobody else down.
    """

    __slots__ = (
        "_busy",
        "_notes",
        "_wake",
        "allowed",
        "drawn",
        "finished",
        "heard",
        "held",
        "key",
        "member_id",
        "name",
        "overrun",
        "pointed_at",
        "sent",
        "wire",
    )

    def __init__(self, wire: Wire, *, key: str, member_id: int, name: str, offset: int | None) -> None:
        self.wire = wire
        self.key = key
        self.member_id = member_id
        self.name = name
        self.sent = self.drawn = -1 if offset is None else offset
        self.held = False  # its typing was not accepted: it waits to be asked for it again
        self.overrun = False
        self.allowed = True
        self.finished = False
        self.heard = time.monotonic()
        self.pointed_at = 0.0
        self._notes: deque[str] = deque()
        self._wake = asyncio.Event()
        self._busy = True  # ``send_all`` is sending, or has not begun: nothing may overtake it

    def hear(self) -> None:
        """Any message is a sign of life."""
        self.heard = time.monotonic()

    def wake(self) -> None:
        self._wake.set()

    def tell(self, kind: str, **facts: Any) -> None:  # noqa: ANN401 - any JSON
        """Queue a message beside the frames."""
        if len(self._notes) >= NOTES:
            self.overrun = True
        else:
            self._notes.append(json.dumps({"type": kind, **facts}))
        self._wake.set()

    def hint(self, kind: str, **facts: Any) -> None:  # noqa: ANN401 - any JSON
        """Queue a message that may as well be left out."""
        if len(self._notes) < HINTS:
            self.tell(kind, **facts)

    def may_point(self, now: float) -> bool:
        """Not more often than can be seen."""
        if now - self.pointed_at < POINT_EVERY:
            return False
        self.pointed_at = now
        return True

    def finish(self, reason: str) -> None:
        """The session is over: say so after the last output, then close."""
        self.finished = True
        self.tell("ended", reason=reason)

    def acknowledge(self, upto: int) -> None:
        """The page may forget what it typed before ``upto``: the agent has it."""
        self.tell("typed", upto=upto)

    def drew(self, offset: int) -> None:
        self.drawn = min(max(self.drawn, offset), self.sent)
        self._wake.set()

    def show(self, room: Room) -> None:
        """There is more to see: what leaves without waiting is sent at once, the rest by the task of ``send_all``."""
        while not self._busy and not self._notes and self.wire.ready:
            if (frame := room.next_for(self)) is None:
                return
            self.wire.post(frame.encode())
        self._wake.set()

    async def send_all(self, room: Room) -> None:
        """Send until the page is gone. Raises Closed."""
        while True:
            self._busy = False
            await self._wake.wait()
            self._wake.clear()
            self._busy = True
            while self._notes:
                await self.wire.send(self._notes.popleft(), PATIENCE)
            if self.overrun:
                await self.wire.close(TRY_AGAIN, "too slow")
            while (frame := room.next_for(self)) is not None:
                await self.wire.send(frame.encode(), PATIENCE)
            if self.finished and not self._notes:
                await self.wire.close(NORMAL, "ended")
                return

    def next_output(self, kept: Scrollback) -> frames.Frame | None:
        """The next of a terminal's output, which it draws at its own pace."""
        if self.sent - self.drawn >= WINDOW:
            return None  # it draws first, however far behind it is
        if self.sent < 0 or not kept.holds(self.sent):
            return self._snapshot(kept)
        if self.sent >= kept.end:
            return None
        data = kept.read(self.sent, CHUNK)
        frame = frames.data(data, self.sent)
        self.sent += len(data)
        return frame

    def _snapshot(self, kept: Scrollback) -> frames.Frame:
        """A page that joins gets all that is kept; one that fell behind only the end, not to fall again."""
        late = self.sent >= 0
        prefix, offset = kept.snapshot(keep=CATCH_UP) if late else kept.snapshot()
        self.sent = self.drawn = offset
        return frames.snapshot(prefix, offset)
