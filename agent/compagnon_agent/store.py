"""What must outlive the agent's process: grants, step attempts, questions about texts (sqlite, one file, 0600).

An attempt is written down as started before anything runs, and as finished before its result is sent. An attempt that
was started and not finished when the agent starts again was interrupted: it is reported so, and never run twice.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from .authorise import Grant
from .clock import Clock
from .looking import NEW_QUESTIONS
from .outbox import Outbox
from .protocol.manifest import Risk
from .protocol.messages import ConsentKind, ConsentSource, StepResult, StepState, decode, encode
from .protocol.terms import MAX_AGE

STORE_FILE = "agent.db"
INTERRUPTED = "interrupted: the agent stopped while this ran"
VERSION = 3
"""Of the grants' table."""

KEPT = 2000
"""Attempts that are remembered so that a repeated request is recognised."""

QUESTIONS_KEPT = 5000
"""Questions about texts that are remembered."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS grants (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL, ticket_id INTEGER NOT NULL, until TEXT NOT NULL, source TEXT NOT NULL,
    digest TEXT NOT NULL, values_digest TEXT NOT NULL, procedure TEXT NOT NULL, risk TEXT NOT NULL,
    session_id TEXT NOT NULL, capability TEXT NOT NULL, target TEXT NOT NULL,
    member_id INTEGER NOT NULL, member TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS attempts (
    attempt_id TEXT PRIMARY KEY, started TEXT NOT NULL,
    result TEXT, acknowledged INTEGER NOT NULL DEFAULT 0, finished TEXT
);
CREATE TABLE IF NOT EXISTS questions (digest TEXT PRIMARY KEY, answered TEXT NOT NULL);
"""
_ADD_GRANT = """
INSERT INTO grants (kind, ticket_id, until, source, digest, values_digest, procedure, risk, session_id, capability,
    target, member_id, member)
VALUES (:kind, :ticket_id, :until, :source, :digest, :values, :procedure, :risk, :session_id, :capability, :target,
    :member_id, :member)
"""
_GRANTS = """
SELECT kind, ticket_id, until, source, digest, values_digest, procedure, risk, session_id, capability, target,
    member_id, member, id
FROM grants WHERE until > :now
"""
_WITHDRAW_SESSION = "DELETE FROM grants WHERE session_id = :session_id AND kind = 'session'"
_WITHDRAW_CAPABILITY = f"{_WITHDRAW_SESSION} AND capability = :capability"
_WITHDRAW_ALL = "DELETE FROM grants"
_DROP_GRANT = "DELETE FROM grants WHERE id = :id"
_DROP_OLD_GRANTS = "DELETE FROM grants WHERE until <= :now"
_START = "INSERT INTO attempts (attempt_id, started) VALUES (:attempt_id, :started) ON CONFLICT DO NOTHING"
_FINISH = """
UPDATE attempts SET result = :result, finished = :finished WHERE attempt_id = :attempt_id AND result IS NULL
"""
_LOOK_UP = "SELECT started, result, finished FROM attempts WHERE attempt_id = :attempt_id"
_ATTEMPT_COLUMNS = "SELECT name FROM pragma_table_info('attempts')"
_ADD_FINISHED = "ALTER TABLE attempts ADD COLUMN finished TEXT"
_UNFINISHED = "SELECT attempt_id, started FROM attempts WHERE result IS NULL"
_PENDING = """
SELECT result, finished FROM attempts WHERE acknowledged = 0 AND result IS NOT NULL ORDER BY started LIMIT 500
"""
_ACKNOWLEDGE = "UPDATE attempts SET acknowledged = 1 WHERE attempt_id = :attempt_id AND result IS NOT NULL"
_DROP_OLD_ATTEMPTS = """
DELETE FROM attempts WHERE acknowledged = 1 AND attempt_id NOT IN (
    SELECT attempt_id FROM attempts ORDER BY started DESC LIMIT :kept)
"""
_QUESTIONS = "SELECT digest, answered FROM questions"
_REMEMBER = "INSERT INTO questions (digest, answered) VALUES (:digest, :answered) ON CONFLICT DO NOTHING"
_DROP_OLD_QUESTIONS = """
DELETE FROM questions WHERE digest NOT IN (SELECT digest FROM questions ORDER BY answered DESC LIMIT :kept)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """``result`` is None while it runs."""

    started: datetime
    result: StepResult | None


class Store:
    """All calls are short and commit at once; used from one thread."""

    def __init__(self, folder: Path, clock: Clock | None = None) -> None:
        path = folder / STORE_FILE
        self.clock = clock or Clock()
        path.touch(mode=0o600)
        self.db = sqlite3.connect(path, isolation_level=None)
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute("PRAGMA synchronous = FULL")  # a started attempt must survive a power cut
        if self.db.execute("PRAGMA user_version").fetchone()[0] != VERSION:
            self.db.execute("DROP TABLE IF EXISTS grants")  # consents are short; whoever is there is asked again
            self.db.execute(f"PRAGMA user_version = {VERSION}")
        self.db.executescript(_SCHEMA)
        if ("finished",) not in self.db.execute(_ATTEMPT_COLUMNS).fetchall():
            self.db.execute(_ADD_FINISHED)
        self.outbox = Outbox(self.db, self.clock)
        self._void: set[int] = set()  # ids of grants that were taken back, whether or not they are deleted yet
        self._unwritten: dict[str, StepResult] = {}
        self._drop_grants_of_another_time()

    def close(self) -> None:
        self.db.close()

    # -- grants

    def _drop_grants_of_another_time(self) -> None:
        """A clock that was put back while the agent did not run would make a consent last longer than was agreed."""
        latest = self.outbox.read("latest")
        if latest and datetime.fromisoformat(latest) > self.clock.now():
            self.db.execute(_WITHDRAW_ALL)
        self.outbox.write("latest", _stamp(self.clock.now()))

    def add_grant(self, grant: Grant) -> None:
        self._delete_void()
        self.db.execute(_DROP_OLD_GRANTS, {"now": _stamp(self.clock.now())})
        self.outbox.write("latest", _stamp(self.clock.now()))
        self.db.execute(
            _ADD_GRANT,
            {
                "kind": grant.kind, "ticket_id": grant.ticket_id, "until": _stamp(grant.until), "source": grant.source,
                "digest": grant.digest, "values": grant.values, "procedure": grant.procedure, "risk": grant.risk,
                "session_id": grant.session_id, "capability": grant.capability, "target": grant.target,
                "member_id": grant.member_id, "member": grant.member,
            },
        )  # fmt: skip

    def grants(self, now: datetime) -> Sequence[Grant]:
        return [
            Grant(
                kind=ConsentKind(row[0]), ticket_id=row[1], until=datetime.fromisoformat(row[2]),
                source=ConsentSource(row[3]), digest=row[4], values=row[5], procedure=row[6], risk=Risk(row[7]),
                session_id=row[8], capability=row[9], target=row[10], member_id=row[11], member=row[12],
            )
            for row in self.db.execute(_GRANTS, {"now": _stamp(now)})
            if row[-1] not in self._void
        ]  # fmt: skip

    def withdraw_session(self, session_id: str) -> None:
        self._withdraw(_WITHDRAW_SESSION, {"session_id": session_id})

    def withdraw_capability(self, session_id: str, capability: str) -> None:
        self._withdraw(_WITHDRAW_CAPABILITY, {"session_id": session_id, "capability": capability})

    def withdraw_all(self) -> int:
        return self._withdraw(_WITHDRAW_ALL, {})

    def _withdraw(self, query: str, values: dict[str, str]) -> int:
        """What is taken back is gone at once, also where a full disk keeps it from being deleted."""
        void = {row[0] for row in self.db.execute(query.replace("DELETE", "SELECT id", 1), values)} - self._void
        self._void |= void
        with contextlib.suppress(sqlite3.Error):
            self._delete_void()
        return len(void)

    def _delete_void(self) -> None:
        for number in list(self._void):
            self.db.execute(_DROP_GRANT, {"id": number})
            self._void.discard(number)

    # -- questions about texts that were answered without a grant

    def answered(self, now: datetime) -> tuple[frozenset[str], int]:
        """Digests of the remembered ones, and how many new ones may be answered now."""
        rows = self.db.execute(_QUESTIONS).fetchall()
        recent = sum(stamp > _stamp(now - timedelta(days=1)) for _, stamp in rows)
        return frozenset(digest for digest, _ in rows), max(0, NEW_QUESTIONS - recent)

    def remember(self, digests: Iterable[str], now: datetime) -> None:
        """Write them down before they are answered; the oldest are forgotten (and count anew when they are asked)."""
        new = [{"digest": digest, "answered": _stamp(now)} for digest in digests]
        if new:
            self.db.execute("BEGIN")
            self.db.executemany(_REMEMBER, new)
            self.db.execute(_DROP_OLD_QUESTIONS, {"kept": QUESTIONS_KEPT})
            self.db.execute("COMMIT")

    # -- attempts

    def attempt(self, attempt_id: str) -> Attempt | None:
        row = self.db.execute(_LOOK_UP, {"attempt_id": attempt_id}).fetchone()
        if row is None:
            return None
        result = self._unwritten.get(attempt_id) or self._result(*row[1:])
        return Attempt(started=datetime.fromisoformat(row[0]), result=result)

    def start(self, attempt_id: str, started: datetime) -> bool:
        """Write the attempt down; False when it was already there (then it must not run)."""
        return self.db.execute(_START, {"attempt_id": attempt_id, "started": _stamp(started)}).rowcount == 1

    def finish(self, result: StepResult) -> None:
        """A result that cannot be written (a full disk) is kept in memory until it can; its attempt is journalled."""
        self._unwritten[result.attempt_id] = result
        with contextlib.suppress(sqlite3.Error):
            self._write_results()

    def _write_results(self) -> None:
        for attempt_id, result in list(self._unwritten.items()):
            finished = _stamp(self.clock.now())
            self.db.execute(_FINISH, {"attempt_id": attempt_id, "result": encode(result), "finished": finished})
            del self._unwritten[attempt_id]

    def pending(self) -> Sequence[StepResult]:
        """Finished and not yet acknowledged, oldest first."""
        with contextlib.suppress(sqlite3.Error):
            self._write_results()
        rows = self.db.execute(_PENDING).fetchall()
        written = [result for row in rows if (result := self._result(*row))]
        return [*written, *self._unwritten.values()]

    def _result(self, text: str | None, finished: str | None) -> StepResult | None:
        """What is in the journal, as old as it is by now: its own times are by a clock that may be wrong."""
        message = decode(text) if text else None
        if not isinstance(message, StepResult) or finished is None:
            return message if isinstance(message, StepResult) else None
        return replace(message, age=min(MAX_AGE, self.clock.age(datetime.fromisoformat(finished))))

    def acknowledge(self, attempt_id: str) -> None:
        self._write_results()
        self.db.execute(_ACKNOWLEDGE, {"attempt_id": attempt_id})
        self.db.execute(_DROP_OLD_ATTEMPTS, {"kept": KEPT})

    def close_interrupted(self, now: datetime) -> Sequence[str]:
        """At start-up: every attempt without a result failed, because nobody knows how far it came."""
        rows = self.db.execute(_UNFINISHED).fetchall()
        for attempt_id, started in rows:
            self.finish(
                StepResult(
                    attempt_id=attempt_id,
                    state=StepState.FAILED,
                    started=datetime.fromisoformat(started),
                    ended=now,
                    reason=INTERRUPTED,
                )
            )
        return [attempt_id for attempt_id, _ in rows]


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
