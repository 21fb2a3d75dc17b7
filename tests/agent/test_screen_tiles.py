"""The pure parts of a screen: records, what changed, how much may be sent, mouse and keyboard as events."""

from __future__ import annotations

import io
from collections import OrderedDict
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from compagnon_agent.protocol.tiles import SIDE, TILE_LIMIT, Kind, Reader, Record
from compagnon_agent.protocol.wire import WireError
from compagnon_agent.screen import events, mac_hands, windows_hands, x_hands
from compagnon_agent.screen.bucket import RATE, Bucket
from compagnon_agent.screen.events import Area, Doer, read_events
from compagnon_agent.screen.painter import COARSE, FINE, Painter
from compagnon_agent.screen.x_hands import XHands

SIZE = (640, 400)
BIG = 10**9


def screen(width: int = 640, height: int = 400, x: int = 1, y: int = 1) -> bytes:
    return Record(kind=Kind.SCREEN, x=x, y=y, width=width, height=height).encode()


def tile(x: int = 0, y: int = 0, width: int = SIDE, height: int = SIDE, payload: bytes = b"\xff\xd8x") -> bytes:
    return Record(kind=Kind.TILE, x=x, y=y, width=width, height=height, payload=payload).encode()


def test_records_come_in_any_pieces():
    whole = screen() + tile() + tile(512, 384, 128, 16)
    for size in (1, 7, 13, 1000):
        reader, found = Reader(), []
        for at in range(0, len(whole), size):
            found += reader.feed(whole[at : at + size])
        assert [(record.kind, record.x, record.y) for record in found] == [(1, 1, 1), (2, 0, 0), (2, 512, 384)]
        assert b"".join(record.encode() for record in found) == whole


@pytest.mark.parametrize(
    "wrong",
    [
        tile(),
        screen(0, 5),
        screen(4000, 5),
        screen(5, 2401),
        screen(x=2, y=1),
        screen(x=0),
        screen(x=1, y=17),
        screen() + tile(1, 0),
        screen() + tile(640, 0),
        screen() + tile(width=127),
        screen() + tile(512, 384),
        screen() + tile(payload=b""),
        screen() + tile(payload=b"GIF89a"),
        screen() + tile(payload=b"\xff\xd8" + b"x" * TILE_LIMIT),
        b"\x07" + screen()[1:],
    ],
)
def test_what_breaks_the_rules_is_refused(wrong):
    with pytest.raises(WireError):
        Reader().feed(wrong)


@given(st.binary(max_size=200))
def test_rubbish_is_refused_or_waited_for(data):
    with suppress(WireError):
        Reader().feed(data)


def painted(painter: Painter, image: Image.Image, budget: int = BIG) -> list[Record]:
    return Reader().feed(screen(*SIZE) + painter.paint(image, monitor=1, monitors=1, budget=budget))[1:]


def drawn(records: list[Record], onto: Image.Image) -> Image.Image:
    for record in records:
        if record.kind is Kind.TILE:
            onto.paste(Image.open(io.BytesIO(record.payload)), (record.x, record.y))
    return onto


def test_first_everything_then_only_what_changed():
    painter, image = Painter(), Image.new("RGB", SIZE, "#2060c0")
    first = painted(painter, image)
    assert first[0].kind is Kind.SCREEN
    assert len(first) == 1 + 5 * 4
    seen = drawn(first, Image.new("RGB", SIZE))
    while more := painted(painter, image):
        drawn(more, seen)
    image.paste("#d00000", (620, 390, 640, 400))
    changed = painted(painter, image)
    assert [(record.x, record.y) for record in changed] == [(512, 384)]
    assert drawn(changed, seen).getpixel((630, 395))[0] > 190


def test_the_budget_bounds_what_is_sent_and_every_place_gets_its_turn():
    painter = Painter()
    noise = Image.effect_noise(SIZE, 90).convert("RGB")
    seen = Image.new("RGB", SIZE)
    rounds = 0
    places = set()
    while len(places) < 20:
        records = painted(painter, noise, 15_000)
        assert sum(len(record.encode()) for record in records) < 15_000 + 20_000
        places |= {(record.x, record.y) for record in records if record.kind is Kind.TILE}
        drawn(records, seen)
        rounds += 1
        assert rounds < 50
    assert rounds > 3


def test_a_film_in_one_corner_does_not_starve_the_others():
    painter, image = Painter(), Image.new("RGB", SIZE, "white")
    while painted(painter, image):
        pass
    image.paste("black", (0, 384, 640, 400))
    places = set()
    for _ in range(12):
        image.paste(Image.effect_noise((640, 128), 90).convert("RGB"), (0, 0))
        places |= {(record.x, record.y) for record in painted(painter, image, 1)}
    assert {y for _, y in places} >= {0, 384}


