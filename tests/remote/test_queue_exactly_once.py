"""What comes out of an agent's queue counts once, whatever is doubled, cut or killed; and only for its own machine."""

from __future__ import annotations

import asyncio
import uuid

import psycopg
import pytest

from compagnon.audit import Actor
from compagnon_agent.protocol import messages
from compagnon_agent.protocol.messages import ConsentWithdrawn, Dropped, Facts, Queued, encode
from compagnon_agent.protocol.wire import loads
from remote.machines.model import EnrolRequest


@pytest.fixture
async def machine(services, cast):
    client = await services.kernel.directory.add_client(kind="company", name="G", actor=Actor.member(cast.alice.id))
    machines = services.remote.machines
    offer = await machines.offer(cast.alice, client.id)
    request = EnrolRequest(code=offer.code, public_key=b"k" * 32, name="P", hostname="p", os="Linux", version="1")
    return await machines.enrol(request, "127.0.0.1")


QUEUE = str(uuid.uuid4())


def queued(number: int, message: messages.Message, queue: str = QUEUE, age: int = 0) -> Queued:
    content = loads(encode(message), limit=2**20)
    assert isinstance(content, dict)
    return Queued(queue=queue, number=number, age=age, message=content)


async def withdrawals(services) -> int:
    query = "SELECT count(*) FROM machine_events WHERE kind = 'consent_withdrawn'"
    async with services.kernel.db.connection() as conn:
        return (await (await conn.execute(query)).fetchone())[0]


async def test_a_doubled_message_counts_once_and_is_acknowledged_each_time(services, machine):
    inbox = services.remote.link.inbox
    message = queued(1, ConsentWithdrawn(reason="Stop"))
    answers = await asyncio.gather(*(inbox.take(machine, message) for _ in range(5)))
    assert {answer.number for answer in answers} == {1}
    assert await withdrawals(services) == 1


async def test_an_older_number_is_known_and_the_answer_says_how_far(services, machine):
    inbox = services.remote.link.inbox
    await inbox.take(machine, queued(7, ConsentWithdrawn(reason="a")))
    assert (await inbox.take(machine, queued(6, ConsentWithdrawn(reason="b")))).number == 7
    assert await withdrawals(services) == 1
    assert (await inbox.take(machine, queued(1, ConsentWithdrawn(reason="c"), str(uuid.uuid4())))).number == 1
    assert await withdrawals(services) == 2, "a new queue begins anew"


async def test_what_cannot_be_stored_is_not_acknowledged_and_comes_again(services, machine, monkeypatch):
    inbox = services.remote.link.inbox
    inside = dict(inbox._inside)

    async def fails(conn, *_):
        await conn.execute(
            "INSERT INTO machine_events (machine_id, kind) VALUES (%s, 'consent_withdrawn')", (machine.id,)
        )
        raise psycopg.OperationalError("the server was restarted")

    inbox._inside[ConsentWithdrawn] = fails
    with pytest.raises(psycopg.OperationalError):
        await inbox.take(machine, queued(1, ConsentWithdrawn(reason="a")))
    inbox._inside.update(inside)
    assert await withdrawals(services) == 0
    assert (await inbox.take(machine, queued(1, ConsentWithdrawn(reason="a")))).number == 1
    assert await withdrawals(services) == 1


async def test_nonsense_in_the_envelope_is_taken_and_forgotten(services, machine):
    inbox = services.remote.link.inbox
    for number, content in enumerate(({}, {"v": 1, "type": "facts"}, {"v": 1, "type": "queued"}, {"v": 9}), 1):
        kept = await inbox.take(machine, Queued(queue=QUEUE, number=number, age=0, message=content))
        assert kept.number == number


async def test_times_follow_from_the_age_not_from_the_machines_clock(services, machine):
    facts = Facts(collected=machine.enrolled_at.replace(year=1999), facts={"hostname": "p"})
    await services.remote.link.inbox.take(machine, queued(1, facts, age=7200))
    _, reported = await services.remote.machines.reported(machine.id)
    async with services.kernel.db.connection() as conn:
        now = (await (await conn.execute("SELECT now()")).fetchone())[0]
    assert 7190 < (now - reported.facts_at).total_seconds() < 7300


async def test_what_was_dropped_is_part_of_the_history(services, machine):
    await services.remote.link.inbox.take(machine, queued(1, Dropped(counts={"check_report": 3, "facts": 1})))
    events = await services.remote.machines.history(machine.id)
    assert (events[0].kind, events[0].detail) == ("dropped", "check_report: 3, facts: 1")
