"""What the server does when very many agents arrive in the same moment: one question for all, and no deadlock."""

from __future__ import annotations

import asyncio
import random

import pytest
from remote_parts import until

from compagnon.audit import Actor
from remote.machines.model import Arrival, EnrolRequest
from remote.machines.service import Machines

COUNT = 40
KILLED = "00000000-0000-4000-8000-000000000000"

LEAVE_BEHIND = """
UPDATE machines SET node = %s, online = true
WHERE id IN (SELECT id FROM machines WHERE NOT online FOR UPDATE SKIP LOCKED)
"""


@pytest.fixture
async def machine_ids(services, cast):
    client = await services.kernel.directory.add_client(kind="company", name="G", actor=Actor.member(cast.alice.id))
    machines, made = services.remote.machines, []
    for number in range(COUNT):
        offer = await machines.offer(cast.alice, client.id)
        key = bytes([number]) * 32
        request = EnrolRequest(code=offer.code, public_key=key, name="P", hostname="p", os="Linux", version="1")
        made.append((await machines.enrol(request, "127.0.0.1")).id)
    return made


async def test_arrivals_departures_and_what_a_killed_server_left_never_wait_for_each_other(services, machine_ids):
    """Each changes the same machines in its own order; PostgreSQL would end one of two that lock crosswise."""
    here, there = Machines(services.kernel), Machines(services.kernel)
    await here.alive()
    await there.alive()
    async with services.kernel.db.transaction() as conn:
        await conn.execute("INSERT INTO agent_nodes (id, alive_at) VALUES (%s, now() - interval '1 minute')", (KILLED,))

    async def arrive(at: Machines, seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(15):
            order = chance.sample(machine_ids, COUNT)
            await at.arrived([Arrival(id=one, version="1", capabilities=("terminal",)) for one in order])

    async def leave(at: Machines, seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(15):
            await at.disconnected(chance.sample(machine_ids, COUNT))

    async def be_left_behind() -> None:
        for _ in range(15):
            async with services.kernel.db.transaction() as conn:
                await conn.execute(LEAVE_BEHIND, (KILLED,))
            await here.alive()

    await asyncio.gather(arrive(here, 1), arrive(there, 2), leave(here, 3), leave(there, 4), be_left_behind())


async def test_who_is_back_is_asked_once_for_all_of_them(services, machine_ids):
    link = services.remote.sessions._link
    asked, reacted = [], []

    async def whom(ids):
        asked.append(len(ids))
        return set(machine_ids[:3])

    async def react(machine):
        reacted.append(machine.id)
        if machine.id == machine_ids[0]:
            raise OSError("this one fails")

    link.when_back(react, whom=whom)
    machines = await link.machines.find_all(machine_ids)
    await asyncio.gather(*(link._back.ask(machine) for machine in machines))
    await until(lambda: len(reacted) == 3)
    assert sorted(reacted) == machine_ids[:3]
    assert asked == [COUNT]


async def test_when_that_cannot_be_asked_each_looks_for_itself(services, machine_ids):
    link = services.remote.sessions._link
    reacted = []

    async def whom(ids):
        raise OSError("the database is gone for a moment")

    async def react(machine):
        reacted.append(machine.id)

    link.when_back(react, whom=whom)
    machines = await link.machines.find_all(machine_ids)
    await asyncio.gather(*(link._back.ask(machine) for machine in machines))
    await until(lambda: len(reacted) == COUNT)
