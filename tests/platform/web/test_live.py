from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from compagnon import events
from compagnon.errors import Forbidden, Invalid, TooMany
from compagnon.events import Event
from compagnon.kernel import Kernel
from compagnon.web import live
from compagnon.web.live import Live, encode


@pytest.fixture
async def listening(bare: Kernel) -> AsyncIterator[Live]:
    async def own(member: object, key: str) -> bool:
        return key != "secret"

    await bare.hub.start()
    made = Live(bare.db, bare.hub, {"ticket": own})
    yield made
    made.close()
    await bare.hub.stop()


async def publish(bare: Kernel, topic: str) -> None:
    async with bare.db.transaction() as conn:
        await events.publish(conn, topic, "changed")


async def first(stream: AsyncIterator[bytes], marker: bytes) -> bytes:
    async with asyncio.timeout(5):
        async for chunk in stream:
            if marker in chunk:
                return chunk
    raise AssertionError("the stream ended")


async def test_an_event_reaches_the_page(bare: Kernel, listening: Live, people) -> None:
    stream = listening.stream(people.alice, frozenset({"ticket:1"}), 0)
    assert b"retry" in await anext(stream)
    waiting = asyncio.create_task(first(stream, b"data:"))
    await asyncio.sleep(0.1)
    await publish(bare, "ticket:2")
    await publish(bare, "ticket:1")
    assert b'{"topic": "ticket:1", "kind": "changed"}' in await waiting
    await stream.aclose()


async def test_what_was_missed_comes_first_and_once(bare: Kernel, listening: Live, people) -> None:
    await publish(bare, "ticket:1")
    await publish(bare, "ticket:1")
    async with bare.db.connection() as conn:
        rows = await (await conn.execute("SELECT id FROM events WHERE topic = 'ticket:1' ORDER BY id")).fetchall()
    seen, missed = rows[0][0], rows[1][0]
    stream = listening.stream(people.alice, frozenset({"ticket:1"}), seen)
    assert (await first(stream, b"data:")).startswith(f"id: {missed}\n".encode())
    await stream.aclose()


async def test_silence_is_filled_with_a_heartbeat(listening: Live, people, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "HEARTBEAT", 0.05)
    stream = listening.stream(people.alice, frozenset({"ticket:1"}), 0)
    assert await first(stream, b": still here")
    await stream.aclose()


async def test_streams_end_when_the_server_stops(listening: Live, people) -> None:
    stream = listening.stream(people.alice, frozenset({"ticket:1"}), 0)
    await anext(stream)
    rest = asyncio.create_task(anext(stream, b"end"))
    await asyncio.sleep(0.05)
    listening.close()
    async with asyncio.timeout(2):
        assert b"data" not in await rest


@pytest.mark.parametrize("topics", ["", "ticket", "Ticket:1", "ticket:1\n", "ticket:" + "9" * 65, "a:1,b:2;c:3"])
async def test_malformed_topics_are_refused(listening: Live, people, topics: str) -> None:
    with pytest.raises(Invalid):
        await listening.allowed(people.alice, topics.split(","))


@pytest.mark.parametrize("topics", ["ticket:secret", "unknown:1", "ticket:1,ticket:secret"])
async def test_topics_that_are_not_ones_own_are_refused(listening: Live, people, topics: str) -> None:
    with pytest.raises(Forbidden):
        await listening.allowed(people.alice, topics.split(","))


async def test_one_member_cannot_open_streams_without_end(listening: Live, people) -> None:
    streams = [listening.stream(people.alice, frozenset({"ticket:1"}), 0) for _ in range(live.STREAMS_LIMIT)]
    for stream in streams:
        await anext(stream)
    with pytest.raises(TooMany):
        listening.check_room(people.alice)
    listening.check_room(people.ada)
    await streams[0].aclose()
    listening.check_room(people.alice)
    for stream in streams[1:]:
        await stream.aclose()


async def test_the_route_asks_the_guard(client_of, people) -> None:
    client = await client_of(people.alice)
    assert (await client.get(f"/events?topics=member:{people.ada.id}")).status_code == 403
    assert (await client.get("/events?topics=x")).status_code == 422


def test_an_event_that_says_read_again_keeps_the_browsers_id() -> None:
    assert encode(Event(id=0, topic="ticket:1", kind="lost")).startswith(b"data:")
