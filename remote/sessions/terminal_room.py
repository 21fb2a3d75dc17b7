"""The room of a terminal: one stream of output for everybody, one of keys from whoever holds the keyboard."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from compagnon_agent.protocol import frames
from compagnon_agent.protocol.frames import Frame, FrameKind
from compagnon_agent.protocol.stream import Stream
from compagnon_agent.protocol.wire import WireError
from remote.recordings.recorder import Recorder, Restored
from remote.sessions.model import Session, bounded_size
from remote.sessions.room import Room
from remote.sessions.scrollback import Scrollback
from remote.sessions.typed import Typed
from remote.sessions.viewer import Viewer
from remote.wire import Wire

log = logging.getLogger(__name__)
NUMBERS = 2**31  # of questions
ACK_SOON = 1.0  # seconds; each acknowledgement delays the echo that comes after it


class TerminalRoom(Room):
    """Output is recorded before it is shown or acknowledged; typing is noted there before it is handed to the agent.

    While frozen, output waits with the agent, typing with the viewer.
    """

    def __init__(
        self,
        session: Session,
        recorder: Recorder,
        restored: Restored,
        *,
        exited: Callable[[str, int], None],
        full: Callable[[str], None],
    ) -> None:
        super().__init__(session, recorder, full=full)
        self.columns, self.rows = restored.columns, restored.rows
        self.stream = Stream(received_at=restored.offset, lazy=True)
        self._acking: asyncio.TimerHandle | None = None
        self.scrollback = Scrollback(restored.tail, end=restored.offset)
        self.typed = Typed.restored(restored.notes)
        self._resumed = False
        self._held = bytearray()  # output that waits for the recording, at most the stream's window
        self._exited = exited
        self._sending = asyncio.Lock()
        self._pumps: set[asyncio.Task[None]] = set()

    # the agent's side

    @property
    def connected(self) -> bool:
        return self.agent is not None and self._resumed and not self.quiet

    async def _greet(self, wire: Wire) -> None:
        await wire.send(self.stream.connected().encode())

    def _left(self) -> None:
        self._resumed = False
        self.stream.disconnected()

    def from_agent_at_once(self, raw: bytes) -> bool:
        frame = None if self.quiet else bytes_of(raw)
        if frame is None:
            return False
        try:
            received = self.stream.receive(frame)
        except WireError:
            return False
        self.heard = time.monotonic()
        self._show(received.data)
        self._pump_soon()
        return True

    async def _take(self, frame: Frame) -> None:
        if frame.channel != frames.TERMINAL:
            return
        if frame.kind in (FrameKind.RESUME, FrameKind.ACK):
            self._input_received(frame)
        received = self.stream.receive(frame)
        if received.missing:
            self._lost(received.missing)
        self._show(received.data)
        if frame.kind is FrameKind.RESUME:
            await self._resume()
        if received.exit_code is not None:
            self._exit(received.exit_code)
        await self.pump()

    def _show(self, data: bytes) -> None:
        if data:
            self._held += data
            self._store()

    def _input_received(self, frame: Frame) -> None:
        was_known = self.typed.known
        arrived = self.typed.received(frame.offset)
        if not was_known:
            self._write(lambda: self.recorder.note_input("", 0, frame.offset))
        for viewer in self.viewers:
            if viewer.key in arrived:
                viewer.acknowledge(arrived[viewer.key])
            if viewer.held and self._takes_keys:
                self._ask_again(viewer)

    async def _resume(self) -> None:
        if self._resumed:
            return
        self._resumed = True
        await self._to_agent(frames.resize(self.columns, self.rows).encode())
        for viewer in self.viewers:
            viewer.tell("link", agent=True)
            self._ask_again(viewer)

    def _ask_again(self, viewer: Viewer) -> None:
        viewer.held = False
        viewer.tell("resume", **self._place(viewer))

    def _place(self, viewer: Viewer) -> dict[str, int]:
        """Where what a page types goes on, and what of it the machine has."""
        return {"upto": self.typed.taken(viewer.key), "confirmed": self.typed.confirmed(viewer.key)}

    def _exit(self, code: int) -> None:
        self._write(lambda: self.recorder.exit(code))
        self._exited(self.session_id, code)

    def _lost(self, count: int) -> None:
        log.error("session %s: the agent lost %d bytes of output", self.session_id, count)
        self._held.clear()
        self._write(lambda: self.recorder.gap(self.stream.received))
        self.scrollback = Scrollback(end=self.stream.received)

    @property
    def pumping(self) -> bool:
        return self._sending.locked()

    async def pump(self) -> None:
        if not self.pumping and self._pump_now():
            return
        async with self._sending:
            while self.agent is not None and (frame := self._next()) is not None:
                await self._to_agent(frame.encode())

    def _pump_now(self) -> bool:
        """Send what leaves without waiting; whether that was all."""
        while self.agent is not None and self.agent.ready:
            if (frame := self._next()) is None:
                return True
            self.agent.post(frame.encode())
        return self.agent is None

    def _next(self) -> Frame | None:
        """Of what was accepted while two were there, nothing leaves once one of them is alone."""
        self.stream.held = self.alone
        return self.stream.next_frame()

    # the recording

    def retry(self) -> bool:
        """Try the disk again, then record what waits."""
        if not super().retry():
            return False
        self._store()
        return True

    def _store(self) -> None:
        """Record what came; only then is it shown and acknowledged. Called again every second while frozen."""
        before = self.recorder.offset
        data = bytes(self._held)
        if data and not self._write(lambda: self.recorder.output(data)):
            return
        self._held.clear()
        self.stream.consumed(self.recorder.offset - before)
        if self.stream.owes and self._acking is None:
            self._acking = asyncio.get_running_loop().call_later(ACK_SOON, self._acknowledge)
        self.scrollback.append(data)
        for viewer in self.viewers:
            viewer.show(self)

    def _acknowledge(self) -> None:
        self._acking = None
        self.stream.acknowledge()
        self._pump_soon()

    def _pump_soon(self) -> None:
        if not self.pumping and not self._pump_now():
            task = asyncio.create_task(self.pump())
            self._pumps.add(task)
            task.add_done_callback(self._pumps.discard)

    def _ask_for_input(self) -> None:
        self._pump_soon()
        for viewer in self.viewers:
            if self.connected and viewer.member_id == self.driver_id:
                self._ask_again(viewer)

    # the viewers' side

    def _welcome(self, viewer: Viewer) -> dict[str, object]:
        return {
            "columns": self.columns,
            "rows": self.rows,
            "end": self.scrollback.end,
            "typed": self.typed.taken(viewer.key) if self.connected else None,
            "confirmed": self.typed.confirmed(viewer.key),
        }

    def enter(self, viewer: Viewer) -> None:
        if viewer.sent > self.scrollback.end + 3 or not self.scrollback.holds(max(viewer.sent, 0)):
            viewer.sent = -1
        super().enter(viewer)

    def next_for(self, viewer: Viewer) -> Frame | None:
        return viewer.next_output(self.scrollback)

    def take_at_once(self, viewer: Viewer, raw: bytes) -> bool:
        frame = bytes_of(raw)
        if frame is None:
            return False
        self.type(viewer, frame.offset, frame.payload)
        return True

    async def take(self, viewer: Viewer, frame: Frame) -> None:
        if frame.channel != frames.TERMINAL:
            return
        if frame.kind is FrameKind.DATA:
            self.type(viewer, frame.offset, frame.payload)
            await self.pump()
        elif frame.kind is FrameKind.ACK:
            viewer.drew(frame.offset)
        elif frame.kind is FrameKind.RESIZE:
            await self.resize(viewer, *frame.size)

    def note(self, viewer: Viewer, note: Mapping[str, Any]) -> None:
        """``again``: a page whose typing was refused asks where it goes on; all that it sent before was judged."""
        if note.get("type") != "again":
            super().note(viewer, note)
            return
        number = note.get("number")
        if isinstance(number, bool) or not isinstance(number, int) or not 0 < number < NUMBERS:
            raise ValueError("a question without a number")
        viewer.held = False
        viewer.tell("resume", number=number, **self._place(viewer))

    @property
    def _takes_keys(self) -> bool:
        return self.connected and not self.frozen and not self.alone

    def type(self, viewer: Viewer, offset: int, data: bytes) -> None:
        """What a viewer typed. Only the driver's reaches the shell; nothing does that the recording could not note."""
        if viewer.member_id != self.driver_id:
            viewer.tell("refused", **self._place(viewer))
            return
        new = self.typed.offer(viewer.key, offset, data) if self._takes_keys else b""
        upto = self.typed.taken(viewer.key) + len(new)
        if new and not self._write(lambda: self.recorder.note_input(viewer.key, upto, self.typed.end + len(new))):
            new = b""
        if new:
            self.typed.accept(viewer.key, new)
            self.stream.write(new)
            self._pump_soon()
        if upto < offset + len(data):
            viewer.held = True
            viewer.tell("hold", upto=upto)

    async def resize(self, viewer: Viewer, columns: int, rows: int) -> None:
        """The driver's window decides."""
        size = bounded_size(columns, rows)
        if viewer.member_id != self.driver_id or size == (self.columns, self.rows):
            return
        self.columns, self.rows = size
        self._write(lambda: self.recorder.resize(*size))
        self.tell_all("size", columns=self.columns, rows=self.rows)
        if self._resumed:
            await self._to_agent(frames.resize(*size).encode())


def bytes_of(raw: bytes) -> Frame | None:
    """The frame, if it is bytes of the terminal; None for anything else, nonsense too."""
    try:
        frame = frames.decode(raw)
    except WireError:
        return None
    return frame if frame and frame.kind is FrameKind.DATA and frame.channel == frames.TERMINAL else None
