"""Run the web application in this process: one listening socket, uvicorn, a clean end."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Callable, Iterator
from types import FrameType

import uvicorn
from litestar import Litestar

from compagnon.app.sockets import Config, DirectWebSocket
from compagnon.settings import Settings, SettingsError

TICK = 1  # seconds after which the Date header is renewed
GRACE = 3  # seconds for open requests; live streams and sessions reconnect by themselves
OF_THE_PORT = (errno.EADDRINUSE, errno.EACCES)
LARGEST_MESSAGE = 1024 * 1024  # bytes of one WebSocket message


def listen(settings: Settings) -> socket.socket:
    """The bound socket. Raises SettingsError with one sentence when the address cannot be had."""
    try:
        family = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0][0]
        # The protocol is named because asyncio sets TCP_NODELAY only where it is: else each answer of two packets waits
        # 40 ms for a delayed acknowledgement.
        bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((settings.host, settings.port))
        bound.listen(2048)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        name = "COMPAGNON_PORT" if error.errno in OF_THE_PORT else "COMPAGNON_HOST"
        raise SettingsError(
            f"Port {settings.port} on {settings.host} cannot be used ({reason}); choose another with {name}."
        ) from None
    bound.set_inheritable(False)
    return bound


def uvicorn_config(app: Litestar, settings: Settings) -> uvicorn.Config:
    config = Config(
        app,
        ws=DirectWebSocket,
        ws_per_message_deflate=False,  # compressing keystrokes costs memory per connection and gains nothing
        ws_ping_interval=None,  # the sessions' own heartbeat decides: a 60 s cut must not close them
        ws_max_size=LARGEST_MESSAGE,
        log_level="warning" if settings.log_level == "info" else settings.log_level,  # no line for each connection
        access_log=False,
        server_header=False,
        proxy_headers=True,
        forwarded_allow_ips=settings.forwarded_allow_ips,
        timeout_graceful_shutdown=GRACE,
        timeout_keep_alive=30,
    )
    config.serve_directly(app.state.get("sockets", {}))  # an application without agents has none
    return config


class Server(uvicorn.Server):
    """The uvicorn server that sets ``ready`` and calls ``when_ready`` once it accepts connections; ``end`` ends it.

    Uvicorn looks ten times a second whether it should end, in the way of what people type; here the signal says so.
    """

    def __init__(self, config: uvicorn.Config, when_ready: Callable[[], None] | None = None) -> None:
        super().__init__(config)
        self._when_ready = when_ready
        self._ending = asyncio.Event()
        self.ready = asyncio.Event()

    def end(self) -> None:
        self.should_exit = True
        self._ending.set()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        self._ending.set()

    async def main_loop(self) -> None:
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TICK):
                    await self._ending.wait()

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until a signal ends it; a Ctrl-C that came just before ends it here, while nothing has been started."""
        with self.capture_signals():
            await asyncio.sleep(0)
            await self._serve(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Keep uvicorn from raising the signal again at its end: the agent and PostgreSQL are stopped after it."""
        with super().capture_signals():
            try:
                yield
            finally:
                self._captured_signals.clear()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if not self.started:
            return
        self.ready.set()
        if self._when_ready:
            self._when_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the open pages' live streams first: uvicorn waits for them, then cuts each with a traceback."""
        if isinstance(self.config.app, Litestar):
            self.config.app.state.end_streams()
        await super().shutdown(sockets)
