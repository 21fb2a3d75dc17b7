"""``chat``: writing with the person at this machine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from ..chatting import Conversation, can_show, show
from ..consent import person
from ..protocol.calls import TooMany
from ..protocol.spoken import CHARACTERS, NAME, name_of, spoken
from ..protocol.wire import integer, read_record, text
from .capability import Arguments, CallError, Capability, Method

if TYPE_CHECKING:
    from .calls import CallSession

AGAIN = 2.0
"""Seconds before a window that went away by itself may come back."""

TYPING_EVERY = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Say:
    """``line`` counts up over the session on the server: a line that comes again is shown once."""

    line: Annotated[int, integer(1, 2**53)]
    name: Annotated[str, text(NAME, minimum=1)]
    text: Annotated[str, text(CHARACTERS, minimum=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Typing:
    name: Annotated[str, text(NAME, minimum=1)]


class Chat(Capability):
    """The window opens with the session; when the person closed it, the next line opens it again."""

    def __init__(self, session: CallSession) -> None:
        super().__init__(session)
        self._talk = Conversation(self)
        self._wanted = asyncio.Event()
        self._shown_upto = 0
        self._number = 0
        self._told_typing = 0.0
        self._showing: asyncio.Task[None] | None = None

    @property
    def methods(self) -> Mapping[str, Method]:
        return {
            "say": Method(handler=self._say, changes=True),
            "typing": Method(handler=self._typing, changes=False),
        }

    async def begin(self) -> None:
        if not await can_show(self.session.around.desk):
            raise OSError("nobody is at this machine to write with")
        self._wanted.set()
        self._showing = asyncio.create_task(self._keep_shown())

    async def close(self) -> None:
        if self._showing:
            self._showing.cancel()
            await asyncio.gather(self._showing, return_exceptions=True)

    async def _keep_shown(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            self._tell("chat.window", {"open": True})
            await show(self._talk, self.session.around.desk)
            self._tell("chat.window", {"open": False})
            await asyncio.sleep(AGAIN)

    # -- the server's calls

    async def _say(self, arguments: Arguments) -> Arguments:
        asked = read_record(Say, dict(arguments), "")
        line, name = spoken(asked.text), name_of(asked.name)
        if not line or not name:
            raise CallError("invalid", "there is nothing to show")
        if asked.line > self._shown_upto:
            self._shown_upto = asked.line
            self._talk.add(name, line)
            self._wanted.set()
        return {}

    async def _typing(self, arguments: Arguments) -> Arguments:
        self._talk.types(name_of(read_record(Typing, dict(arguments), "").name))
        return {}

    # -- the person

    def said(self, text: str) -> bool:
        told = self._tell("chat.line", {"number": self._number + 1, "text": text, "person": person()[:NAME]})
        self._number += told
        return told

    def typing(self) -> None:
        if time.monotonic() - self._told_typing >= TYPING_EVERY:
            self._told_typing = time.monotonic()
            self._tell("chat.typing", {})

    def _tell(self, name: str, value: Arguments) -> bool:
        try:
            self.session.notify(name, value)
        except TooMany:
            return False
        return True
