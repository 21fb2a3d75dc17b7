"""A client, a small procedure whose result an agent can look at, and a real agent."""

from __future__ import annotations

from typing import Any

import pytest
from remote_parts import Agent, until
from wired_fixtures import PASSWORD

from compagnon.audit import Actor
from compagnon.directory.model import ClientKind, NewSite

PROCEDURE = """\
---
id: tst-001
type: repair
title: Rétablir le fichier témoin
locale: fr
applies_to: [poste-test]
esttime: PT5M
perskill: [impression]
parameters:
  path: {type: path, required: true, label: "Chemin du fichier témoin"}
risk: low
review_every: P6M
---

Suivez cette procédure quand le fichier témoin manque et que rien ne s'imprime.

## Étapes

### s1: Demandez de créer le fichier témoin {importance=required}

- phone: « Créez le fichier. »
- stepresult: La personne dit que c'est fait.
- on_fail: {then: {escalate: impression}}

## Résultat

Le fichier témoin est là.

- check: {file: {"{{path}}": {exists: true}}}

## Après l'intervention

Dites au client que c'est réparé.
"""


@pytest.fixture
async def world(server: Any, cast: Any) -> Any:
    """The services of a real server with a client in Rennes and the procedure in force."""
    services = server.services
    await services.procedures.library.import_text(PROCEDURE, cast.ada, publish=True)
    return services


@pytest.fixture
async def bakery(world: Any, cast: Any) -> Any:
    return await world.kernel.directory.add_client(
        kind=ClientKind.COMPANY,
        name="Boulangerie Le Gall",
        actor=Actor.member(cast.ada.id),
        phones=["02 99 12 34 56"],
        sites=[NewSite(town="Rennes", postcode="35000")],
    )


@pytest.fixture
async def machine(server: Any, world: Any, cast: Any, bakery: Any, tmp_path: Any) -> Any:
    """A real agent on the bakery's machine, approved and connected."""
    machines = world.remote.machines
    offer = await machines.offer(cast.alice, bakery.id)
    folder = tmp_path / "agent"
    folder.mkdir(mode=0o700)
    agent = Agent(folder=folder)
    await agent.enrol(server.url, offer.code)
    agent.policy()
    await machines.approve(cast.alice, agent.machine_id, name="Caisse", site_id=None, environment=None)
    await agent.start()
    try:
        await until(lambda: world.remote.link.online(agent.machine_id), what="the agent is connected")
        yield agent
    finally:
        await agent.stop()


@pytest.fixture
async def signed_in(server: Any, browser: Any) -> Any:
    """``await signed_in(member)``: a page of a browser of their own; script errors end the test."""
    errors: list[str] = []

    async def sign_in(member: Any) -> Any:
        context = await browser.new_context(locale="en-GB")
        page = await context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("dialog", lambda dialog: errors.append(f"a script spoke: {dialog.message}"))
        await page.goto(f"{server.url}/sign-in")
        await page.fill("[name=email]", member.email)
        await page.fill("[name=password]", PASSWORD)
        await page.press("[name=password]", "Enter")
        await page.wait_for_url(f"{server.url}/")
        return page

    yield sign_in
    assert errors == []
