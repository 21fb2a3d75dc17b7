"""A shell on a device, as an agent would have it: output into a stream, keys out of one, over an in-process wire.

Two threads do the blocking work of paramiko. Output waits for room in the stream (the recording sets the pace), so the
program on the device waits too; keys wait in the writer's queue, bounded by the stream's window.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import queue
import secrets
import shlex
import threading
from collections.abc import Sequence
from typing import TypeAlias

import paramiko

from compagnon_agent.protocol import frames
from compagnon_agent.protocol.frames import Frame, FrameKind
from compagnon_agent.protocol.messages import EndReason
from compagnon_agent.protocol.stream import Stream
from compagnon_agent.protocol.wire import WireError
from remote.ssh.connector import HANDSHAKE, in_thread
from remote.ssh.pipe import Pipe

READ = 16 * 1024
WINDOW = 256 * 1024  # bytes the device may send ahead: what a Ctrl-C in a flood has to wait for
PING_EVERY = 2.0
SETTLE = 10.0  # seconds for the last output to be recorded after the connection broke
STATUS_WAIT = 2.0  # seconds for the exit status after the last output
Work: TypeAlias = bytes | tuple[int, int] | None  # keys, a size, or the end


class Shell:
    """``run`` ends with the reason, once the shell or the session is over; ``pipe.wire`` is the room's end."""

    def __init__(self, client: paramiko.SSHClient) -> None:
        self.pipe = Pipe(self._hear, self._hung_up)
        self._client = client
        self._loop = asyncio.get_running_loop()
        self._stream = Stream()
        self._wake = asyncio.Event()
        self._space = asyncio.Event()
        self._over: asyncio.Future[EndReason] = self._loop.create_future()
        self._work: queue.SimpleQueue[Work] = queue.SimpleQueue()
        self._channel: paramiko.Channel | None = None
        self._threads: list[threading.Thread] = []

    async def start(self, columns: int, rows: int, command: Sequence[str] | None = None) -> None:
        """``command``: what runs on the terminal in place of the account's shell. Raises paramiko's errors, OSError."""
        self._channel = await in_thread(lambda: _open(self._client, columns, rows, command))
        for work in (self._read, self._write):
            thread = threading.Thread(target=work, name="ssh shell", daemon=True)
            self._threads.append(thread)
            thread.start()

    def end(self, reason: EndReason) -> None:
        if not self._over.done():
            self._over.set_result(reason)
        self._space.set()

    async def run(self) -> EndReason:
        await self.pipe.say(self._stream.connected().encode())
        beside = [asyncio.create_task(self._send()), asyncio.create_task(self._ping())]
        try:
            return await asyncio.shield(self._over)
        finally:
            self.end(EndReason.LOST)
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
            self._work.put(None)
            await in_thread(self._client.close)
            await self.pipe.hang_up()

    # towards the room

    async def _send(self) -> None:
        while True:
            self._wake.clear()
            while (frame := self._stream.next_frame()) is not None:
                await self.pipe.say(frame.encode())
            if self._stream.room >= READ:
                self._space.set()
            await self._wake.wait()

    async def _ping(self) -> None:
        while True:
            await asyncio.sleep(PING_EVERY)
            await self.pipe.say(frames.ping(secrets.randbits(53)).encode())

    async def _shown(self, data: bytes) -> None:
        """Called from the reader, which waits for it: at most READ bytes wait outside of the stream."""
        while self._stream.room < len(data) and not self._over.done():
            self._space.clear()
            await self._space.wait()
        self._stream.write(data)
        self._wake.set()

    async def _left(self, code: int | None) -> None:
        """The shell is gone (``code``), or the connection broke (None): what was shown is recorded before the end."""
        if code is not None:
            self._stream.finish(code)
            self._wake.set()
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SETTLE):
                while not self._stream.settled and not self._over.done():
                    self._space.clear()
                    await self._space.wait()
        self.end(EndReason.LOST)

    # from the room

    async def _hear(self, data: str | bytes) -> None:
        frame = frames.decode(data) if isinstance(data, bytes) else None
        if frame is None:
            return
        try:
            self._take(frame)
        except WireError:
            self.end(EndReason.LOST)

    def _take(self, frame: Frame) -> None:
        if frame.kind is FrameKind.RESIZE:
            self._work.put(frame.size)
        elif frame.kind is FrameKind.CLOSE:
            self.end(EndReason.MEMBER)
        elif frame.channel == frames.TERMINAL:
            keys = self._stream.receive(frame).data
            if keys:
                self._work.put(keys)
            if self._stream.room >= READ or self._stream.settled:
                self._space.set()
            self._wake.set()

    def _hung_up(self) -> None:
        self.end(EndReason.LOST)

    def _sent(self, count: int) -> None:
        self._stream.consumed(count)
        self._wake.set()

    # the threads

    def _read(self) -> None:
        channel = self._channel
        assert channel is not None
        with contextlib.suppress(OSError, EOFError, concurrent.futures.CancelledError, RuntimeError):
            while data := channel.recv(READ):
                asyncio.run_coroutine_threadsafe(self._shown(data), self._loop).result()
        left = channel.status_event.wait(STATUS_WAIT) and channel.exit_status >= 0
        with contextlib.suppress(RuntimeError):  # the loop is gone: the server stops
            asyncio.run_coroutine_threadsafe(self._left(channel.exit_status if left else None), self._loop)

    def _write(self) -> None:
        channel = self._channel
        assert channel is not None
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException, RuntimeError):
            while (work := self._work.get()) is not None:
                if isinstance(work, bytes):
                    channel.sendall(work)
                    self._loop.call_soon_threadsafe(self._sent, len(work))
                else:
                    channel.resize_pty(width=work[0], height=work[1])


def _open(client: paramiko.SSHClient, columns: int, rows: int, command: Sequence[str] | None) -> paramiko.Channel:
    transport = client.get_transport()
    if transport is None:
        raise paramiko.SSHException("not connected")
    channel = transport.open_session(window_size=WINDOW, timeout=HANDSHAKE)
    channel.get_pty(term="xterm-256color", width=columns, height=rows)
    if command is None:
        channel.invoke_shell()
    else:
        channel.exec_command(shlex.join(command))
    channel.settimeout(None)
    return channel
