"""A machine's agent cannot fill the audit log."""

import pytest

from compagnon.audit import Actor
from remote.machines.budget import SAME_FOR, Budget
from remote.machines.model import EnrolRequest


def test_repeats_and_excess_are_counted():
    now = [0.0]
    budget = Budget(3, clock=lambda: now[0])
    assert [budget.spend(1, "a") for _ in range(3)] == [0, None, None]
    assert budget.spend(1, "b") == 2, "the next one says how many were not written"
    assert budget.spend(1, "a") == 0
    assert budget.spend(1, "b") is None, "nothing is left"
    assert budget.spend(2, "b") == 0, "each machine has its own"
    now[0] = 3600 / 3 + 1
    assert budget.spend(1, "c") == 1
    now[0] += 3600
    assert budget.spend(1, "c") == 0
    assert SAME_FOR < 3600


@pytest.fixture
async def machine(services, cast):
    client = await services.kernel.directory.add_client(kind="company", name="G", actor=Actor.member(cast.alice.id))
    machines = services.remote.machines
    offer = await machines.offer(cast.alice, client.id)
    request = EnrolRequest(code=offer.code, public_key=b"k" * 32, name="P", hostname="p", os="Linux", version="1")
    return await machines.enrol(request, "127.0.0.1")


async def written(services, action):
    async with services.kernel.db.connection() as conn:
        row = await (await conn.execute("SELECT count(*) FROM audit_log WHERE action = %s", (action,))).fetchone()
    return row[0]


async def test_alternating_policies_fill_nothing_and_the_page_shows_the_last(services, machine):
    machines = services.remote.machines
    for number in range(80):
        async with services.kernel.db.transaction() as conn:
            await machines.keep_policy(conn, machine, {"mode": "ask", "note": str(number % 2)})
    assert await written(services, "machine.policy_reported") == 60
    _, reported = await machines.reported(machine.id)
    assert reported.policy["note"] == "1"


async def test_the_same_withdrawal_again_is_not_written(services, machine):
    for about in "111112":
        async with services.kernel.db.transaction() as conn:
            await services.remote.machines.consent_withdrawn(conn, machine, "stopped", about=about)
    assert await written(services, "machine.consent_withdrawn") == 2
