"""``GET /events?topics=ticket:12,member:3``: server-sent events (HTML Living Standard §9.2) for open pages."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from typing import Annotated, Any

from litestar import Request, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import QueryParameter
from litestar.response import Stream

from compagnon.auth.model import Member
from compagnon.db import Database
from compagnon.errors import Forbidden, Invalid, TooMany
from compagnon.events import Event, EventHub
from compagnon.events import store as events
from compagnon.i18n import N_
from compagnon.web.feature import TopicGuard

HEARTBEAT = 15.0  # seconds; proxies close a silent connection after 60
RECHECK = 300.0  # seconds; the browser connects again and what the member may hear is decided anew
TOPICS_LIMIT = 50
RECENT = 15.0  # seconds; longer than a page takes from being read to listening, or a transaction to commit
STREAMS_LIMIT = 20  # open pages of one member in one process
TOPIC = re.compile(r"[a-z][a-z_-]{0,30}:[A-Za-z0-9_.-]{1,64}")


class Live:
    def __init__(self, db: Database, hub: EventHub, guards: Mapping[str, TopicGuard]) -> None:
        self._db = db
        self._hub = hub
        self._guards = guards
        self._open: dict[int, int] = {}
        self._closing = asyncio.Event()

    def close(self) -> None:
        """End every stream, so that the server can stop."""
        self._closing.set()

    async def allowed(self, member: Member, topics: Sequence[str]) -> frozenset[str]:
        """The topics, when the member may listen to all of them. Raises Invalid or Forbidden."""
        wanted = frozenset(topic for topic in topics if topic)
        if not wanted or len(wanted) > TOPICS_LIMIT or not all(TOPIC.fullmatch(topic) for topic in wanted):
            raise Invalid(N_("These are not topics one can listen to."))
        for topic in wanted:
            prefix, _, key = topic.partition(":")
            guard = self._guards.get(prefix)
            if guard is None or not await guard(member, key):
                raise Forbidden(N_("You may not follow this."))
        return wanted

    async def stream(self, member: Member, topics: frozenset[str], last_id: int) -> AsyncIterator[bytes]:
        """Event-stream text: what was missed since ``last_id``, then what happens, and a heartbeat."""
        self._enter(member.id)
        try:
            with self._hub.subscribe(topics) as subscription:
                yield b"retry: 2000\n\n"
                seen = last_id
                if not last_id and await self._moved(topics):
                    yield encode(Event(id=0, topic=min(topics), kind="lost"))
                for event in await self._missed(topics, last_id):
                    seen = max(seen, event.id)
                    yield encode(event)
                until = asyncio.get_running_loop().time() + RECHECK
                while not self._closing.is_set() and asyncio.get_running_loop().time() < until:
                    heard = await self._next(subscription.next(timeout=HEARTBEAT))
                    if heard is None:
                        yield b": still here\n\n"
                    elif heard.kind == "lost" or heard.id > seen:
                        yield encode(heard)
        finally:
            self._leave(member.id)

    async def _next(self, waiting: Coroutine[Any, Any, Event | None]) -> Event | None:
        """The next event, None on silence, at once when the server stops."""
        listening = asyncio.ensure_future(waiting)
        closing = asyncio.ensure_future(self._closing.wait())
        try:
            await asyncio.wait({listening, closing}, return_when=asyncio.FIRST_COMPLETED)
            return listening.result() if listening.done() else None
        finally:
            listening.cancel()
            closing.cancel()

    async def _moved(self, topics: frozenset[str]) -> bool:
        """A new page may have been read before something happened, and listens only after it: let it read again."""
        async with self._db.connection() as conn:
            return await events.moved(conn, sorted(topics), RECENT)

    async def _missed(self, topics: frozenset[str], last_id: int) -> list[Event]:
        if not last_id:
            return []
        async with self._db.connection() as conn:
            rows = await events.since(conn, sorted(topics), last_id)
        return [Event(id=event_id, topic=topic, kind=kind) for event_id, topic, kind in rows]

    def check_room(self, member: Member) -> None:
        """Raises TooMany when this member listens with too many pages already."""
        if self._open.get(member.id, 0) >= STREAMS_LIMIT:
            raise TooMany(N_("Too many pages are open: close some of them."), retry_after=10)

    def _enter(self, member_id: int) -> None:
        self._open[member_id] = self._open.get(member_id, 0) + 1

    def _leave(self, member_id: int) -> None:
        self._open[member_id] -= 1
        if not self._open[member_id]:
            del self._open[member_id]

    def handler(self) -> HTTPRouteHandler:
        @get("/events", opt={"stream": True})
        async def live_events(
            request: Request[Any, Any, Any],
            member: Member,
            topics: Annotated[str, QueryParameter(max_length=4000)] = "",
        ) -> Stream:
            """What changes, as server-sent events; ``?topics=`` names what a page shows."""
            self.check_room(member)
            wanted = await self.allowed(member, topics.split(","))
            last = request.headers.get("last-event-id", "")
            last_id = int(last) if last.isdecimal() and len(last) < 19 else 0
            return Stream(
                self.stream(member, wanted, last_id),
                media_type="text/event-stream",
                headers={"X-Accel-Buffering": "no"},
            )

        return live_events


def encode(event: Event) -> bytes:
    """One event. An id of 0 ("read everything again") is not sent: the browser keeps the one it has."""
    identity = f"id: {event.id}\n" if event.id else ""
    return f"{identity}data: {json.dumps({'topic': event.topic, 'kind': event.kind})}\n\n".encode()