def test_quality_falls_when_much_changes_and_is_made_good():
    painter = Painter()
    image = Image.effect_noise((2000, 1200), 40).convert("RGB")
    records = Reader().feed(painter.paint(image, monitor=1, monitors=1, budget=BIG))
    assert len(records) > 100
    assert set(painter._quality.values()) == {COARSE}
    for _ in range(50):
        painter.paint(image, monitor=1, monitors=1, budget=BIG)
    assert set(painter._quality.values()) == {FINE}
    assert painter.paint(image, monitor=1, monitors=1, budget=BIG) == b""


def test_another_size_or_monitor_begins_anew():
    painter = Painter()
    painted(painter, Image.new("RGB", SIZE))
    for size, monitor in (((600, 400), 1), ((600, 400), 2)):
        first = Reader().feed(painter.paint(Image.new("RGB", size), monitor=monitor, monitors=2, budget=BIG))[0]
        assert (first.width, first.x, first.y) == (600, monitor, 2)


def test_the_bucket_never_gives_more_than_its_rate():
    bucket, now, sent = Bucket(now=0.0), 0.0, 0
    for _ in range(400):
        count = bucket.available(now)
        bucket.spend(count + 5_000)  # one tile more than there was room for
        sent += count + 5_000
        now += 0.05
    assert sent <= RATE * (now + 0.25) + 5_000
    assert Bucket(1000, now=0.0).available(3600.0) == 250


class Recorded:
    def __init__(self) -> None:
        self.done: list[tuple] = []

    def __getattr__(self, name):
        return lambda *arguments: self.done.append((name, *arguments))


def test_events_are_done_and_what_is_held_is_let_go():
    hands = Recorded()
    doer, area = Doer(hands), Area(left=1280, top=0, width=1920, height=1080)
    raw = [
        {"what": "move", "x": 0, "y": 0},
        {"what": "move", "x": 65_535, "y": 65_535},
        {"what": "button", "button": 2, "down": True},
        {"what": "key", "key": "Control", "down": True},
        {"what": "key", "key": "a", "down": True},
        {"what": "key", "key": "a", "down": False},
        {"what": "text", "text": "é"},
        {"what": "wheel", "dx": 0, "dy": -3},
        {"what": "release"},
        {"what": "release"},
    ]
    for event in read_events(raw):
        doer.do(event, area)
    assert hands.done == [
        ("move", 1280, 0),
        ("move", 3199, 1079),
        ("button", 2, True),
        ("key", "Control", True),
        ("key", "a", True),
        ("key", "a", False),
        ("text", "é"),
        ("wheel", 0, -3),
        ("key", "Control", False),
        ("button", 2, False),
        ("give_back",),
        ("give_back",),
    ]


def test_a_character_keeps_the_key_it_borrowed_while_there_are_others():
    """A program looks late what a key means: one that is lent on at once would type another character, or none."""
    hands = object.__new__(XHands)
    hands._lent, hands._spares, mapped = OrderedDict(), [255, 254], []
    hands._map = lambda code, keysym: mapped.append((code, keysym))
    assert [hands._lend(keysym) for keysym in (1, 2, 1, 3, 1)] == [255, 254, 255, 254, 255]
    assert mapped == [(255, 1), (254, 2), (254, 3)]
    hands.give_back()
    hands.give_back()
    assert sorted(mapped[3:]) == [(254, 0), (255, 0)]


@pytest.mark.parametrize(
    "wrong",
    [None, {}, ["x"], [{"what": "shell"}], [{"what": "text", "text": "x" * 21}], [{"what": "wheel", "dy": 21}], [{}],
     [{"what": "button", "button": 3}], [{"what": "move", "x": 65_536}], [{"what": "release"}] * 65],
)  # fmt: skip
def test_events_are_hostile_until_read(wrong):
    with pytest.raises(WireError):
        read_events(wrong)


def test_the_keys_of_each_system():
    assert x_hands.keysym_of("a") == 0x61
    assert x_hands.keysym_of("é") == 0xE9
    assert x_hands.keysym_of("€") == 0x0100_20AC
    assert x_hands.keysym_of("\n") == 0xFF0D
    assert windows_hands.key_code("c") == 0x43
    assert windows_hands.key_code("F5") == 0x74
    assert windows_hands.key_code("é") == 0
    assert windows_hands.utf16_units("a🥚") == [0x61, 0xD83E, 0xDD5A]
    everywhere = {
        "Enter",
        "Tab",
        "Escape",
        "Backspace",
        "Delete",
        "Home",
        "End",
        "ArrowLeft",
        "Control",
        "Shift",
        "Alt",
    }
    for keys in (x_hands.NAMED, windows_hands.KEYS, mac_hands.KEYS):
        assert everywhere <= set(keys)
    assert events.AT_ONCE == 64
