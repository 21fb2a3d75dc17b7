"""The button that wakes a machine, and what its page says afterwards."""

from __future__ import annotations

import pytest
from remote_parts import signed_in, until
from waking_parts import NETWORK, Town, lan, refuses
from wired_fixtures import make_cast

from compagnon_agent.protocol.waking import NotWoken


@pytest.fixture
async def cast(server):
    """The members read English, so that the tests find the words of the code."""
    return await make_cast(server.services, locale="en")


@pytest.fixture
def town(server, cast):
    return Town(services=server.services, member=cast.alice)


@pytest.fixture
async def absent(town, client):
    return await town.machine(client.id, "Caisse", [lan()])


@pytest.fixture
async def accueil(town, client):
    return await town.machine(client.id, "Accueil", [lan("00:1a:2b:00:00:99")])


FORM = {"reason": "Mise à jour"}


async def aged(server, seconds):
    async with server.services.kernel.db.transaction() as conn:
        await conn.execute("UPDATE machine_wakings SET asked_at = asked_at - make_interval(secs => %s)", (seconds,))


async def test_from_the_button_to_what_to_check(server, cast, town, absent, accueil, ticket, client_for):
    alice = await client_for(cast.alice)

    async def page():
        return (await alice.get(f"/machines/{absent.id}")).text

    text = await page()
    assert "offline too" in text
    assert "data-key-w" not in text
    wire = await town.here(accueil)
    text = await page()
    assert "data-key-w" in text
    assert NETWORK in text
    answer = await alice.post(f"/machines/{absent.id}/wake", data={**FORM, "ticket_id": ticket})
    assert answer.status_code == 303
    assert answer.headers["location"] == f"/machines/{absent.id}?ticket={ticket}#wake"
    text = await page()
    assert "The packet that wakes it was sent by" in text
    assert f'<a href="/machines/{accueil.id}">Accueil</a>' in text
    assert "load delay:1" in text, "the page looks again by itself"
    assert "data-key-w" not in text
    answer = await alice.post(f"/machines/{absent.id}/wake", data={**FORM, "ticket_id": ticket})
    assert answer.status_code == 303
    assert len(wire.wishes) == 1
    assert "woken already" in await page()
    await aged(server, 181)
    text = await page()
    assert "did not answer within three minutes" in text
    assert "BIOS" in text
    assert "Wake it again" in text
    await town.back(absent)
    assert "It is here" in await page(), "a slow one"


async def test_it_says_that_it_came(server, cast, town, absent, accueil, ticket, client_for):
    alice = await client_for(cast.alice)
    await town.here(accueil)
    await alice.post(f"/machines/{absent.id}/wake", data={**FORM, "ticket_id": ticket})
    await town.back(absent)
    text = (await alice.get(f"/machines/{absent.id}")).text
    assert "It is here" in text
    assert "It came after it was woken" in text
    assert "Sent the packet that wakes Caisse" in (await alice.get(f"/machines/{accueil.id}")).text


async def test_refusals_in_words_in_both_languages(server, cast, town, absent, accueil, ticket, client_for):
    alice = await client_for(cast.alice)
    await town.here(accueil, refuses(NotWoken.OFTEN))
    await alice.post(f"/machines/{absent.id}/wake", data={**FORM, "ticket_id": ticket})
    address = f"/machines/{absent.id}"
    assert "too many machines" in (await alice.get(address)).text
    await alice.post("/account/preferences", data={"theme": "auto", "locale": "fr", "next": "/"})
    french = (await alice.get(address)).text
    assert "trop de postes" in french
    await town.here(accueil, refuses("<script>alert(1)</script>"))
    await alice.post(f"/machines/{absent.id}/wake", data={**FORM, "ticket_id": ticket})
    assert "<script>alert" not in (await alice.get(address)).text


async def test_who_may_not(server, cast, town, absent, accueil, ticket, client_for):
    wire = await town.here(accueil)
    bruno = await client_for(cast.bruno)
    data = {**FORM, "ticket_id": ticket}
    assert (await bruno.post(f"/machines/{absent.id}/wake", data=data)).status_code == 403
    alice = await client_for(cast.alice)
    assert (await alice.post(f"/machines/{absent.id}/wake", data=FORM)).status_code == 422
    assert (await alice.post("/machines/99999/wake", data=data)).status_code == 404
    await alice.post("/sign-out")
    assert (await alice.post(f"/machines/{absent.id}/wake", data=data)).status_code in (303, 401, 403)
    assert wire.wishes == []


async def test_the_key_the_sent_packet_and_the_arrival_without_a_reload(
    server, cast, town, agent, accueil, ticket, browser, client_for
):
    """The machine that is woken is a real agent that was stopped, and is started again."""
    services = server.services
    machine = await services.remote.machines.get(agent.machine_id)
    await agent.stop()

    async def gone():
        return not (await services.remote.machines.get(machine.id)).online

    await until(gone, what="the machine is absent")
    await town.told(machine, {"lans": [lan()]})
    wire = await town.here(accueil)
    page, trouble = await signed_in(browser, server, await client_for(cast.alice))
    await page.goto(f"{server.url}/machines/{machine.id}?ticket={ticket}")
    await page.keyboard.press("w")
    await page.locator(".wake .spinner-border").wait_for()
    assert "Accueil" in await page.inner_text("#wake")
    assert len(wire.wishes) == 1
    await page.evaluate("window.stayed = true")
    await agent.start()
    await page.locator(".act .notice-success").wait_for(timeout=20_000)
    assert await page.evaluate("window.stayed"), "the page says it by itself"
    assert trouble == []


async def test_the_page_gives_up_by_itself(server, cast, town, absent, accueil, ticket, browser, client_for):
    alice = await client_for(cast.alice)
    await town.here(accueil)
    await alice.post(f"/machines/{absent.id}/wake", data={**FORM, "ticket_id": ticket})
    await aged(server, 168)
    page, trouble = await signed_in(browser, server, alice)
    await page.goto(f"{server.url}/machines/{absent.id}?ticket={ticket}")
    await page.locator(".wake .spinner-border").wait_for()
    await page.locator(".wake-checks").wait_for(timeout=30_000)
    assert trouble == []
