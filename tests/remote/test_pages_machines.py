"""Enrolment to cockpit, as members see it: the pages of machines."""

import asyncio
import re
from datetime import UTC, datetime

from compagnon_agent.protocol.signing import fingerprint

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>\u202egpj.exe"


async def test_from_a_code_on_the_phone_to_an_approved_machine(server, cast, client, agents, client_for):
    alice = await client_for(cast.alice)
    answer = await alice.post("/machines/new", data={"client_id": client.id})
    code = re.search(r'data-enrolment-code="(\d{8})"', answer.text)
    assert code, answer.text
    agent = agents()
    said = await agent.enrol(server.url, f"{code[1][:4]} {code[1][4:]}")
    machine = await server.services.remote.machines.get(agent.machine_id)
    page = await alice.get(machine.url)
    assert page.status_code == 200
    assert fingerprint(machine.public_key) in page.text
    assert fingerprint(machine.public_key) in said, "the same digits on both sides"
    answer = await alice.post(f"{machine.url}/approve", data={"name": "Caisse"})
    assert answer.status_code == 303
    assert (await server.services.remote.machines.get(machine.id)).state == "approved"
    for address in ("/machines", f"/clients/{client.id}", "/search?q=caisse", machine.url):
        assert "Caisse" in (await alice.get(address)).text, address


async def test_everything_an_agent_says_is_inert(server, cast, client, agent, client_for):
    machines = server.services.remote.machines
    machine = await machines.get(agent.machine_id)
    facts = {
        "os": {"name": HOSTILE, "version": ["not", "text"], "kernel": "x" * 10_000},
        "hardware": {"cpu": HOSTILE, "cores": -5},
        "memory": {"total": "much", "available": float("1e300")},
        "disks": [{"mount": HOSTILE, "total": 10**30, "used": 10**31}] * 500,
        "network": "no list",
        "users": [HOSTILE] * 100,
        "hostname": {"a": 1},
    }
    policy = {"mode": HOSTILE, "source": HOSTILE + "\n" + "x" * 100_000, "sheet": [HOSTILE]}
    async with server.services.kernel.db.transaction() as conn:
        await machines.keep_facts(conn, machine, facts, datetime.now(UTC))
        await machines.keep_policy(conn, machine, policy)
    alice = await client_for(cast.alice)
    text = (await alice.get(machine.url)).text
    assert "<script>alert" not in text
    assert "<img src=x" not in text
    assert "\u202e" not in text
    assert len(text) < 200_000


async def test_the_cockpit_shows_the_facts_and_the_policy(server, cast, agent, client_for):
    alice = await client_for(cast.alice)
    machines = server.services.remote.machines

    async def told():
        return (await machines.reported(agent.machine_id))[0].memory > 0

    for _ in range(1200):  # collecting them takes seconds, and this machine may be busy
        if await told():
            break
        await asyncio.sleep(0.05)
    page = await alice.get(f"/machines/{agent.machine_id}")
    assert "A disposable machine of the tests" in page.text
    assert "unattended-demo" in page.text
    assert "progress" in page.text


async def test_a_revoked_machine_is_turned_away_for_good(server, cast, agent, client_for):
    alice = await client_for(cast.alice)
    answer = await alice.post(f"/machines/{agent.machine_id}/revoke")
    assert answer.status_code == 303
    assert await agent.process.wait() == 3
    assert not server.services.remote.link.online(agent.machine_id)
    assert (await alice.post(f"/machines/{agent.machine_id}/revoke")).status_code == 409
