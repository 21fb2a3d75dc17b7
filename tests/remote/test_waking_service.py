"""Who may have a machine woken, through whom, and what becomes of it; the neighbours' agents are played."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
from waking_parts import MAC, NETWORK, Town, lan, refuses, three

from compagnon.audit import Actor
from compagnon.errors import Conflict, Forbidden, Invalid, NotFound, Unavailable
from compagnon_agent.protocol import messages
from compagnon_agent.protocol.waking import NotWoken
from remote.control import link as links
from remote.control.lines import SILENT
from remote.waking.model import Lan, Neighbour, Obstacle, Prospect, WakingState, chosen, macs, told_lans
from tickets.desk.model import NewTicket

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def neighbour(number, *, site=None, wired=True, online=True, able=True, networks=(NETWORK,)):
    return Neighbour(
        id=number, name=f"P{number}", site_id=site, online=online, able=able, wired=wired, networks=networks
    )


# --- pure


def test_three_are_chosen_of_the_same_site_first_and_with_a_cable():
    everybody = [
        neighbour(1, site=2),
        neighbour(2, site=None, wired=False),
        neighbour(3, site=None),
        neighbour(4, site=1, wired=False),
        neighbour(5, site=1),
        neighbour(6, site=1, online=False),
        neighbour(7, site=1, able=False),
    ]
    assert [one.id for one in chosen(everybody, 1)] == [5, 4, 3]
    assert [one.id for one in chosen(everybody, None)] == [1, 3, 5]
    assert [one.id for one in chosen(everybody[:1], 1)] == [1], "another site is better than nobody"
    assert chosen([], 1) == []


def test_cards_of_the_shared_networks_go_out_with_a_cable_first():
    lans = [
        Lan(name="wlan0", mac="00:1a:2b:00:00:01", network=NETWORK, wired=False),
        Lan(name="eth0", mac="00:1a:2b:00:00:02", network=NETWORK, wired=True),
        Lan(name="eth1", mac="00:1a:2b:00:00:03", network="10.0.0.0/8", wired=True),
    ]
    assert macs(lans, [NETWORK]) == ["00:1a:2b:00:00:02", "00:1a:2b:00:00:01"]
    known = Prospect(lans=lans, neighbours=[neighbour(1), neighbour(2, online=False, networks=["10.0.0.0/8"])], now=NOW)
    assert (known.networks, len(known.macs), known.obstacle) == ([NETWORK], 2, None)


def test_each_obstacle_has_its_name():
    lans = [Lan(name="eth0", mac=MAC, network=NETWORK, wired=True)]
    assert Prospect(neighbours=[neighbour(1)], now=NOW).obstacle is Obstacle.UNKNOWN
    assert Prospect(lans=lans, now=NOW).obstacle is Obstacle.ALONE
    assert Prospect(lans=lans, neighbours=[neighbour(1, online=False)], now=NOW).obstacle is Obstacle.ABSENT
    assert Prospect(lans=lans, neighbours=[neighbour(1, able=False)], now=NOW).obstacle is Obstacle.UNABLE


def test_what_an_agent_tells_is_bounded_and_hostile():
    assert told_lans({}) is None, "an older agent says nothing about it"
    assert told_lans({"lans": "all of them"}) is None
    assert told_lans({"lans": []}) == []
    raw = [
        lan(),
        lan(mac="00-1A-2B-3C-4D-5E"),  # the same
        lan(mac="ff:ff:ff:ff:ff:ff"),
        lan(mac="'; DROP TABLE machines"),
        lan(network="0.0.0.0/0"),
        lan(network="127.0.0.0/8"),
        lan(name="<script>\u202e" * 100, network="10.0.0.0/8", wired="yes"),
        "nothing",
        {"mac": [MAC], "network": {}},
    ]
    found = told_lans({"lans": raw})
    assert [(one.mac, one.network, one.wired) for one in found] == [(MAC, NETWORK, True), (MAC, "10.0.0.0/8", False)]
    assert len(found[1].name) == 40
    assert "\u202e" not in found[1].name
    many = [lan(mac=f"00:1a:2b:00:{number // 256:02x}:{number % 256:02x}") for number in range(1000)]
    assert len(told_lans({"lans": many})) == 16


# --- with the database


@pytest.fixture
async def client(services, cast):
    return await services.kernel.directory.add_client(kind="company", name="Garage", actor=Actor.member(cast.alice.id))


@pytest.fixture
async def ticket(services, cast, client):
    new = NewTicket(client_id=client.id, title="Panne", owner_id=cast.alice.id)
    return await services.tickets.desk.open(new, cast.alice)


@pytest.fixture
def town(services, cast):
    return Town(services=services, member=cast.alice)


@pytest.fixture
def waking(services):
    return services.remote.desk.waking


@pytest.fixture
async def absent(town, client):
    return await town.machine(client.id, "Caisse", [lan()])


@pytest.fixture
async def accueil(town, client):
    return await town.machine(client.id, "Accueil", [lan("00:1a:2b:00:00:99")])


async def audited(services, action):
    query = "SELECT actor, subject, details FROM audit_log WHERE action = %s ORDER BY seq"
    async with services.kernel.db.connection() as conn:
        return await (await conn.execute(query, (action,))).fetchall()


async def aged(services, seconds):
    async with services.kernel.db.transaction() as conn:
        await conn.execute("UPDATE machine_wakings SET asked_at = asked_at - make_interval(secs => %s)", (seconds,))


async def test_a_neighbour_wakes_it_and_everything_is_written_down(
    services, cast, town, waking, absent, accueil, ticket
):
    wire = await town.here(accueil)
    known = await waking.wake(cast.alice, absent.id, ticket, "Mise à jour")
    (wish,) = wire.wishes
    assert (wish.macs, wish.networks, wish.ticket_id, wish.machine) == ((MAC,), (NETWORK,), ticket, "Caisse")
    assert (wish.member_name, wish.reason) == (cast.alice.name, "Mise à jour")
    assert known.last.state is WakingState.SENT
    assert known.last.neighbours == [(accueil.id, "Accueil")]
    assert 170 < known.waits <= 180
    ((_, subject, details),) = await audited(services, "machine.wake_asked")
    assert subject == f"machine:{absent.id}"
    assert details["macs"] == [MAC]
    assert details["through"] == [accueil.id]
    ((_, subject, details),) = await audited(services, "machine.wake_sent")
    assert (subject, details["machine"], details["packets"]) == (f"machine:{accueil.id}", absent.id, 3)
    machines = services.remote.machines
    assert (await machines.history(absent.id))[0].kind == "wake_asked"
    assert (await machines.history(accueil.id))[0].subject == "Caisse"
    await town.back(absent)
    known = await waking.prospect(await machines.get(absent.id))
    assert known.last.state is WakingState.ARRIVED
    assert known.woken
    assert len(await audited(services, "machine.woken")) == 1
    await town.back(absent)
    assert len(await audited(services, "machine.woken")) == 1, "a second connection is no second waking"


async def test_other_clients_never_stand_in_for_neighbours(services, cast, town, waking, absent, ticket):
    """192.168.1.0/24 is in every second house: only within one client it is one network."""
    other = await services.kernel.directory.add_client(kind="person", name="Voisin", actor=Actor.member(cast.alice.id))
    stranger = await town.machine(other.id, "Étranger", [lan("00:1a:2b:00:00:77")])
    wire = await town.here(stranger)
    with pytest.raises(Unavailable, match="no other machine of this client"):
        await waking.wake(cast.alice, absent.id, ticket, "Panne")
    assert wire.wishes == []
    assert (await waking.prospect(absent)).neighbours == []


async def test_only_who_may_act_on_an_open_ticket_of_this_client(services, cast, town, waking, absent, accueil, ticket):
    wire = await town.here(accueil)
    with pytest.raises(Forbidden):
        await waking.wake(cast.bruno, absent.id, ticket, "Panne")
    other = await services.kernel.directory.add_client(kind="person", name="Voisin", actor=Actor.member(cast.alice.id))
    elsewhere = await services.tickets.desk.open(
        NewTicket(client_id=other.id, title="Autre", owner_id=cast.alice.id), cast.alice
    )
    with pytest.raises(Invalid):
        await waking.wake(cast.alice, absent.id, elsewhere, "Panne")
    with pytest.raises(NotFound):
        await waking.wake(cast.alice, absent.id, 999_999, "Panne")
    with pytest.raises(Invalid):
        await waking.wake(cast.alice, absent.id, ticket, " ")
    assert wire.wishes == []
    await services.tickets.desk.add_collaborator(ticket, cast.alice, cast.bruno.id)
    await waking.wake(cast.bruno, absent.id, ticket, "Panne")
    assert len(wire.wishes) == 1


async def test_what_is_here_or_not_approved_is_not_woken(services, cast, town, waking, absent, accueil, ticket):
    wire = await town.here(accueil)
    await town.here(absent)
    with pytest.raises(Conflict, match="here already"):
        await waking.wake(cast.alice, absent.id, ticket, "Panne")
    revoked = await town.machine(absent.client_id, "Vieux", [lan("00:1a:2b:00:00:88")])
    await services.remote.machines.revoke(cast.alice, revoked.id)
    with pytest.raises(Conflict):
        await waking.wake(cast.alice, revoked.id, ticket, "Panne")
    assert wire.wishes == []


async def test_a_doubled_click_and_two_technicians_at_once_send_it_once(
    services, cast, town, waking, absent, accueil, ticket
):
    await services.tickets.desk.add_collaborator(ticket, cast.alice, cast.bruno.id)
    wire = await town.here(accueil)
    who = [cast.alice, cast.alice, cast.bruno, cast.bruno]
    asked = [waking.wake(member, absent.id, ticket, "Panne") for member in who]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(answer, Prospect) for answer in answers) == 1
    assert sum(isinstance(answer, Conflict) for answer in answers) == 3
    assert len(wire.wishes) == 1
    with pytest.raises(Conflict, match="woken already"):
        await waking.wake(cast.alice, absent.id, ticket, "Panne")
    await aged(services, 181)
    assert (await waking.prospect(absent)).waits == 0, "nobody waits longer than three minutes"
    assert (await waking.prospect(absent)).last.state is WakingState.SENT
    await waking.wake(cast.bruno, absent.id, ticket, "Panne")
    assert len(wire.wishes) == 2


async def test_why_nobody_can_wake_it(services, cast, town, waking, absent, accueil, ticket):
    async def refused():
        with pytest.raises(Unavailable) as caught:
            await waking.wake(cast.alice, absent.id, ticket, "Panne")
        return str(caught.value)

    assert "are offline too" in await refused()
    assert (await waking.prospect(absent)).away == ["Accueil"]
    await town.here(accueil, capabilities=["checks"])
    assert "older version" in await refused()
    await town.here(accueil, sheet=["package"])
    assert "does not let them" in await refused()
    await town.told(absent, {"lans": []})
    assert "never told a network card" in await refused()
    await town.told(absent, {"hostname": "an older agent tells no lans"})
    await town.told(absent, {"lans": [lan(network="192.168.2.0/24")]})
    assert "no other machine of this client" in await refused(), "other numbers are another network"
    assert await audited(services, "machine.wake_asked") == []


async def test_facts_without_networks_leave_what_is_known(town, waking, absent):
    await town.told(absent, {"hostname": "h"})
    assert len((await waking.prospect(absent)).lans) == 1


async def test_at_most_three_are_asked_and_one_that_sends_is_enough(services, cast, town, waking, absent, ticket):
    answers = [refuses(NotWoken.POLICY), three, refuses(NotWoken.OFTEN), three]
    wires = []
    for number, answer in enumerate(answers):
        machine = await town.machine(absent.client_id, f"P{number}", [lan(f"00:1a:2b:00:00:{number:02x}")])
        wires.append(await town.here(machine, answer))
    known = await waking.wake(cast.alice, absent.id, ticket, "Panne")
    assert [len(wire.wishes) for wire in wires] == [1, 1, 1, 0]
    assert (known.last.state, known.last.names) == (WakingState.SENT, ["P1"])
    assert len(await audited(services, "machine.wake_not_sent")) == 2


async def test_a_refusal_and_a_hostile_answer_are_told_and_it_can_be_tried_again(
    services, cast, town, waking, absent, accueil, ticket
):
    await town.here(accueil, refuses("<script>\u202e" + "x" * 400))
    known = await waking.wake(cast.alice, absent.id, ticket, "Panne")
    assert known.last.state is WakingState.FAILED
    assert known.last.reason.startswith("<script>xxx")
    assert len(known.last.reason) <= 300
    await town.here(accueil, refuses(f"{NotWoken.NETWORK} (Network is unreachable)"))
    known = await waking.wake(cast.alice, absent.id, ticket, "Panne")
    assert known.last.why == NotWoken.NETWORK
    await town.here(accueil)
    assert (await waking.wake(cast.alice, absent.id, ticket, "Panne")).last.state is WakingState.SENT


async def test_a_neighbour_that_falls_silent_or_leaves_is_not_waited_for(
    services, cast, town, waking, absent, accueil, ticket, monkeypatch
):
    monkeypatch.setattr(links, "WAKE_SECONDS", 0.2)
    wire = await town.here(accueil, lambda message: None)
    known = await waking.wake(cast.alice, absent.id, ticket, "Panne")
    assert (known.last.state, known.last.reason) == (WakingState.FAILED, SILENT)
    wish = wire.wishes[0]
    await services.remote.link.received(wire.connection, three(wish))  # much too late
    assert (await waking.prospect(absent)).last.state is WakingState.FAILED

    async def leaves():
        while len(wire.wishes) < 2:
            await asyncio.sleep(0.01)
        await services.remote.link.left(wire.connection)

    leaving = asyncio.create_task(leaves())
    known = await waking.wake(cast.alice, absent.id, ticket, "Panne")
    await leaving
    assert known.last.state is WakingState.FAILED
    assert "offline" in known.last.reason


async def test_an_answer_for_another_machines_wish_is_none(services, cast, town, waking, absent, accueil, ticket):
    """An agent speaks for its own machine only: it cannot say that another one sent the packet."""
    liar = await town.machine(absent.client_id, "Menteur", [lan("00:1a:2b:00:00:66", network="10.0.0.0/8")])
    false = await town.here(liar)
    link = services.remote.link

    def answered_by_another(message):
        link._later(link.received(false.connection, three(message)))
        return messages.WakeAnswer(request_id=message.request_id, packets=0, reason=NotWoken.POLICY)

    await town.here(accueil, answered_by_another)
    known = await waking.wake(cast.alice, absent.id, ticket, "Panne")
    assert known.last.state is WakingState.FAILED


async def test_a_server_that_was_stopped_while_it_asked(services, cast, town, waking, absent, accueil, ticket):
    await town.here(accueil)
    await waking._begin(cast.alice, await services.remote.machines.get(absent.id), ticket, "Panne")
    with pytest.raises(Conflict):
        await waking.wake(cast.alice, absent.id, ticket, "Panne")
    await aged(services, 31)
    known = await waking.prospect(absent)
    assert (known.last.state, known.waits) == (WakingState.ASKED, 0)
    assert (await waking.wake(cast.alice, absent.id, ticket, "Panne")).last.state is WakingState.SENT


async def test_one_that_comes_by_itself_much_later_was_not_woken(services, cast, town, waking, absent, accueil, ticket):
    await town.here(accueil)
    await waking.wake(cast.alice, absent.id, ticket, "Panne")
    await aged(services, 16 * 60)
    await town.back(absent)
    assert await audited(services, "machine.woken") == []
