"""What the server keeps of a screen, and what a page lacks of it."""

from __future__ import annotations

from compagnon_agent.protocol.tiles import SIDE, Kind, Record
from remote.screens.picture import WINDOW, Eye, Picture, rate_for

LIMIT = 200 * 1024 * 1024


def tile(place: int, content: bytes = b"\xff\xd8") -> Record:
    return Record(kind=Kind.TILE, x=place * SIDE, y=0, width=SIDE, height=SIDE, payload=content)


def screen() -> Record:
    return Record(kind=Kind.SCREEN, x=1, y=1, width=10 * SIDE, height=SIDE)


def everything(eye: Eye, picture: Picture) -> list[Record]:
    found = []
    while (record := eye.next(picture)) is not None:
        found.append(record)
    return found


def test_a_page_gets_each_place_once_and_only_its_newest():
    picture, eye = Picture(), Eye()
    assert everything(eye, picture) == []
    picture.take(screen())
    for number in range(5):
        picture.take(tile(0, b"\xff\xd8%d" % number))
    picture.take(tile(1))
    assert everything(eye, picture) == [screen(), tile(0, b"\xff\xd84"), tile(1)]
    assert everything(eye, picture) == []
    picture.take(tile(0, b"\xff\xd8new"))
    assert everything(eye, picture) == [tile(0, b"\xff\xd8new")]
    assert everything(Eye(), picture) == [screen(), tile(1), tile(0, b"\xff\xd8new")]


def test_another_picture_begins_anew():
    picture, eye = Picture(), Eye()
    for record in (screen(), tile(0), tile(1)):
        picture.take(record)
    everything(eye, picture)
    picture.take(screen())
    picture.take(tile(1))
    assert everything(eye, picture) == [screen(), tile(1)]
    assert picture.size == 2


def test_a_page_that_does_not_draw_gets_no_more_until_it_does():
    picture, eye = Picture(), Eye()
    picture.take(screen())
    picture.take(tile(0))
    eye.next(picture)
    eye.sent = WINDOW
    assert eye.next(picture) is None
    eye.drew(10**9)
    assert eye.drawn == WINDOW
    assert eye.next(picture) == tile(0)


def test_a_recording_is_never_filled_by_a_screen():
    size, seconds, rates = 0.0, 4 * 3600, []
    while seconds > 0:
        rates.append(rate_for(int(size), LIMIT, 160_000, seconds))
        size += rates[-1] * 30 * 1.4
        seconds -= 30
    assert size < LIMIT
    assert rates[0] == 160_000
    assert rates[120] > 6_000, "after an hour of a film"
    assert rate_for(LIMIT, LIMIT, 160_000, 0) == 1_000
