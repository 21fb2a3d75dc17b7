"""The room of a screen: one picture for everybody, each page at its own pace; pointers; mouse and keyboard."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from compagnon.errors import AppError
from compagnon_agent.protocol import frames
from compagnon_agent.protocol.channel import Channel, ChannelLost
from compagnon_agent.protocol.frames import Frame, FrameKind
from compagnon_agent.protocol.tiles import Reader, Record
from compagnon_agent.protocol.wire import JSON, WireError
from remote.recordings.recorder import Recorder
from remote.recordings.service import LIMIT
from remote.screens.model import EVENTS_AT_ONCE, EVENTS_WAITING, MOST, Monitor, events_of, pointed, wanted_view
from remote.screens.picture import Eye, Picture, rate_for
from remote.sessions.call_room import CallFailed, CallRoom, Value
from remote.sessions.model import Session
from remote.sessions.viewer import Viewer
from remote.wire import Wire

log = logging.getLogger(__name__)
CHANNEL = 1  # of the frames towards pages
LINGER = 3.0  # seconds without a page after which nothing is looked at any more: a reload is shorter
AGAIN = 2.0  # seconds until what failed is tried again
POINT_EVERY = 0.1  # seconds between two pointers drawn on the machine
WRITE_AGAIN = 0.5  # seconds
SILENT = "silent"
DO_SECONDS = 4.0  # seconds after which mouse and keyboard that did not arrive are forgotten


class ScreenRoom(CallRoom):
    """It is looked at the screen while a page is there. What is shown is recorded first."""

    def __init__(
        self,
        session: Session,
        recorder: Recorder,
        *,
        full: Callable[[str], None],
        control_lost: Callable[[ScreenRoom, str], None],
    ) -> None:
        super().__init__(session, recorder, full=full)
        self.picture = Picture()
        self.monitor = 1
        self._until = session.granted_until
        self.monitors: list[Monitor] = []
        self.controller: int | None = None  # whose mouse and keyboard go through: the client said yes to them
        self.asking = False
        self.releasing: asyncio.Task[None] | None = None
        self.trouble = ""
        self._control_lost = control_lost
        self._eyes: dict[Viewer, Eye] = {}
        self._channel: Channel | None = None
        self._looking: asyncio.Task[None] | None = None
        self._pointing: dict[int, dict[str, JSON]] = {}
        self._pointer: asyncio.Task[None] | None = None
        self._events: deque[dict[str, JSON]] = deque(maxlen=EVENTS_WAITING)
        self._doing: asyncio.Task[None] | None = None
        self._letting_go: asyncio.Task[None] | None = None
        self._done = 0
        self._view: tuple[int, int, int] = (0, 0, 0)
        self.on_notice("screen.failed", self._failed)
        self.on_notice("screen.control", self._control_stopped)

    # looking

    def enter(self, viewer: Viewer) -> None:
        self._eyes[viewer] = Eye()
        super().enter(viewer)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._keep_looking(), name=f"screen {self.session_id}")
        viewer.wake()

    def leave(self, viewer: Viewer) -> None:
        self._eyes.pop(viewer, None)
        super().leave(viewer)

    async def _keep_looking(self) -> None:
        while await self._wanted():
            try:
                await self._look()
            except ChannelLost:
                await asyncio.sleep(WRITE_AGAIN)
            except (AppError, WireError) as error:
                log.warning("session %s: the screen cannot be looked at: %s", self.session_id, error)
                self._say_trouble(self._told_trouble(error))
                await asyncio.sleep(AGAIN)

    def _told_trouble(self, error: AppError | WireError) -> str:
        """The machine's own words, or a word for the pages to translate; that one is alone they say by themselves."""
        if self.alone:
            return ""
        return str(error.params.get("error", "")) if isinstance(error, CallFailed) else SILENT

    async def _wanted(self) -> bool:
        if self._over:
            return False
        if not self._eyes:
            await asyncio.sleep(LINGER)
        return bool(self._eyes) and not self._over

    async def _look(self) -> None:
        channel = self._channel = self.open_channel()
        try:
            self._view = self._wish()
            asked = self._view_values() | {"channel": channel.number}
            answer = await self.call("screen.start", asked, member_id=0, record="screen.looked:")
            self.monitors = Monitor.several(answer)
            self._say_trouble("")
            await self._take_in(channel)
        finally:
            self.leave_channel(channel)

    async def _take_in(self, channel: Channel) -> None:
        reader = Reader()
        watching = asyncio.create_task(self._watch(channel))
        try:
            while data := await channel.read():
                for record in reader.feed(data):
                    await self._record(record)
                    self.picture.take(record)
                for viewer in self._eyes:
                    viewer.wake()
        finally:
            watching.cancel()

    async def _record(self, record: Record) -> None:
        """While it cannot be written the machine's tiles wait, and nobody sees them."""
        raw = record.encode()
        while True:
            if self._write(lambda: self.recorder.picture(raw)):
                return
            await asyncio.sleep(WRITE_AGAIN)

    async def _watch(self, channel: Channel) -> None:
        """Until nobody looks: then the machine is told to stop. Meanwhile another width, monitor or rate."""
        while True:
            await asyncio.sleep(1)
            if not self._eyes:
                await asyncio.sleep(LINGER)
            try:
                if not self._eyes:
                    await self.call("screen.stop", {}, member_id=0)
                    channel.lost()
                elif self._view != (wish := self._wish()):
                    self._view = wish
                    await self.call("screen.view", self._view_values(), member_id=0)
            except AppError as error:
                log.info("session %s: %s", self.session_id, error)

    def _wish(self) -> tuple[int, int, int]:
        width = max((eye.width for eye in self._eyes.values()), default=1280)
        left = (self._until - datetime.now(UTC)).total_seconds() if self._until else 0.0
        rate = rate_for(self.recorder.size, LIMIT, MOST, left)
        return self.monitor, width, max(1000, rate // 5000 * 5000)

    def _view_values(self) -> dict[str, JSON]:
        monitor, width, rate = self._view
        return {"monitor": monitor, "width": width, "rate": rate}

    async def _failed(self, value: Value) -> None:
        self._say_trouble(str(value.get("reason", ""))[:200])
        if self._channel is not None:
            self._channel.lost()  # the agent has left it: begin anew

    def _say_trouble(self, reason: str) -> None:
        if reason != self.trouble:
            self.trouble = reason
            self.tell_all("screen_trouble", trouble=reason)

    # pages

    def _welcome(self, viewer: Viewer) -> dict[str, object]:
        return {"trouble": self.trouble, **self._control_facts()}

    def _control_facts(self) -> dict[str, object]:
        return {"controller": self.controller, "asking": self.asking}

    def tell_control(self) -> None:
        self.tell_all("control", **self._control_facts())

    def next_for(self, viewer: Viewer) -> Frame | None:
        eye = self._eyes.get(viewer)
        record = eye.next(self.picture) if eye else None
        if eye is None or record is None:
            return None
        frame = frames.data(record.encode(), eye.sent, channel=CHANNEL)
        eye.sent += len(frame.payload)
        return frame

    async def take(self, viewer: Viewer, frame: Frame) -> None:
        eye = self._eyes.get(viewer)
        if eye and frame.kind is FrameKind.ACK:
            eye.drew(frame.offset)
            viewer.wake()

    def note(self, viewer: Viewer, note: Mapping[str, Any]) -> None:
        kind = note.get("type")
        if kind == "view":
            self._page_wishes(viewer, note)
        elif kind == "pointer":
            self._points(viewer, note)
        elif kind == "input":
            self._does(viewer, note)
        else:
            super().note(viewer, note)

    def _page_wishes(self, viewer: Viewer, note: Mapping[str, Any]) -> None:
        monitor, width = wanted_view(note)
        if eye := self._eyes.get(viewer):
            eye.width = width
        if monitor and viewer.member_id == self.driver_id:
            self.monitor = monitor

    # pointers

    def _points(self, viewer: Viewer, note: Mapping[str, Any]) -> None:
        x, y = pointed(note)
        if viewer.member_id in self.lookers or not viewer.may_point(time.monotonic()):
            return
        for other in self.viewers:
            if other is not viewer:
                other.hint("pointer", id=viewer.member_id, name=viewer.name, x=x, y=y)
        self._pointing[viewer.member_id] = {"member": viewer.member_id, "name": viewer.name[:80], "x": x, "y": y}
        if self.connected and (self._pointer is None or self._pointer.done()):
            self._pointer = asyncio.create_task(self._tell_pointers())

    async def _tell_pointers(self) -> None:
        while self._pointing:
            member_id, values = self._pointing.popitem()
            try:
                await self.call("screen.point", values, member_id=member_id, wait=DO_SECONDS)
            except AppError as error:
                log.debug("session %s: a pointer is not drawn: %s", self.session_id, error)
            await asyncio.sleep(POINT_EVERY)

    # mouse and keyboard

    def _does(self, viewer: Viewer, note: Mapping[str, Any]) -> None:
        """Noted in the recording, in numbers, before it is done; never what was typed."""
        events = events_of(note)
        may = viewer.member_id == self.controller == self.driver_id
        if not may or self.alone or not self.connected or not events:
            return
        count = self._done + len(events)
        if not self._write(lambda: self.recorder.note_input(viewer.key, count, count)):
            return
        self._done = count
        self._events.extend(events)
        if self._doing is None or self._doing.done():
            self._doing = asyncio.create_task(self._do_all(viewer.member_id))

    async def _do_all(self, member_id: int) -> None:
        while self._events and self.controller == member_id and not self.alone:
            several = [self._events.popleft() for _ in range(min(EVENTS_AT_ONCE, len(self._events)))]
            batch: list[JSON] = [*several]
            try:
                await self.call("screen.do", {"events": batch}, member_id=member_id, wait=DO_SECONDS)
            except CallFailed as error:  # refused, or its hands have failed: never let somebody type into nothing
                self.lose_control(str(error))
            except AppError as error:
                self._events.clear()  # old by the time the link is back: nothing is clicked late
                log.info("session %s: mouse and keyboard: %s", self.session_id, error)
        if self.alone:
            self._events.clear()

    def look_around(self) -> None:
        """Four eyes: once somebody is alone nothing that waits is clicked or typed, and no key stays pressed."""
        was_alone = self._told_alone
        super().look_around()
        if self._told_alone and not was_alone and self.controller is not None and self._done:
            self._events.clear()
            self._letting_go = asyncio.create_task(self._let_go(self.controller))

    async def _let_go(self, member_id: int) -> None:
        try:
            letting_go: Value = {"events": [{"what": "release"}]}
            await self.call("screen.do", letting_go, member_id=member_id, wait=DO_SECONDS, alone_too=True)
        except AppError as error:
            log.info("session %s: mouse and keyboard: %s", self.session_id, error)

    def driven_by(self, member_id: int, name: str) -> None:
        super().driven_by(member_id, name)
        if self.controller is not None and self.controller != member_id:
            self.lose_control("handed over")

    def lose_control(self, why: str) -> None:
        """Nothing goes through any more. Idempotent."""
        if self.controller is None:
            return
        self.controller = None
        self._events.clear()
        self.mark(f"screen.ended: {why}")
        self.tell_control()
        self._control_lost(self, why)

    async def _control_stopped(self, _: Value) -> None:
        self.lose_control("stopped at the machine")

    # the agent's connection

    def detach(self, wire: Wire) -> None:
        super().detach(wire)
        if not self.connected:
            self._events.clear()

    def end(self, reason: str) -> None:
        self.lose_control(reason)
        super().end(reason)
        for task in (self._looking, self._pointer, self._doing, self._letting_go):
            if task is not None:
                task.cancel()
