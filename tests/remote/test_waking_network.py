"""Real agents in a network of its own: the packet leaves the neighbour's card, and what must not leave it does not."""

from __future__ import annotations

import json
import uuid

import pytest
from remote_parts import until
from waking_parts import MAC, network
from wired_fixtures import make_cast, serving

from compagnon_agent.protocol import messages
from compagnon_agent.protocol.waking import NotWoken
from compagnon_agent.waking import magic_packet
from remote.waking.model import WakingState

LAN = "10.66.7.0/24"


@pytest.fixture
async def cast(server):
    """The members read English, so that the tests find the words of the code."""
    return await make_cast(server.services, locale="en")


@pytest.fixture
def cable():
    with network() as made:
        yield made


@pytest.fixture
async def two_machines(server, cast, client, agents, cable):
    """Both are enrolled and running in the network; the first one told what it can be woken by."""
    await cable.way_to(server.url)
    machines, made = server.services.remote.machines, []
    for name in ("Caisse", "Accueil"):
        one = agents()
        one.within = cable.within
        await one.enrol(server.url, (await machines.offer(cast.alice, client.id)).code)
        await machines.approve(cast.alice, one.machine_id, name=name, site_id=None, environment=None)
        await one.start()
        made.append(one)
    for one in made:

        async def told(one=one):
            machine = await machines.get(one.machine_id)
            known = await server.services.remote.desk.waking.prospect(machine)
            return machine.online and known.lans and (await machines.reported(machine.id))[1].policy

        await until(told, seconds=60, what="its networks and its policy are known")
    return made


async def absent(server, agent):
    await agent.stop()

    async def gone():
        return not (await server.services.remote.machines.get(agent.machine_id)).online

    await until(gone, what="the machine is absent")


def frames(ear, count):
    """The next frames that are for everyone and go to port 9."""
    found = []
    while len(found) < count:
        frame = ear.recv(2048)
        if frame[12:14] == b"\x08\x00" and frame[23] == 17 and frame[36:38] == (9).to_bytes(2, "big"):
            found.append(frame)
    return found


def decisions(agent):
    lines = [json.loads(line) for line in (agent.folder / "audit.jsonl").read_text().splitlines()]
    return [line["details"] for line in lines if line["event"] == "decision" and line["details"]["kind"] == "wake"]


async def test_a_real_agent_puts_the_packet_on_the_wire(server, cast, two_machines, cable, ticket, client_for):
    asleep, awake = two_machines
    services = server.services
    await absent(server, asleep)
    alice = await client_for(cast.alice)
    with cable.ear() as ear:
        data = {"ticket_id": ticket, "reason": "Mise à jour"}
        answer = await alice.post(f"/machines/{asleep.machine_id}/wake", data=data)
        assert answer.status_code == 303, answer.text
        for frame in frames(ear, 3):
            assert frame[:6] == b"\xff" * 6, "everyone on the wire"
            assert frame[30:34] == bytes([10, 66, 7, 255]), "the directed broadcast address"
            assert frame[42:144] == magic_packet(MAC)
    text = (await alice.get(f"/machines/{asleep.machine_id}")).text
    assert "Accueil" in text
    assert "this page says when it is here" in text
    (decision,) = decisions(awake)
    assert decision["allowed"] is True
    assert (decision["macs"], decision["to"]) == ([MAC], ["10.66.7.255"])
    assert (decision["ticket"], decision["machine"]) == (ticket, "Caisse")
    await asleep.start()

    async def woken():
        machine = await services.remote.machines.get(asleep.machine_id)
        last = (await services.remote.desk.waking.prospect(machine)).last
        return last.state is WakingState.ARRIVED

    await until(woken, what="its arrival is noticed")


async def test_what_a_hostile_server_asks_for_is_not_sent(server, two_machines, cable):
    _, awake = two_machines
    link = server.services.remote.link

    async def ask(macs=(MAC,), networks=(LAN,)):
        wish = messages.Wake(
            request_id=str(uuid.uuid4()),
            ticket_id=1,
            member_id=1,
            member_name="Mallory",
            reason="x",
            machine="x",
            macs=macs,
            networks=networks,
        )
        return await link.wake(awake.machine_id, wish)

    with cable.ear() as ear:
        for macs in ((), ("ff:ff:ff:ff:ff:ff",), ("01:00:5e:00:00:fb",), (MAC, "00:00:00:00:00:00"), ("x",)):
            assert (await ask(macs=macs)).reason == NotWoken.ADDRESS
        for networks in ((), ("0.0.0.0/0",), ("192.0.2.0/24",), ("10.66.0.0/16",), ("127.0.0.0/8",)):
            assert (await ask(networks=networks)).reason == NotWoken.ELSEWHERE
        assert not any(decision["allowed"] for decision in decisions(awake))
        assert len(decisions(awake)) == 10, "each is written down"
        for _ in range(6):
            assert (await ask()).packets == 3
        assert (await ask()).reason == NotWoken.OFTEN
        assert len(frames(ear, 18)) == 18
        ear.settimeout(1)
        with pytest.raises(TimeoutError):
            frames(ear, 1)
    awake.policy("wake = false\n")
    assert (await ask()).reason == NotWoken.POLICY


async def test_asked_at_another_server_process(server, settings, cast, two_machines, cable, ticket):
    """The neighbour is connected to the one, the technician to the other; they share the database alone."""
    asleep, _ = two_machines
    await absent(server, asleep)
    async with serving(settings) as other:
        waking, machines = other.services.remote.desk.waking, other.services.remote.machines
        assert machines.node != server.services.remote.machines.node
        with cable.ear() as ear:
            known = await waking.wake(cast.alice, asleep.machine_id, ticket, "Mise à jour")
            assert len(frames(ear, 3)) == 3
        assert (known.last.state, known.last.names) == (WakingState.SENT, ["Accueil"])
