"""The room of a chat: its lines go into the recording as text, and whoever is there sees who is writing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from compagnon.errors import AppError, Unavailable
from compagnon.i18n import N_
from compagnon_agent.protocol.wire import read_record
from remote.chat.model import Heard, recorded
from remote.recordings.recorder import Recorder
from remote.sessions.call_room import CallRoom, Value
from remote.sessions.model import Session
from remote.sessions.viewer import Viewer

if TYPE_CHECKING:
    from remote.chat.service import Chats

TYPING_EVERY = 2.0  # seconds; a page says it more often


class ChatRoom(CallRoom):
    """``window``: whether the chat is on the person's screen now, as far as the agent told."""

    def __init__(self, session: Session, recorder: Recorder, *, full: Callable[[str], None], chats: Chats) -> None:
        super().__init__(session, recorder, full=full)
        self.window = True
        self._chats = chats
        self._told_typing = 0.0
        self._telling: asyncio.Task[None] | None = None
        self.on_notice("chat.line", self._heard)
        self.on_notice("chat.typing", self._person_types)
        self.on_notice("chat.window", self._window_moved)

    def write(self, name: str, body: str) -> None:
        """Into the recording. Raises Unavailable when that cannot be."""
        if not self._write(lambda: self.recorder.output(recorded(name, body))):
            raise Unavailable(N_("The recording cannot be written: nothing is done until it can."))

    def _welcome(self, viewer: Viewer) -> dict[str, object]:
        return {"window": self.window}

    async def _heard(self, value: Value) -> None:
        await self._chats.heard(self, read_record(Heard, dict(value), ""))

    async def _person_types(self, _: Value) -> None:
        self.tell_all("typing", id=None, name="")

    async def _window_moved(self, value: Value) -> None:
        self.window = value.get("open") is True
        self.tell_all("window", window=self.window)

    def note(self, viewer: Viewer, note: Mapping[str, Any]) -> None:
        """``typing``: told to everybody here and, now and then, to the person at the machine."""
        if note.get("type") != "typing":
            super().note(viewer, note)
            return
        now = time.monotonic()
        if now - self._told_typing < TYPING_EVERY:
            return
        self._told_typing = now
        self.tell_all("typing", id=viewer.member_id, name=viewer.name)
        if self.connected and (self._telling is None or self._telling.done()):
            self._telling = asyncio.create_task(self._tell_machine(viewer))

    async def _tell_machine(self, viewer: Viewer) -> None:
        try:
            await self.call("chat.typing", {"name": viewer.name[:80]}, member_id=viewer.member_id, wait=5)
        except AppError:
            return  # it would be old news by the next time
