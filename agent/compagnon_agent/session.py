"""A session as the agent has it: one shell on a terminal, and however many connections it takes to show it.

The shell lives on while the link is down, up to ``grace`` seconds; its output waits in the stream (at most 1 MiB, then
the terminal is no longer read, so the program in it waits too).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from datetime import UTC, datetime

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, WebSocketException

from .identity import Identity
from .link import PROTOCOL_ERROR, SILENT, Backoff, Untrusted, dial, shake_hands, why_closed
from .protocol import frames
from .protocol.frames import Frame, FrameKind
from .protocol.messages import EndReason, OpenSession, Welcome
from .protocol.signing import session_purpose
from .protocol.stream import Stream
from .protocol.wire import WireError
from .pty_process import PtyProcess
from .tasks import first_of

log = logging.getLogger(__name__)

PING_EVERY = 5.0
DEAD_AFTER = 15.0
REDIAL_FIRST, REDIAL_CAP = 0.3, 2.0
EXIT_GRACE = 5.0
"""Seconds that the server has to say CLOSE after everything, the exit code too, has arrived."""

INPUT_LIMIT = 64 * 1024
"""Keys that wait for the terminal before no more are acknowledged."""


class Session:
    """``run`` ends with the reason; ``end`` makes it end. ``until``: when the grant runs out."""

    def __init__(
        self,
        request: OpenSession,
        identity: Identity,
        *,
        until: datetime,
        grace: float,
        shell: str | None,
    ) -> None:
        self.request = request
        self.exit_code: int | None = None
        self._identity = identity
        self._until = until
        self._grace = grace
        self._shell = shell
        self._stream = Stream()
        self._pty = PtyProcess(self._shown, self._exited)
        self._wake = asyncio.Event()
        self._gone = asyncio.Event()
        self._over: asyncio.Future[EndReason] = asyncio.get_running_loop().create_future()
        self._seen = time.monotonic()
        self._connected = False
        self._unread = 0

    @property
    def id(self) -> str:
        return self.request.session_id

    def end(self, reason: EndReason) -> None:
        if not self._over.done():
            self._over.set_result(reason)

    async def run(self) -> EndReason:
        """Raises ``OSError`` when no terminal can be had; otherwise ends when the session does."""
        await self._pty.start(self._shell, self.request.columns, self.request.rows)
        watch = [asyncio.create_task(job) for job in (self._keep_connected(), self._expire(), self._settle())]
        try:
            return await asyncio.shield(self._over)
        finally:
            for task in watch:
                task.cancel()
            await asyncio.gather(*watch, return_exceptions=True)
            await self._pty.close()

    # -- the terminal

    def _shown(self, data: bytes) -> None:
        self._stream.write(data)
        if self._stream.room < frames.MAX_PAYLOAD:
            self._pty.read(on=False)
        self._wake.set()

    def _exited(self, code: int) -> None:
        self.exit_code = code
        self._gone.set()
        self._stream.finish(code)
        self._wake.set()

    # -- what ends it

    async def _expire(self) -> None:
        await asyncio.sleep(max(0.0, (self._until - datetime.now(UTC)).total_seconds()))
        self.end(EndReason.EXPIRED)

    async def _settle(self) -> None:
        """After the shell's end: once everything has arrived, wait for CLOSE a little, then leave."""
        await self._gone.wait()
        while True:
            if self._stream.settled and self._connected:
                break
            await asyncio.sleep(0.1)
        await asyncio.sleep(EXIT_GRACE)
        self.end(EndReason.EXIT)

    # -- connections

    async def _keep_connected(self) -> None:
        lost = time.monotonic()
        backoff = Backoff(REDIAL_FIRST, REDIAL_CAP)
        while True:
            try:
                await self._one_connection()
                lost = time.monotonic()
            except Untrusted as fault:
                log.error("session %s: %s", self.id[:8], fault)
            except (OSError, WebSocketException, WireError, TimeoutError) as fault:
                log.info("session %s: %s", self.id[:8], why_closed(fault))
                if self._seen > lost:
                    lost = self._seen
                    backoff.reset()
            if time.monotonic() - lost > self._grace:
                return self.end(EndReason.LOST)
            await asyncio.sleep(backoff.pause())

    async def _one_connection(self) -> None:
        purpose = session_purpose(self.id)
        async with dial(self._identity, f"/agent/sessions/{self.id}") as socket:
            _, verdict = await shake_hands(socket, self._identity, purpose, ())
            if not isinstance(verdict, Welcome):
                return self.end(EndReason.REVOKED)
            self._seen = time.monotonic()
            await socket.send(self._stream.connected().encode())
            self._connected = True
            try:
                await first_of(self._receive(socket), self._send(socket), self._ping(socket))
            finally:
                self._connected = False
                self._stream.disconnected()
                await self._say_goodbye(socket)

    async def _say_goodbye(self, socket: ClientConnection) -> None:
        if self._over.done():
            with contextlib.suppress(ConnectionClosed, OSError):
                await socket.send(frames.close(self._over.result()).encode())

    async def _receive(self, socket: ClientConnection) -> None:
        async for data in socket:
            self._seen = time.monotonic()
            if isinstance(data, str):
                continue
            try:
                frame = frames.decode(data)
                if frame:
                    await self._take(frame, socket)
            except WireError:
                await socket.close(PROTOCOL_ERROR, "malformed frame")
                raise

    async def _take(self, frame: Frame, socket: ClientConnection) -> None:
        if frame.kind is FrameKind.RESIZE:
            self._pty.resize(*frame.size)
        elif frame.kind is FrameKind.SIGNAL:
            self._pty.signal(frame.text)
        elif frame.kind is FrameKind.PING:
            await socket.send(frames.pong(frame.number).encode())
        elif frame.kind is FrameKind.CLOSE:
            self.end(_reason(frame.text))
        elif frame.channel == frames.TERMINAL:
            self._keys(self._stream.receive(frame).data)
            self._pty.read(on=self._stream.room >= frames.MAX_PAYLOAD and self.exit_code is None)
            self._wake.set()

    def _keys(self, data: bytes) -> None:
        """Keys go to the terminal at once; they are acknowledged while it takes them."""
        if data:
            self._pty.write(data)
            self._unread += len(data)
        if self._unread and self._pty.pending_input < INPUT_LIMIT:
            self._stream.consumed(self._unread)
            self._unread = 0

    async def _send(self, socket: ClientConnection) -> None:
        while True:
            self._wake.clear()
            while frame := self._stream.next_frame():
                await socket.send(frame.encode())
            await self._wake.wait()

    async def _ping(self, socket: ClientConnection) -> None:
        while True:
            await asyncio.sleep(PING_EVERY)
            self._keys(b"")
            if time.monotonic() - self._seen > DEAD_AFTER:
                await socket.close(SILENT, "silent")
                return
            await socket.send(frames.ping(secrets.randbits(53)).encode())


def _reason(text: str) -> EndReason:
    try:
        return EndReason(text)
    except ValueError:
        return EndReason.MEMBER
