"""A WebSocket of ``websockets`` without detours, so that a key and its echo leave in the turn that read them."""

from __future__ import annotations

from collections.abc import Callable

from websockets.asyncio.client import ClientConnection
from websockets.frames import Frame, Opcode
from websockets.protocol import Event, State
from websockets.typing import Data

IN_A_TURN = 8
"""Messages of one read that are taken at once: thousands of tiny ones must not keep everything else waiting."""


class Connection(ClientConnection):
    """``post`` sends without waiting while it is ``ready``; nothing here sends a message in pieces.

    While ``next_message`` waits, ``at_once`` is shown each whole binary message first and returns whether that was all.
    """

    at_once: Callable[[bytes], bool] | None = None
    _listening = False
    _left = 0

    @property
    def ready(self) -> bool:
        """Whether it is open and its buffers take more."""
        return self.protocol.state is State.OPEN and not self.paused

    def post(self, message: str | bytes) -> None:
        """Send now. Only while ``ready``."""
        if isinstance(message, str):
            self.protocol.send_text(message.encode())
        else:
            self.protocol.send_binary(message)
        self.send_data()

    async def next_message(self) -> Data:
        """The next one that ``at_once`` did not take. Raises ``ConnectionClosed``."""
        self._listening = True
        try:
            return await self.recv()
        finally:
            self._listening = False

    def data_received(self, data: bytes) -> None:
        self._left = IN_A_TURN
        super().data_received(data)

    def process_event(self, event: Event) -> None:
        if self._listening and self._left and self.at_once and isinstance(event, Frame) and event.fin:
            self._left -= 1
            if event.opcode is Opcode.BINARY and self.at_once(bytes(event.data)):
                return
            self._listening = False  # what comes after it must not overtake it
        super().process_event(event)
