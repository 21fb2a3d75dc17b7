"""Beside a check that fails on a real machine: the articles that name what is checked, and only they."""

import pytest
from placing_parts import index_ready, known_error
from playwright.async_api import expect
from remote_parts import signed_in

ENVIRONMENT = """\
---
id: poste-essai
type: environment
title: Poste d'essai
locale: fr
risk: low
review_every: P1Y
---
Le poste des essais.

## Conformité

### temoin: Le témoin est posé

- check: {file: {/srv/temoin-absent: {exists: true}}}
- repair: sys-001
"""


@pytest.fixture
async def failing(server, cast, agent):
    """The agent's machine, of which one check fails; two articles, of which one names the file. Its key."""
    await index_ready(server.services)
    await server.services.procedures.library.import_text(ENVIRONMENT, cast.ada, publish=True)
    remote = server.services.remote
    await remote.machines.declare(cast.alice, agent.machine_id, "poste-essai")
    await known_error(
        server.services, title="Le témoin s'en va", condition="/srv/temoin-absent manque", workaround="Reposez-le."
    )
    await known_error(server.services, title="Autre témoin", condition="/srv/autre est posé", workaround="Rien.")
    await server.services.kb.search.reindex()
    states = await remote.drift.check(agent.machine_id, cast.alice)
    return next(state.key for state in states if state.failing)


async def test_only_articles_that_name_what_is_checked_are_shown(server, cast, agent, failing, client_for):
    alice = await client_for(cast.alice)
    url = f"/machines/{agent.machine_id}/checks/known"

    async def shown(**asked):
        answer = await alice.get(url, params=asked)
        assert answer.status_code == 200
        return answer.text

    text = await shown(key=failing, ticket=7)
    assert "Le témoin s&#39;en va" in text
    assert "Reposez-le." in text
    assert "?ticket=7" in text
    assert "Autre témoin" not in text
    for unknown in ("temoin/file:/etc/passwd", "", "<script>", "x" * 300):
        assert (await shown(key=unknown)).strip() == ""
    assert (await alice.get(url, params={"key": "x" * 301})).status_code == 400
    assert (await alice.get("/machines/999999/checks/known", params={"key": failing})).status_code == 404


@pytest.mark.browser
async def test_the_machines_page_shows_them_beside_the_repair(server, cast, agent, failing, browser, client_for):
    page, trouble = await signed_in(browser, server, await client_for(cast.alice))
    await page.goto(f"{server.url}/machines/{agent.machine_id}")
    line = page.locator(".drift-line")
    await expect(line).to_contain_text("sys-001")
    await expect(line).to_contain_text("Le témoin s'en va", timeout=10_000)
    await expect(line).to_contain_text("Reposez-le.")
    assert trouble == []
