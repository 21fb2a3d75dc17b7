"""Notifications of PostgreSQL arrive at once, and nobody wakes up while there are none."""

import asyncio
import time

import psycopg
import pytest

from compagnon.db.listening import notified


@pytest.fixture
async def listening(db):
    async with await psycopg.AsyncConnection.connect(db.url, autocommit=True) as conn:
        await conn.execute("LISTEN something")
        yield conn


@pytest.fixture
async def speaking(db):
    async with await psycopg.AsyncConnection.connect(db.url, autocommit=True) as conn:
        yield conn


async def test_what_came_before_and_while_waiting(listening, speaking):
    await speaking.execute("SELECT pg_notify('something', 'before')")
    assert [each.payload for each in await notified(listening, 10)] == ["before"]
    waiting = asyncio.create_task(notified(listening, 10))
    await asyncio.sleep(0.1)
    await speaking.execute("SELECT pg_notify('something', 'meanwhile')")
    assert [each.payload for each in await waiting] == ["meanwhile"]


async def test_what_came_with_the_answer_to_a_statement(listening, speaking):
    await speaking.execute("SELECT pg_notify('something', 'early')")
    await listening.execute("SELECT 1")
    assert [each.payload for each in await notified(listening, 10)] == ["early"]


async def test_silence_ends_and_wakes_nobody_meanwhile(listening, monkeypatch):
    looks = 0
    look = listening.notifies

    def counted(**how):
        nonlocal looks
        looks += 1
        return look(**how)

    monkeypatch.setattr(listening, "notifies", counted)
    started = time.monotonic()
    assert await notified(listening, 0.5) == []
    assert time.monotonic() - started >= 0.5
    assert looks == 1


async def test_a_connection_that_ends_is_told(listening, speaking):
    waiting = asyncio.create_task(notified(listening, 10))
    await asyncio.sleep(0.1)
    await speaking.execute("SELECT pg_terminate_backend(%s)", (listening.info.backend_pid,))
    with pytest.raises(psycopg.OperationalError):
        await waiting


async def test_who_stops_waiting_misses_nothing(listening, speaking):
    waiting = asyncio.create_task(notified(listening, 10))
    await asyncio.sleep(0.1)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await speaking.execute("SELECT pg_notify('something', 'later')")
    assert [each.payload for each in await notified(listening, 10)] == ["later"]
