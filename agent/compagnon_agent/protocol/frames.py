"""Binary frames of a session connection: 11 bytes of header (kind u8, channel u16, offset u64, big-endian), a payload.

Frames on a channel that carry bytes (DATA, GAP, EXIT) are ordered by ``offset``, the position of their first byte in
everything the sender ever sent on that channel; :class:`~.stream.Stream` keeps that order over reconnections.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import NamedTuple

from .wire import WireError

MAX_PAYLOAD = 64 * 1024
MAX_FRAME = MAX_PAYLOAD + 11
TERMINAL = 0
"""The channel of the terminal: output from the agent, keys towards it."""

_HEADER = struct.Struct(">BHQ")
_U32 = struct.Struct(">I")
_SIZE = struct.Struct(">HH")
_CODE = struct.Struct(">i")
_TOKEN = struct.Struct(">Q")


class FrameKind(IntEnum):
    """What follows the header. Payloads: see the constructors below, one for each."""

    DATA = 1
    ACK = 2
    RESUME = 3
    GAP = 4
    EXIT = 5
    RESIZE = 6
    SIGNAL = 7
    SNAPSHOT = 8
    PING = 9
    PONG = 10
    CLOSE = 11


_KINDS = {kind.value: kind for kind in FrameKind}
_LENGTHS = {
    FrameKind.ACK: 4, FrameKind.RESUME: 4, FrameKind.GAP: 0, FrameKind.EXIT: 4, FrameKind.RESIZE: 4, FrameKind.PING: 8,
    FrameKind.PONG: 8,
}  # fmt: skip
SIGNALS = frozenset({"INT", "TERM", "HUP", "QUIT", "KILL"})


class Frame(NamedTuple):
    """One frame; ``encode`` gives the bytes of one binary WebSocket message."""

    kind: FrameKind
    channel: int = 0
    offset: int = 0
    payload: bytes = b""

    @property
    def end(self) -> int:
        """Position after the last byte of a DATA frame."""
        return self.offset + len(self.payload)

    @property
    def number(self) -> int:
        """The payload of ACK and RESUME (window), EXIT (code), PING and PONG (token)."""
        if self.kind in (FrameKind.PING, FrameKind.PONG):
            return int(_TOKEN.unpack(self.payload)[0])
        return int((_CODE if self.kind is FrameKind.EXIT else _U32).unpack(self.payload)[0])

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows of a RESIZE."""
        columns, rows = _SIZE.unpack(self.payload)
        return columns, rows

    @property
    def text(self) -> str:
        """The payload of SIGNAL and CLOSE."""
        return self.payload.decode("utf-8", "replace")

    def encode(self) -> bytes:
        return _HEADER.pack(self.kind, self.channel, self.offset) + self.payload


def decode(raw: bytes) -> Frame | None:
    """The frame in one binary message; None for an unknown kind; :class:`WireError` when malformed."""
    if not _HEADER.size <= len(raw) <= MAX_FRAME:
        raise WireError("frame", f"must have {_HEADER.size} to {MAX_FRAME} bytes")
    kind, channel, offset = _HEADER.unpack_from(raw)
    if offset > 2**53:  # what JavaScript counts exactly
        raise WireError("frame", "offset out of range")
    known = _KINDS.get(kind)
    if known is None:
        return None
    frame = Frame(kind=known, channel=channel, offset=offset, payload=raw[_HEADER.size :])
    _validate(frame)
    return frame


def _validate(frame: Frame) -> None:
    if frame.kind is FrameKind.DATA:
        return
    wanted = _LENGTHS.get(frame.kind)
    if wanted is not None and len(frame.payload) != wanted:
        raise WireError("frame", f"{frame.kind.name} must have {wanted} bytes of payload")
    if frame.kind is FrameKind.RESIZE:
        columns, rows = frame.size
        if not (2 <= columns <= 1000 and 1 <= rows <= 1000):
            raise WireError("frame", "RESIZE must be 2 to 1000 columns, 1 to 1000 rows")
    if frame.kind is FrameKind.SIGNAL and frame.text not in SIGNALS:
        raise WireError("frame", "SIGNAL must be one of " + ", ".join(sorted(SIGNALS)))
    if frame.kind is FrameKind.CLOSE and len(frame.payload) > 500:
        raise WireError("frame", "CLOSE must have at most 500 bytes")


def data(payload: bytes, offset: int, *, channel: int = TERMINAL) -> Frame:
    """Bytes, the first of which is number ``offset``."""
    return Frame(kind=FrameKind.DATA, channel=channel, offset=offset, payload=payload)


def ack(offset: int, window: int, *, channel: int = TERMINAL) -> Frame:
    """Everything before ``offset`` is dealt with for good; ``window`` more bytes may come."""
    return Frame(kind=FrameKind.ACK, channel=channel, offset=offset, payload=_U32.pack(window))


def resume(offset: int, window: int, *, channel: int = TERMINAL) -> Frame:
    """Send from ``offset`` on, at most ``window`` bytes for now. First frame of a channel on each connection."""
    return Frame(kind=FrameKind.RESUME, channel=channel, offset=offset, payload=_U32.pack(window))


def gap(offset: int, *, channel: int = TERMINAL) -> Frame:
    """What came before ``offset`` is no longer there; the stream goes on at ``offset``."""
    return Frame(kind=FrameKind.GAP, channel=channel, offset=offset)


def exited(code: int, offset: int, *, channel: int = TERMINAL) -> Frame:
    """The program ended with ``code`` (negative: by that signal) after ``offset`` bytes in all."""
    return Frame(kind=FrameKind.EXIT, channel=channel, offset=offset, payload=_CODE.pack(code))


def resize(columns: int, rows: int, *, channel: int = TERMINAL) -> Frame:
    return Frame(kind=FrameKind.RESIZE, channel=channel, payload=_SIZE.pack(columns, rows))


def signal(name: str, *, channel: int = TERMINAL) -> Frame:
    return Frame(kind=FrameKind.SIGNAL, channel=channel, payload=name.encode("ascii"))


def snapshot(payload: bytes, offset: int, *, channel: int = TERMINAL) -> Frame:
    """To a viewer that fell behind: ``payload`` redraws the screen as it is at ``offset``; DATA goes on from there."""
    return Frame(kind=FrameKind.SNAPSHOT, channel=channel, offset=offset, payload=payload)


def ping(token: int) -> Frame:
    return Frame(kind=FrameKind.PING, payload=_TOKEN.pack(token))


def pong(token: int) -> Frame:
    return Frame(kind=FrameKind.PONG, payload=_TOKEN.pack(token))


def close(reason: str) -> Frame:
    """The session is over for good: do not come back. ``reason`` is one of ``messages.EndReason``."""
    return Frame(kind=FrameKind.CLOSE, payload=reason.encode()[:500])
