"""The one WebSocket frame that a key is: short, whole, binary (RFC 6455 §5.2). Everything else is the library's.

A library in Python takes twenty calls to read it, and a key and its echo are read four times on their way. Who reads
one here must know that the library stands between two messages: :class:`Between` counts.
"""

from __future__ import annotations

BINARY_AND_LAST = 0x82
MASKED = 0x80
LONGEST = 125
"""Bytes of payload whose length stands in the second byte."""

HEAD = 2
MASK = 4


def masked(packet: bytes) -> tuple[bytes, bytes] | None:
    """Of a packet that is exactly one such frame of a client: its payload, still masked, and the mask. Else None."""
    size = len(packet) - HEAD - MASK
    if not 0 <= size <= LONGEST or packet[0] != BINARY_AND_LAST or packet[1] != MASKED | size:
        return None
    return packet[HEAD + MASK :], packet[HEAD : HEAD + MASK]


def plain(packet: bytes) -> bytes | None:
    """The payload of a packet that is exactly one such frame of a server. Else None."""
    size = len(packet) - HEAD
    if not 0 <= size <= LONGEST or packet[0] != BINARY_AND_LAST or packet[1] != size:
        return None
    return packet[HEAD:]


class Between:
    """Whether the library stands between two messages: whatever it was fed has come out of it as whole ones.

    Control frames, messages in pieces and lengths written longer than they need be are not counted as coming out: after
    them it is never again known, which costs speed and nothing else.
    """

    __slots__ = ("_head", "_inside")

    def __init__(self, *, masks: bool) -> None:
        self._inside = 0
        self._head = HEAD + (MASK if masks else 0)

    def __bool__(self) -> bool:
        return self._inside == 0

    def fed(self, count: int) -> None:
        """So many bytes go in."""
        self._inside += count

    def came(self, size: int) -> None:
        """A whole message of one frame, with ``size`` bytes of payload, came out."""
        longer = 0 if size <= LONGEST else 2 if size < 2**16 else 8
        self._inside -= self._head + longer + size
