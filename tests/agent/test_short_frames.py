"""The one frame that is read without the library, and when it may be."""

import pytest
from websockets.frames import Frame, Opcode

from compagnon_agent.protocol import short_frames
from compagnon_agent.protocol.short_frames import LONGEST, Between


def packet(payload: bytes, *, mask: bool, opcode: Opcode = Opcode.BINARY, **more: bool) -> bytes:
    return Frame(opcode, payload, **more).serialize(mask=mask)


@pytest.mark.parametrize("size", [0, 1, 12, LONGEST])
def test_it_is_read_as_the_library_writes_it(size):
    payload = bytes(range(size))
    assert short_frames.plain(packet(payload, mask=False)) == payload
    found = short_frames.masked(packet(payload, mask=True))
    assert found is not None
    hidden, mask = found
    assert bytes(byte ^ mask[at % 4] for at, byte in enumerate(hidden)) == payload


@pytest.mark.parametrize("mask", [False, True])
@pytest.mark.parametrize(
    ("payload", "more"),
    [
        (bytes(LONGEST + 1), {}),
        (b"text", {"opcode": Opcode.TEXT}),
        (b"piece", {"fin": False}),
        (b"the rest", {"opcode": Opcode.CONT}),
        (b"", {"opcode": Opcode.PING}),
        (b"", {"opcode": Opcode.CLOSE}),
    ],
)
def test_everything_else_is_left_to_the_library(mask, payload, more):
    written = packet(payload, mask=mask, **more)
    assert short_frames.plain(written) is None
    assert short_frames.masked(written) is None


@pytest.mark.parametrize("mask", [False, True])
def test_so_is_what_an_extension_made(mask):
    written = bytearray(packet(b"compressed", mask=mask))
    written[0] |= 0x40
    assert short_frames.plain(bytes(written)) is None
    assert short_frames.masked(bytes(written)) is None


@pytest.mark.parametrize("mask", [False, True])
def test_so_is_a_packet_that_is_not_exactly_one(mask):
    one = packet(b"key", mask=mask)
    for cut in range(len(one)):
        assert short_frames.plain(one[:cut]) is None
        assert short_frames.masked(one[:cut]) is None
    assert short_frames.plain(one + one) is None
    assert short_frames.masked(one + one) is None
    assert (short_frames.masked if not mask else short_frames.plain)(one) is None, "the other side's way"


@pytest.mark.parametrize("masks", [False, True])
@pytest.mark.parametrize("size", [0, 1, LONGEST, LONGEST + 1, 65_535, 65_536, 200_000])
def test_between_two_messages(masks, size):
    between = Between(masks=masks)
    written = packet(bytes(size), mask=masks)
    assert between
    for start in range(0, len(written), 40_000):
        between.fed(len(written[start : start + 40_000]))
        assert not between
    between.came(size)
    assert between


def test_never_between_again_after_a_length_that_is_longer_than_it_need_be():
    between = Between(masks=False)
    between.fed(len(b"\x82\x7e\x00\x01x"))
    between.came(1)
    assert not between
