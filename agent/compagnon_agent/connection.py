"""A WebSocket of ``websockets`` without detours, so that a key and its echo leave in the turn that read them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.frames import DATA_OPCODES, Frame, Opcode
from websockets.protocol import Event, State
from websockets.typing import Data

from .protocol import short_frames
from .protocol.short_frames import Between

END_OF_HEADERS = b"\r\n\r\n"


class Connection(ClientConnection):
    """``post`` sends without waiting while it is ``ready``; nothing here sends a message in pieces.

    While ``next_message`` waits, ``at_once`` is shown each short binary message that comes by itself, and returns
    whether it dealt with it.
    """

    def __init__(self, *args: Any, **how: Any) -> None:  # noqa: ANN401 - those of ``ClientConnection``
        super().__init__(*args, **how)
        self.at_once: Callable[[bytes], bool] | None = None
        self._listening = False
        self._between = Between(masks=False)

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
        if self.protocol.state is State.CONNECTING:
            self._between.fed(len(data) - answer(data))
        elif self._is_taken(data):
            return
        else:
            self._between.fed(len(data))
        super().data_received(data)

    def _is_taken(self, packet: bytes) -> bool:
        """Whether the packet was one short message, as keys are, for somebody who waits, and was taken at once."""
        if self.at_once is None or not self._listening or not self._between:
            return False
        message = short_frames.plain(packet)
        return message is not None and self.at_once(message)

    def process_event(self, event: Event) -> None:
        if isinstance(event, Frame) and event.opcode in DATA_OPCODES:
            self._listening = False  # what comes after it must not overtake it
            if event.fin and event.opcode is not Opcode.CONT:
                self._between.came(len(event.data))
        super().process_event(event)


def answer(packet: bytes) -> int:
    """How many bytes of the first packet are the answer to the handshake; the server's first message comes with it.

    0 when the answer is not whole in it: then it is never known to be between two messages.
    """
    end = packet.find(END_OF_HEADERS)
    return end + len(END_OF_HEADERS) if end >= 0 and packet.startswith(b"HTTP/") else 0
