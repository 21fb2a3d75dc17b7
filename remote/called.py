"""The capabilities that the server calls: what each adds to the application."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from litestar.types import ControllerRouterHandler

from compagnon.kernel import Kernel
from remote.chat import web as chat_web
from remote.chat.service import Chats
from remote.control.link import AgentLink
from remote.files import web as file_web
from remote.files.service import Files
from remote.logs import web as logs_web
from remote.logs.service import Logs
from remote.processes import web as process_web
from remote.processes.service import Processes
from remote.screens import web as screen_web
from remote.screens.service import Screens
from remote.sessions.calling import Calling
from remote.sessions.model import Capability
from remote.sessions.rooms import Rooms
from remote.sessions.service import Sessions
from remote.tunnels import web as tunnel_web
from remote.tunnels.service import Tunnels


@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
    kernel: Kernel
    chats: Chats
    files: Files
    logs: Logs
    processes: Processes
    tunnels: Tunnels
    screens: Screens

    @property
    def handlers(self) -> Sequence[ControllerRouterHandler]:
        return [
            *chat_web.handlers(),
            *file_web.handlers(),
            *logs_web.handlers(),
            *process_web.handlers(),
            *tunnel_web.handlers(self.tunnels, self.kernel.settings),
            *screen_web.handlers(),
        ]

    @property
    def dependencies(self) -> Mapping[str, object]:
        return {
            "chats": self.chats,
            "files": self.files,
            "logs": self.logs,
            "processes": self.processes,
            "tunnels": self.tunnels,
            "screens": self.screens,
        }

    @property
    def lifespan(self) -> Sequence[Callable[[], AbstractAsyncContextManager[None]]]:
        return [self.chats.running, self.tunnels.running, self.screens.running]


def build(kernel: Kernel, *, sessions: Sessions, calling: Calling, rooms: Rooms, link: AgentLink) -> Called:
    chats = Chats(kernel, sessions=sessions, calling=calling)
    rooms.makers[Capability.CHAT] = chats.room
    tunnels = Tunnels(kernel, sessions=sessions, calling=calling, rooms=rooms)
    rooms.makers[Capability.TUNNEL] = tunnels.room
    screens = Screens(kernel, sessions=sessions, calling=calling, link=link)
    rooms.makers[Capability.SCREEN] = screens.room
    return Called(
        kernel=kernel,
        chats=chats,
        files=Files(kernel, calling),
        logs=Logs(calling),
        processes=Processes(kernel, calling),
        tunnels=tunnels,
        screens=screens,
    )
