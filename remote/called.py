"""The capabilities that have a room of their own kind: what each adds to the application."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from litestar.types import ControllerRouterHandler

from compagnon.kernel import Kernel
from remote.chat import web as chat_web
from remote.chat.service import Chats
from remote.files import web as file_web
from remote.files.service import Files
from remote.sessions.calling import Calling
from remote.sessions.model import Capability
from remote.sessions.rooms import Rooms
from remote.sessions.service import Sessions


@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
    chats: Chats
    files: Files

    @property
    def handlers(self) -> Sequence[ControllerRouterHandler]:
        return [*chat_web.handlers(), *file_web.handlers()]

    @property
    def dependencies(self) -> Mapping[str, object]:
        return {"chats": self.chats, "files": self.files}

    @property
    def lifespan(self) -> Sequence[Callable[[], AbstractAsyncContextManager[None]]]:
        return [self.chats.running]


def build(kernel: Kernel, *, sessions: Sessions, calling: Calling, rooms: Rooms) -> Called:
    chats = Chats(kernel, sessions=sessions, calling=calling)
    rooms.makers[Capability.CHAT] = chats.room
    return Called(chats=chats, files=Files(kernel, calling))
