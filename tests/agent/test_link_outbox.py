"""The agent's queue: in order, bounded, honest about what it dropped, never a message twice by its own doing."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta

import pytest

from compagnon_agent.authorise import Grant
from compagnon_agent.clock import Clock
from compagnon_agent.outbox import Bounds, Outbox
from compagnon_agent.protocol.messages import (
    CheckReport,
    ConsentKind,
    ConsentSource,
    ConsentWithdrawn,
    Dropped,
    Facts,
    decode,
)
from compagnon_agent.protocol.wire import dumps
from compagnon_agent.store import Store

YEAR = 365 * 86_400.0


class Times:
    """A machine's clocks, set by hand."""

    def __init__(self, wall: float = 1_790_000_000.0) -> None:
        self.wall_now, self.steady_now = wall, 50.0

    def pass_(self, seconds: float) -> None:
        self.wall_now += seconds
        self.steady_now += seconds

    def clock(self) -> Clock:
        return Clock(lambda: self.wall_now, lambda: self.steady_now)


@pytest.fixture
def times() -> Times:
    return Times()


@pytest.fixture
def db(tmp_path):
    made = sqlite3.connect(tmp_path / "agent.db", isolation_level=None)
    yield made
    made.close()


def withdrawn(text: str) -> ConsentWithdrawn:
    return ConsentWithdrawn(reason=text)


def facts(name: str) -> Facts:
    return Facts(collected=datetime(2026, 1, 1, tzinfo=UTC), facts={"hostname": name})


def report() -> CheckReport:
    return CheckReport(schedule="0" * 64, full=False, findings=())


def contents(outbox: Outbox, after: int = 0) -> list:
    return [decode(dumps(dict(item.message))) for item in outbox.after(after, 10_000)]


def test_in_order_until_acknowledged_across_restarts(db, times):
    outbox = Outbox(db, times.clock())
    for text in "abc":
        assert outbox.put(withdrawn(text))
    first, second, _ = outbox.after(0, 10)
    assert [item.number for item in outbox.after(first.number, 1)] == [second.number]
    outbox.acknowledge(first.queue, first.number)
    again = Outbox(db, times.clock())
    assert [message.reason for message in contents(again)] == ["b", "c"]
    again.acknowledge(first.queue, 3)
    again.put(withdrawn("d"))
    assert [item.number for item in again.after(0, 10)] == [4], "a number is never given out twice"


def test_an_acknowledgement_for_another_queue_is_not_ours(db, times):
    outbox = Outbox(db, times.clock())
    outbox.put(withdrawn("a"))
    outbox.acknowledge("12345678", 1)
    assert len(contents(outbox)) == 1


def test_a_store_put_back_to_an_older_state_begins_a_new_queue(db, times):
    outbox = Outbox(db, times.clock())
    outbox.put(withdrawn("new, under a number that the server has seen"))
    item = outbox.after(0, 1)[0]
    outbox.acknowledge(item.queue, 900)
    later = outbox.after(0, 1)[0]
    assert later.queue != item.queue
    assert later.message == item.message


def test_of_facts_only_the_newest_and_only_when_it_is_news(db, times):
    outbox = Outbox(db, times.clock())
    assert outbox.put(facts("a"), likeness="a")
    assert not outbox.put(facts("a"), likeness="a")
    assert outbox.put(facts("b"), likeness="b")
    assert [message.facts["hostname"] for message in contents(outbox)] == ["b"]
    outbox.acknowledge(outbox.read("queue"), 2)
    assert not outbox.put(facts("b"), likeness="b"), "told, and kept there"


def test_what_does_not_fit_is_dropped_checks_first_and_counted(db, times):
    outbox = Outbox(db, times.clock(), Bounds(count=4))
    outbox.write("full_at", "2026-01-01")
    for message in (withdrawn("first"), report(), report(), withdrawn("x"), withdrawn("y"), withdrawn("z")):
        outbox.put(message)
    found = contents(outbox)
    assert [message.reason for message in found if isinstance(message, ConsentWithdrawn)] == ["first", "x", "y", "z"]
    assert found[-1] == Dropped(counts={"check_report": 2})
    assert outbox.read("full_at") == "", "the next checks are told in full"
    assert outbox.dropped() == {}
    outbox.put(withdrawn("last"))
    assert "first" not in [getattr(message, "reason", "") for message in contents(outbox)]
    big = Outbox(db, times.clock(), Bounds(size=3000))
    big.put(ConsentWithdrawn(reason="é" * 400))
    assert sum(len(dumps(dict(item.message))) for item in big.after(0, 100)) < 3000 + 200


def test_what_is_too_old_is_dropped_and_a_wrong_clock_makes_nothing_old(db, times):
    outbox = Outbox(db, times.clock())
    outbox.put(withdrawn("old"))
    times.wall_now += 3 * YEAR  # put right while the agent runs
    assert outbox.after(0, 1)[0].age == 0
    times.pass_(timedelta(days=15).total_seconds())
    assert contents(outbox) == [Dropped(counts={"consent_withdrawn": 1})]


def test_ages_are_seconds_and_never_negative(db, times):
    outbox = Outbox(db, times.clock())
    outbox.put(withdrawn("a"))
    times.pass_(90)
    assert outbox.after(0, 1)[0].age == 90
    times.wall_now -= YEAR
    assert Outbox(db, times.clock()).after(0, 1)[0].age == 0, "restarted with a clock that was put back"


def test_a_full_disk_loses_the_message_not_the_agent(db, times, caplog):
    outbox = Outbox(db, times.clock())
    db.execute("PRAGMA max_page_count = 12")
    accepted = [outbox.put(ConsentWithdrawn(reason="x" * 500)) for _ in range(200)]
    assert not all(accepted)
    assert "could not be queued" in caplog.text


def grant(until: datetime) -> Grant:
    return Grant(
        kind=ConsentKind.SESSION, ticket_id=1, until=until, source=ConsentSource.DIALOG, session_id="a" * 32,
        capability="terminal",
    )  # fmt: skip


@pytest.mark.parametrize("jump", [YEAR, -YEAR])
def test_a_consent_lasts_as_long_as_agreed_whatever_the_clock_does(tmp_path, times, jump):
    store = Store(tmp_path, times.clock())
    store.add_grant(grant(store.clock.now() + timedelta(hours=1)))
    times.wall_now += jump
    times.pass_(3500)
    assert len(store.grants(store.clock.now())) == 1
    times.pass_(200)
    assert store.grants(store.clock.now()) == []
    store.close()


def test_a_clock_put_back_while_the_agent_did_not_run_ends_every_consent(tmp_path, times):
    store = Store(tmp_path, times.clock())
    store.add_grant(grant(store.clock.now() + timedelta(hours=1)))
    store.close()
    times.pass_(60)
    store = Store(tmp_path, times.clock())
    assert len(store.grants(store.clock.now())) == 1
    store.close()
    times.wall_now -= YEAR
    store = Store(tmp_path, times.clock())
    assert store.grants(store.clock.now()) == []
    store.close()
