"""Every page in a real browser, light and dark, wide and narrow: no error in its console, none refused, no overflow."""

from __future__ import annotations

import pytest
from console_parts import LOOKS, visitor
from remote_parts import is_open, until

from remote.sessions.model import Capability, EndReason

pytestmark = pytest.mark.browser
LONGER = 3600  # milliseconds: a machine's page asks for its load every 3 s, the processes' every few


async def looks_at(browser, server, client, paths, *, settle=300, looks=LOOKS):
    trouble = []
    for scheme, width, height in looks:
        async with visitor(browser, server, client, scheme=scheme, width=width, height=height) as one:
            for path in paths:
                await one.visit(path, settle=settle)
                if wide := await one.too_wide():
                    one.trouble.append(f"{path}: {wide} px wider than {width}")
            trouble += [f"{scheme} {width}: {line}" for line in one.trouble]
    return trouble


async def pages_without_parameters(server, client):
    """Every address that needs none and answers with a whole page."""
    from compagnon.web.application import build

    kernel = server.services.kernel
    routes = build(kernel, server.services.features).routes
    found = []
    for path in sorted({route.path for route in routes if "GET" in getattr(route, "methods", ())}):
        if "{" in path or path.startswith(("/static", "/events", "/agent")):
            continue
        answer = await client.get(path)
        if answer.headers.get("content-type", "").startswith("text/html") and "<html" in answer.text:
            found.append(path)
    return found


async def test_every_page_that_needs_no_parameter(server, cast, agent, ticket, browser, client_for):
    ada = await client_for(cast.ada)
    paths = await pages_without_parameters(server, ada)
    assert {"/", "/machines", "/tickets", "/machines/releases", "/account", "/audit", "/w"} <= set(paths)
    assert await looks_at(browser, server, ada, paths) == []


async def test_a_machines_page_and_its_clients(server, cast, agent, ticket, client, browser, client_for):
    ada = await client_for(cast.ada)
    paths = [f"/machines/{agent.machine_id}", f"/clients/{client.id}", f"/clients/{client.id}/access"]
    paths += [f"/tickets/{ticket}", f"/machines/{agent.machine_id}?ticket={ticket}", f"/devices/new?client={client.id}"]
    assert await looks_at(browser, server, ada, paths, settle=LONGER) == []


class TestSessions:
    @pytest.fixture
    def surroundings(self, screen_name):
        return {"DISPLAY": screen_name}

    async def test_of_every_kind_and_their_recordings(self, server, cast, desktop, agent, ticket, browser, client_for):
        sessions, alice = server.services.remote.sessions, await client_for(cast.alice)
        opened = []
        for capability in Capability:
            target = "127.0.0.1:9" if capability is Capability.TUNNEL else ""
            asked = await sessions.open(
                agent.machine_id, ticket, "Voir", cast.alice, capability=capability.value, target=target
            )
            await until(lambda asked=asked: is_open(server, asked.id), what=f"{capability} is open")
            opened.append(asked.id)
        paths = [f"/sessions/{session_id}" for session_id in opened]
        assert await looks_at(browser, server, alice, paths, settle=1500) == []
        for session_id in opened:
            await sessions.end(session_id, EndReason.MEMBER)
        paths += [f"/recordings/{session_id}" for session_id in opened]
        assert await looks_at(browser, server, alice, paths, settle=700, looks=LOOKS[::3]) == []


async def test_a_watched_session_without_signing_in(server, cast, session, browser, client_for):
    machine = await server.services.remote.machines.get(session.machine_id)
    from remote.sessions.watching import Watching

    watching = Watching(server.services.kernel, server.services.remote.sessions, server.services.remote.sessions._rooms)
    address, _ = await watching.make_at_machine(machine, session.id)
    path = await watching.find(address.partition("#")[2], "192.0.2.1")
    alice = await client_for(cast.alice)
    assert await looks_at(browser, server, alice, ["/w", path], settle=700) == []


async def test_it_would_be_seen(server, cast, agent, browser, client_for):
    """The test above is not blind: an inline style and a missing file are complained of."""
    async with visitor(browser, server, await client_for(cast.alice)) as one:
        await one.visit("/machines")
        assert one.trouble == []
        await one.page.evaluate("document.body.setAttribute('style', 'color: red')")
        await one.page.evaluate("fetch('/not-there')")
        await one.page.wait_for_timeout(500)
        assert any("style-src" in line for line in one.trouble)
        assert any("404" in line for line in one.trouble)
