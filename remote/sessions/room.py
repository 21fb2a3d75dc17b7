"""The live room of one session: the agent's stream, the recording and the viewers meet here."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable

from compagnon_agent.protocol import frames
from compagnon_agent.protocol.frames import Frame, FrameKind
from compagnon_agent.protocol.stream import Stream
from remote.recordings.recorder import Recorder, Restored
from remote.recordings.service import LIMIT
from remote.sessions.model import Session, bounded_size
from remote.sessions.scrollback import Scrollback
from remote.sessions.typed import Typed
from remote.sessions.viewer import Viewer
from remote.wire import NORMAL, REPLACED, Closed, Wire

log = logging.getLogger(__name__)
SILENCE = 15.0  # seconds without a frame after which the agent's link is taken for dead
MARKER_LIMIT = 200


class Room:
    """All of it runs on one event loop; nothing here waits for a viewer.

    Output is recorded before it is shown or acknowledged; typing is noted in the recording before it is handed to the
    agent. When the recording cannot be written the room is ``frozen``: output waits with the agent, typing with the
    viewer.
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
        self.session_id = session.id
        self.machine_id = session.machine_id
        self.ticket_id = session.ticket_id
        self.driver_id = session.driver_id
        self.recorder = recorder
        self.columns, self.rows = restored.columns, restored.rows
        self.stream = Stream(received_at=restored.offset)
        self.scrollback = Scrollback(restored.tail, end=restored.offset)
        self.typed = Typed.restored(restored.notes)
        self.viewers: set[Viewer] = set()
        self.frozen = False
        self.step = ""
        self.agent: Wire | None = None
        self.heard = self.left_at = time.monotonic()
        self._resumed = False
        self._held = bytearray()  # output that waits for the recording, at most the stream's window
        self._exited = exited
        self._full = full
        self._is_full = False
        self._sending = asyncio.Lock()

    # the agent's side

    @property
    def connected(self) -> bool:
        """Whether typing reaches the shell now."""
        return self.agent is not None and self._resumed

    async def attach(self, wire: Wire) -> None:
        """A (new) connection of the agent takes over from the one before."""
        before, self.agent, self._resumed = self.agent, wire, False
        if before is not None:
            before.dismiss(REPLACED, "replaced")
        self.heard = time.monotonic()
        await wire.send(self.stream.connected().encode())

    def detach(self, wire: Wire) -> None:
        if self.agent is not wire:
            return
        self.agent, self._resumed = None, False
        self.left_at = time.monotonic()
        self.stream.disconnected()
        self.tell_all("link", agent=False)

    async def from_agent(self, frame: Frame) -> None:
        """Raises WireError when the agent breaks the rules, ValueError for input it cannot have received."""
        self.heard = time.monotonic()
        if frame.channel != frames.TERMINAL:
            return
        if frame.kind in (FrameKind.RESUME, FrameKind.ACK):
            self._input_received(frame)
        received = self.stream.receive(frame)
        if received.missing:
            self._lost(received.missing)
        if received.data:
            self._held += received.data
            self.store()
        if frame.kind is FrameKind.PING:
            await self._to_agent(frames.pong(frame.number))
        if frame.kind is FrameKind.RESUME:
            await self._resume()
        if received.exit_code is not None:
            self._exit(received.exit_code)
        await self.pump()

    def _input_received(self, frame: Frame) -> None:
        was_known = self.typed.known
        arrived = self.typed.received(frame.offset)
        if not was_known:
            self._write(lambda: self.recorder.note_input("", 0, frame.offset))
        for viewer in self.viewers:
            if viewer.key in arrived:
                viewer.acknowledge(arrived[viewer.key])
            if viewer.held and self.connected and not self.frozen:
                self._ask_again(viewer)

    async def _resume(self) -> None:
        if self._resumed:
            return
        self._resumed = True
        await self._to_agent(frames.resize(self.columns, self.rows))
        for viewer in self.viewers:
            viewer.tell("link", agent=True)
            self._ask_again(viewer)

    def _ask_again(self, viewer: Viewer) -> None:
        viewer.held = False
        viewer.tell("resume", upto=self.typed.taken(viewer.key))

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
        """Send the agent what is due, in order. Waits while the agent does not read: not for a watcher."""
        async with self._sending:
            while self.agent is not None and (frame := self.stream.next_frame()) is not None:
                await self._to_agent(frame)

    async def _to_agent(self, frame: Frame) -> None:
        if self.agent is None:
            return
        with contextlib.suppress(Closed):
            await self.agent.send(frame.encode())

    # the recording

    def store(self) -> None:
        """Record what came; only then is it shown and acknowledged. Called again every second while frozen."""
        before = self.recorder.offset
        data = bytes(self._held)
        if data and not self._write(lambda: self.recorder.output(data)):
            return
        self._held.clear()
        self.stream.consumed(self.recorder.offset - before)
        self.scrollback.append(data)
        for viewer in self.viewers:
            viewer.wake()

    def _has_room(self) -> bool:
        """At the limit nothing goes through any more, and the session is ended: what is not recorded is not done."""
        if self._is_full:
            return False
        self._is_full = self.recorder.size >= LIMIT
        if self._is_full:
            self.frozen = True
            self.tell_all("frozen", frozen=True)
            self._full(self.session_id)
        return not self._is_full

    def _write(self, write: Callable[[], None]) -> bool:
        if not self._has_room():
            return False
        try:
            write()
        except OSError as error:
            if not self.frozen:
                log.error("session %s: the recording cannot be written (%s): input is frozen", self.session_id, error)
                self.frozen = True
                self.tell_all("frozen", frozen=True)
            return False
        if self.frozen:
            self.frozen = False
            self.tell_all("frozen", frozen=False)
            for viewer in self.viewers:
                self._ask_again(viewer)
        return True

    def retry(self) -> None:
        """Try the disk again, then record what waits."""
        if self._write(self.recorder.touch):
            self.store()

    def mark(self, label: str) -> None:
        """A place in the recording to jump to later."""
        label = label[:MARKER_LIMIT]
        self._write(lambda: self.recorder.mark(label))

    def at_step(self, label: str) -> None:
        self.step = label
        self.mark(label)
        self.tell_all("step", step=label)

    # the viewers' side

    def enter(self, viewer: Viewer) -> None:
        if viewer.sent > self.scrollback.end + 3 or not self.scrollback.holds(max(viewer.sent, 0)):
            viewer.sent = -1
        self.viewers.add(viewer)
        viewer.tell(
            "welcome",
            you=viewer.member_id,
            driver=self.driver_id,
            agent=self.connected,
            frozen=self.frozen,
            columns=self.columns,
            rows=self.rows,
            end=self.scrollback.end,
            typed=self.typed.taken(viewer.key) if self.connected else None,
            step=self.step,
        )
        self.tell_people()

    def leave(self, viewer: Viewer) -> None:
        self.viewers.discard(viewer)
        self.tell_people()

    def here(self, member_id: int | None) -> bool:
        return any(viewer.member_id == member_id for viewer in self.viewers)

    def tell_all(self, kind: str, **facts: object) -> None:
        for viewer in self.viewers:
            viewer.tell(kind, **facts)

    def tell_people(self) -> None:
        names = {viewer.member_id: viewer.name for viewer in self.viewers}
        people = [
            {"id": member_id, "name": name, "driver": member_id == self.driver_id} for member_id, name in names.items()
        ]
        self.tell_all("people", people=sorted(people, key=lambda person: str(person["name"])), driver=self.driver_id)

    async def type(self, viewer: Viewer, offset: int, data: bytes) -> None:
        """What a viewer typed. Only the driver's reaches the shell; nothing does that the recording could not note."""
        if viewer.member_id != self.driver_id:
            viewer.tell("refused", upto=self.typed.taken(viewer.key))
            return
        new = self.typed.offer(viewer.key, offset, data) if self.connected and not self.frozen else b""
        upto = self.typed.taken(viewer.key) + len(new)
        if new and not self._write(lambda: self.recorder.note_input(viewer.key, upto, self.typed.end + len(new))):
            new = b""
        if new:
            self.typed.accept(viewer.key, new)
            self.stream.write(new)
            await self.pump()
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
            await self._to_agent(frames.resize(*size))

    def driven_by(self, member_id: int, name: str) -> None:
        self.driver_id = member_id
        self.mark(f"keyboard: {name}")
        self.tell_people()
        for viewer in self.viewers:
            if viewer.member_id == member_id and self.connected:
                self._ask_again(viewer)

    # the end

    @property
    def wires(self) -> list[Wire]:
        return [viewer.wire for viewer in self.viewers] + ([self.agent] if self.agent else [])

    def silent(self) -> bool:
        return self.agent is not None and time.monotonic() - self.heard > SILENCE

    def end(self, reason: str) -> None:
        """Tell everybody, and close the recording. Waits for nobody."""
        agent, self.agent = self.agent, None
        for viewer in self.viewers:
            viewer.finish(reason)
        with contextlib.suppress(OSError):
            self.recorder.mark(f"ended: {reason}")
        self.recorder.close()
        if agent is not None:
            agent.dismiss(NORMAL, reason, last=frames.close(reason).encode())
