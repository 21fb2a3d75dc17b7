"""A session with a shell on a terminal, and however many connections it takes to show it.

The shell lives on while the link is down; its output waits in the stream (at most 1 MiB, then the terminal is no
longer read, so the program in it waits too).
"""

from __future__ import annotations

import asyncio
from datetime import datetime

from ..identity import Identity
from ..protocol import frames
from ..protocol.frames import Frame, FrameKind
from ..protocol.messages import EndReason, OpenSession
from ..protocol.stream import Stream
from ..pty_process import PtyProcess
from .link import SessionLink

EXIT_GRACE = 5.0
"""Seconds that the server has to say CLOSE after everything, the exit code too, has arrived."""

ACK_SOON = 0.8
"""Seconds after which keys are acknowledged: each acknowledgement delays the echo that comes after it. A page shows as
waiting what was not acknowledged after 1.5 s.
"""

READ_AHEAD = 256 * 1024
"""Output on its way beyond which the terminal is not read: what a Ctrl-C has to wait for. Without a link the stream
takes all it can keep.
"""

INPUT_LIMIT = 64 * 1024
"""Keys that wait for the terminal before no more are acknowledged."""


class TerminalSession(SessionLink):
    """``shell`` None: the account's own."""

    def __init__(
        self, request: OpenSession, identity: Identity, *, until: datetime, grace: float, shell: str | None
    ) -> None:
        super().__init__(request, identity, until=until, grace=grace)
        self._shell = shell
        self._stream = Stream(lazy=True)
        self._acking: asyncio.TimerHandle | None = None
        self._pty = PtyProcess(self._shown, self._exited)
        self._gone = asyncio.Event()
        self._unread = 0

    async def _begin(self) -> None:
        await self._pty.start(self._shell, self.request.columns, self.request.rows)

    async def _close(self) -> None:
        if self._acking:
            self._acking.cancel()
        await self._pty.close()

    # -- the terminal

    def _shown(self, data: bytes) -> None:
        self._stream.write(data)
        self._pace()
        self.wake()

    def _pace(self) -> None:
        """Read the terminal while there is somewhere to go with it."""
        ahead = READ_AHEAD if self._connected else self._stream.capacity - frames.MAX_PAYLOAD
        self._pty.read(on=self._stream.unacknowledged < ahead and self.exit_code is None)

    def _exited(self, code: int) -> None:
        self.exit_code = code
        self._gone.set()
        self._stream.finish(code)
        self.wake()

    async def _beside(self) -> None:
        """After the shell's end: once everything has arrived, wait for CLOSE a little, then leave."""
        await self._gone.wait()
        while True:
            if self._stream.settled and self._connected:
                break
            await asyncio.sleep(0.1)
        await asyncio.sleep(EXIT_GRACE)
        self.end(EndReason.EXIT)

    # -- its connection

    def _greeting(self) -> list[Frame]:
        return [self._stream.connected()]

    def _disconnected(self) -> None:
        self._stream.disconnected()
        self._pace()

    def _next(self) -> Frame | None:
        return self._stream.next_frame()

    def _tick(self) -> None:
        self._keys(b"")

    def _take(self, frame: Frame) -> None:
        if frame.kind is FrameKind.RESIZE:
            self._pty.resize(*frame.size)
        elif frame.kind is FrameKind.SIGNAL:
            self._pty.signal(frame.text)
        elif frame.channel == frames.TERMINAL:
            self._keys(self._stream.receive(frame).data)
            self._pace()
            self.wake()

    def _keys(self, data: bytes) -> None:
        """Keys go to the terminal at once; they are acknowledged while it takes them."""
        if data:
            self._pty.write(data)
            self._unread += len(data)
        if self._unread and self._pty.pending_input < INPUT_LIMIT:
            self._stream.consumed(self._unread)
            self._unread = 0
        if self._stream.owes and self._acking is None:
            self._acking = asyncio.get_running_loop().call_later(ACK_SOON, self._acknowledge)

    def _acknowledge(self) -> None:
        self._acking = None
        self._stream.acknowledge()
        self.wake()
