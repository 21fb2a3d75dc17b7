"""What the server has not heard yet: delivered in order, and by the server's count exactly once (sqlite).

Every message has a number in this queue; it is sent again after each reconnection until the server says that it is
stored. The queue is bounded in number, bytes and age. What it drops is counted, and the server is told.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import sqlite3
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from .clock import Clock
from .protocol.messages import CheckReport, Dropped, Facts, Message, Policy, Queued, encode
from .protocol.terms import MAX_AGE
from .protocol.wire import loads

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """``size`` in bytes of all messages together."""

    count: int = 1000
    size: int = 4 * 1024 * 1024
    age: timedelta = timedelta(days=14)


LATEST = (Facts.TYPE, Policy.TYPE)
"""Of these only the newest is worth telling."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS outbox (
    number INTEGER PRIMARY KEY AUTOINCREMENT, type TEXT NOT NULL, message TEXT NOT NULL, at TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS kept (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
_ADD = "INSERT INTO outbox (type, message, at) VALUES (:type, :message, :at)"
_DROP_TYPE = "DELETE FROM outbox WHERE type = :type"
_AFTER = "SELECT number, message, at FROM outbox WHERE number > :after ORDER BY number LIMIT :limit"
_FORGET = "DELETE FROM outbox WHERE number <= :number"
_SIZE = "SELECT count(*), coalesce(sum(length(message)), 0) FROM outbox"
_OLDEST = "SELECT number, type FROM outbox ORDER BY type <> 'check_report', number LIMIT 1"
_OLD = "SELECT number, type FROM outbox WHERE at < :at"
_NUMBERS = "SELECT number FROM outbox"
_DROP = "DELETE FROM outbox WHERE number = :number"
_LAST = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'outbox'"
_READ = "SELECT value FROM kept WHERE name = :name"
_WRITE = "INSERT INTO kept (name, value) VALUES (:name, :value) ON CONFLICT (name) DO UPDATE SET value = excluded.value"


@contextlib.contextmanager
def together(db: sqlite3.Connection) -> Iterator[None]:
    """All or nothing; inside another such block, a part of it."""
    if db.in_transaction:
        yield
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


class Outbox:
    """Used from one thread. ``news`` is set when there is something to send, or something was acknowledged."""

    def __init__(self, db: sqlite3.Connection, clock: Clock, bounds: Bounds | None = None) -> None:
        self._db = db
        self._clock = clock
        self._bounds = bounds or Bounds()
        self.news = asyncio.Event()
        db.executescript(_SCHEMA)
        if not self.read("queue"):
            self.write("queue", str(uuid.uuid4()))

    # -- in

    def put(self, message: Message, *, likeness: str = "") -> bool:
        """Queue it; False when it could not be written, or says what the server knows already.

        ``likeness``: what of it counts as new, for those of which only the newest is told; else the whole text.
        """
        try:
            with together(self._db):
                if message.TYPE in LATEST and not self._is_new(message, likeness):
                    return False
                self._db.execute(
                    _ADD, {"type": message.TYPE, "message": encode(message), "at": self._clock.now().isoformat()}
                )
                self._make_room()
        except sqlite3.Error as fault:  # the disk is full: what is told later is better than an agent that stops
            log.error("%s could not be queued: %s", message.TYPE, fault)
            return False
        self.news.set()
        return True

    def _is_new(self, message: Message, likeness: str) -> bool:
        digest = hashlib.sha256((likeness or encode(message)).encode()).hexdigest()
        if self.read(f"said:{message.TYPE}") == digest:
            return False
        self._db.execute(_DROP_TYPE, {"type": message.TYPE})
        self.write(f"said:{message.TYPE}", digest)
        return True

    def _make_room(self) -> None:
        limit = (self._clock.now() - self._bounds.age).isoformat()
        for number, kind in self._db.execute(_OLD, {"at": limit}).fetchall():
            self._drop(number, kind)
        count, size = self._db.execute(_SIZE).fetchone()
        while count > self._bounds.count or size > self._bounds.size:
            number, kind = self._db.execute(_OLDEST).fetchone()
            self._drop(number, kind)
            count, size = self._db.execute(_SIZE).fetchone()

    def _drop(self, number: int, kind: str) -> None:
        counts = self.dropped()
        counts[kind] = counts.get(kind, 0) + 1
        self.write("dropped", json.dumps(counts))
        self._db.execute(_DROP, {"number": number})
        if kind == CheckReport.TYPE:
            self.write("full_at", "")  # the server misses changes: tell everything next time
        if kind in LATEST:
            self.write(f"said:{kind}", "")

    def dropped(self) -> dict[str, int]:
        return dict(json.loads(self.read("dropped") or "{}"))

    # -- out

    def after(self, number: int, limit: int) -> Sequence[Queued]:
        """The next messages behind ``number``, oldest first; before the first ones, what was dropped."""
        with together(self._db):
            self._make_room()
            self._tell_dropped()
            rows = self._db.execute(_AFTER, {"after": number, "limit": limit}).fetchall()
        return [self._queued(*row) for row in rows]

    def _tell_dropped(self) -> None:
        counts = self.dropped()
        if counts:
            self.write("dropped", "{}")
            message = encode(Dropped(counts=counts))
            self._db.execute(_ADD, {"type": Dropped.TYPE, "message": message, "at": self._clock.now().isoformat()})

    def _queued(self, number: int, message: str, at: str) -> Queued:
        content = loads(message, limit=256 * 1024)
        assert isinstance(content, dict)  # we wrote it
        age = min(MAX_AGE, self._clock.age(datetime.fromisoformat(at)))
        return Queued(queue=self.read("queue"), number=number, age=age, message=content)

    def waiting(self) -> set[int]:
        """The numbers of everything that is not acknowledged yet."""
        return {row[0] for row in self._db.execute(_NUMBERS)}

    def acknowledge(self, queue: str, number: int) -> None:
        """The server has everything up to ``number``.

        Has it more than was ever sent, this store is an older state of itself (a restored disk): what waits is new to
        the server although its numbers are not, so it goes out under the name of a new queue.
        """
        if queue != self.read("queue"):
            return
        if number > self._db.execute(_LAST).fetchone()[0]:
            self.write("queue", str(uuid.uuid4()))
            log.warning("the store was put back to an older state: a new queue begins")
        else:
            self._db.execute(_FORGET, {"number": number})
        self.news.set()

    # -- small things to keep

    def read(self, name: str) -> str:
        row = self._db.execute(_READ, {"name": name}).fetchone()
        return str(row[0]) if row else ""

    def write(self, name: str, value: str) -> None:
        self._db.execute(_WRITE, {"name": name, "value": value})
