"""Live events cross connections, arrive after the commit only, and a slow listener is told that it missed some."""

from compagnon.db import Database
from compagnon.events import Event, EventHub, publish
from compagnon.events.hub import QUEUE, Subscription


async def test_an_event_arrives_after_the_commit(db: Database) -> None:
    hub = EventHub(db.url)
    await hub.start()
    try:
        with hub.subscribe({"ticket:1"}) as subscription:
            async with db.transaction() as conn:
                await publish(conn, "ticket:1", "changed")
                assert await subscription.next(timeout=0.2) is None
            event = await subscription.next(timeout=5)
    finally:
        await hub.stop()
    assert event is not None
    assert (event.topic, event.kind) == ("ticket:1", "changed")


async def test_only_ones_own_topics_arrive(db: Database) -> None:
    hub = EventHub(db.url)
    await hub.start()
    try:
        with hub.subscribe({"ticket:1"}) as subscription:
            async with db.transaction() as conn:
                await publish(conn, "ticket:2", "changed")
                await publish(conn, "ticket:1", "closed")
            event = await subscription.next(timeout=5)
    finally:
        await hub.stop()
    assert event is not None
    assert event.kind == "closed"


async def test_a_broken_connection_is_replaced_and_listeners_read_again(db: Database) -> None:
    hub = EventHub(db.url)
    await hub.start()
    try:
        with hub.subscribe({"ticket:1"}) as subscription:
            async with db.connection() as conn:
                await conn.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
            event = await subscription.next(timeout=10)
            assert event is not None
            assert event.kind == "lost"
            async with db.transaction() as conn:
                await publish(conn, "ticket:1", "changed")
            event = await subscription.next(timeout=5)
    finally:
        await hub.stop()
    assert event is not None
    assert event.kind == "changed"


async def test_a_slow_listener_is_told_that_it_missed_some() -> None:
    subscription = Subscription(frozenset({"t:1"}))
    for number in range(QUEUE + 1):
        subscription.put(Event(id=number, topic="t:1", kind="changed"))
    event = await subscription.next(timeout=1)
    assert event is not None
    assert event.kind == "lost"
