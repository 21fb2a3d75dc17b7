"""One LISTEN connection per process, handed out to the subscribers of that process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import psycopg

from compagnon.db import Connection
from compagnon.db.listening import notified
from compagnon.events import store

log = logging.getLogger(__name__)
QUEUE = 256  # events; a subscriber that falls further behind is told to read everything again
FORGET_EVERY = 600  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """``id`` grows; ``kind`` "lost" means: some were missed, read everything again."""

    id: int
    topic: str
    kind: str


class Subscription:
    """Receives the events of its topics; never blocks the hub."""

    def __init__(self, topics: frozenset[str]) -> None:
        self.topics = topics
        self._queue: asyncio.Queue[Event] = asyncio.Queue(QUEUE)

    def put(self, event: Event) -> None:
        if self._queue.full():
            while not self._queue.empty():
                self._queue.get_nowait()
            event = Event(id=event.id, topic=event.topic, kind="lost")
        self._queue.put_nowait(event)

    async def next(self, timeout: float | None = None) -> Event | None:
        """The next event, or None after ``timeout`` seconds of silence."""
        try:
            async with asyncio.timeout(timeout):
                return await self._queue.get()
        except TimeoutError:
            return None


class EventHub:
    def __init__(self, url: str) -> None:
        self._url = url
        self._subscriptions: dict[str, set[Subscription]] = {}
        self._task: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()

    async def start(self) -> None:
        self._task = asyncio.create_task(self._listen_for_ever(), name="events")
        async with asyncio.timeout(15):
            await self._ready.wait()

    async def stop(self) -> None:
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    @contextlib.contextmanager
    def subscribe(self, topics: Iterable[str]) -> Iterator[Subscription]:
        """``with hub.subscribe({"ticket:12"}) as subscription: event = await subscription.next(timeout=15)``"""
        subscription = Subscription(frozenset(topics))
        for topic in subscription.topics:
            self._subscriptions.setdefault(topic, set()).add(subscription)
        try:
            yield subscription
        finally:
            self._remove(subscription)

    def _remove(self, subscription: Subscription) -> None:
        for topic in subscription.topics:
            listeners = self._subscriptions[topic]
            listeners.discard(subscription)
            if not listeners:
                del self._subscriptions[topic]

    async def _listen_for_ever(self) -> None:
        while True:
            try:
                await self._listen()
            except psycopg.Error as error:
                log.warning("live events are interrupted (%s); listening again", type(error).__name__)
                self._ready.clear()
                await asyncio.sleep(0.5)

    async def _listen(self) -> None:
        async with await psycopg.AsyncConnection.connect(self._url, autocommit=True, connect_timeout=10) as conn:
            await conn.execute("LISTEN compagnon_events")
            if self._subscriptions:  # after an interruption nobody knows what was missed
                self._tell_everyone_to_read_again()
            self._ready.set()
            while True:
                await self._receive(conn)
                await store.forget_old(conn)

    async def _receive(self, conn: Connection) -> None:
        """For FORGET_EVERY seconds."""
        until = time.monotonic() + FORGET_EVERY
        while (left := until - time.monotonic()) > 0:
            for notification in await notified(conn, left):
                event_id, topic, kind = json.loads(notification.payload)
                for subscription in tuple(self._subscriptions.get(topic, ())):
                    subscription.put(Event(id=event_id, topic=topic, kind=kind))

    def _tell_everyone_to_read_again(self) -> None:
        for topic, listeners in self._subscriptions.items():
            for subscription in listeners:
                subscription.put(Event(id=0, topic=topic, kind="lost"))
