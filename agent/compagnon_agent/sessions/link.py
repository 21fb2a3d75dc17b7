"""What every session has: a connection that is dialled again and again, an end, and a time after which it ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from abc import ABC, abstractmethod
from datetime import UTC, datetime

from websockets.exceptions import ConnectionClosed, WebSocketException

from ..connection import Connection
from ..identity import Identity
from ..link import PROTOCOL_ERROR, Backoff, Untrusted, dial, shake_hands, why_closed
from ..protocol import frames
from ..protocol.frames import Frame, FrameKind
from ..protocol.messages import EndReason, OpenSession, Welcome
from ..protocol.signing import session_purpose
from ..protocol.wire import WireError
from ..tasks import first_of

log = logging.getLogger(__name__)

PING_EVERY = 2.0
DEAD_AFTER = 5.0
"""Seconds of silence after which another connection is tried: a person waits, and TCP itself tries ever more rarely."""

DEAD_AT_MOST = 15.0
"""The patience doubles up to this with each connection that fell silent: the next one may only be slow."""

PROVEN = 60.0
"""Seconds after which a connection counts as a good one."""

GOODBYE = 1.0
"""Seconds for the last word over a link that may be dead: Stop must end what runs here all the same."""

REDIAL_FIRST, REDIAL_CAP = 0.3, 1.0


class SessionLink(ABC):
    """``run`` ends with the reason; ``end`` makes it end. ``until``: when the grant runs out.

    The session outlives its connections by up to ``grace`` seconds. A kind of session says what goes over them: it
    implements the methods below ``run``, and calls ``wake`` when ``_next`` has something to send.
    """

    def __init__(self, request: OpenSession, identity: Identity, *, until: datetime, grace: float) -> None:
        self.request = request
        self.exit_code: int | None = None
        self._identity = identity
        self._until = until
        self._grace = grace
        self._wake = asyncio.Event()
        self._over: asyncio.Future[EndReason] = asyncio.get_running_loop().create_future()
        self._seen = time.monotonic()
        self._patience = DEAD_AFTER
        self._socket: Connection | None = None

    @property
    def _connected(self) -> bool:
        return self._socket is not None

    @property
    def id(self) -> str:
        return self.request.session_id

    def end(self, reason: EndReason) -> None:
        if not self._over.done():
            self._over.set_result(reason)

    def wake(self) -> None:
        """Something may be due: what leaves without waiting is sent here, the rest by the task of ``_send``."""
        socket = self._socket
        while socket is not None and socket.ready:
            if (message := self._next()) is None:
                return
            socket.post(message if isinstance(message, str) else message.encode())
        self._wake.set()

    async def run(self) -> EndReason:
        """Raises ``OSError`` when it cannot begin; otherwise ends when the session does."""
        await self._begin()
        watch = [asyncio.create_task(job) for job in (self._keep_connected(), self._expire(), self._beside())]
        try:
            return await asyncio.shield(self._over)
        finally:
            for task in watch:
                task.cancel()
            await asyncio.gather(*watch, return_exceptions=True)
            await self._close()

    # -- a kind of session

    @abstractmethod
    async def _begin(self) -> None:
        """Raises ``OSError`` when this machine cannot have such a session."""

    @abstractmethod
    async def _close(self) -> None:
        """Nothing of the session is left running."""

    async def _beside(self) -> None:
        """Runs as long as the session does."""
        await asyncio.shield(self._over)

    @abstractmethod
    def _greeting(self) -> list[Frame]:
        """The first frames on a new connection."""

    @abstractmethod
    def _disconnected(self) -> None:
        """The connection is lost."""

    @abstractmethod
    def _next(self) -> str | Frame | None:
        """What to send next, in order of urgency; None: nothing for now."""

    @abstractmethod
    def _take(self, frame: Frame) -> None:
        """A frame of a channel. Raises ``WireError``, and has then done nothing."""

    async def _hear(self, text: str) -> None:
        """A text message. Raises ``WireError``."""
        log.debug("session %s: a text of %d characters is left alone", self.id[:8], len(text))

    @abstractmethod
    def _tick(self) -> None:
        """Every few seconds."""

    # -- what ends it

    async def _expire(self) -> None:
        await asyncio.sleep(max(0.0, (self._until - datetime.now(UTC)).total_seconds()))
        self.end(EndReason.EXPIRED)

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
            for frame in self._greeting():
                await socket.send(frame.encode())
            self._socket, socket.at_once = socket, self._at_once
            try:
                await first_of(self._receive(socket), self._send(socket), self._ping(socket), self._watch(socket))
            finally:
                self._socket = None
                self._disconnected()
                await self._say_goodbye(socket)

    async def _say_goodbye(self, socket: Connection) -> None:
        if self._over.done():
            with contextlib.suppress(ConnectionClosed, OSError, TimeoutError):
                async with asyncio.timeout(GOODBYE):
                    await socket.send(frames.close(self._over.result()).encode())

    async def _receive(self, socket: Connection) -> None:
        while True:
            data = await socket.next_message()
            self._seen = time.monotonic()
            try:
                if isinstance(data, str):
                    await self._hear(data)
                elif (frame := frames.decode(data)) is not None:
                    await self._take_any(frame, socket)
            except WireError:
                await socket.close(PROTOCOL_ERROR, "malformed message")
                raise

    async def _take_any(self, frame: Frame, socket: Connection) -> None:
        if frame.kind is FrameKind.PING:
            await socket.send(frames.pong(frame.number).encode())
        elif frame.kind is FrameKind.CLOSE:
            self.end(_reason(frame.text))
        else:
            self._take(frame)

    def _at_once(self, data: bytes) -> bool:
        """Take a channel's frame in the turn that read it; anything else, faults too, is left to ``_receive``."""
        try:
            frame = frames.decode(data)
            if frame is None or frame.kind in (FrameKind.PING, FrameKind.CLOSE):
                return False
            self._take(frame)
        except WireError:
            return False
        self._seen = time.monotonic()
        return True

    async def _send(self, socket: Connection) -> None:
        while True:
            self._wake.clear()
            while (message := self._next()) is not None:
                await socket.send(message if isinstance(message, str) else message.encode())
            await self._wake.wait()

    async def _ping(self, socket: Connection) -> None:
        while True:
            await asyncio.sleep(PING_EVERY)
            await socket.send(frames.ping(secrets.randbits(53)).encode())

    async def _watch(self, socket: Connection) -> None:
        """Beside what sends: over a dead link that waits for ever. Nor is a dead link said goodbye to."""
        begun = time.monotonic()
        while True:
            await asyncio.sleep(1)
            self._tick()
            now = time.monotonic()
            if now - begun > PROVEN:
                self._patience = DEAD_AFTER
            if now - self._seen > self._patience:
                socket.transport.abort()
                silent, self._patience = self._patience, min(2 * self._patience, DEAD_AT_MOST)
                raise TimeoutError(f"nothing was heard for {silent:.0f} s")


def _reason(text: str) -> EndReason:
    try:
        return EndReason(text)
    except ValueError:
        return EndReason.MEMBER
