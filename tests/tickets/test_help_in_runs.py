"""A step that fails on a real machine: what the library knows about its error is there at once, without a reload."""

from __future__ import annotations

from typing import Any

import pytest
from placing_parts import index_ready, known_error
from playwright.async_api import expect

from tickets.desk.model import NewTicket

PROCEDURE = """\
---
id: tst-002
type: repair
title: Relancer le service témoin
locale: fr
applies_to: [poste-test]
esttime: PT5M
perskill: [impression]
risk: low
review_every: P6M
---

Suivez cette procédure quand le service témoin est arrêté.

## Étapes

### s1: Relancez le service témoin {importance=required}

```sh {run_on=agent timeout=30}
echo "cups.service: Failed at step EXEC, status=203/EXEC" >&2
exit 3
```

- stepresult: Le service est en marche.
- on_fail: {then: {escalate: impression}}

## Résultat

Le service est en marche.

## Après l'intervention

Dites au client que c'est réparé.
"""


@pytest.fixture
async def run(world: Any, bakery: Any, machine: Any, cast: Any) -> Any:
    await index_ready(world)
    await world.procedures.library.import_text(PROCEDURE, cast.ada, publish=True)
    await known_error(
        world, title="CUPS sans programme", condition="status=203/EXEC", workaround="Réinstallez cups-daemon."
    )
    await world.kb.search.reindex()
    new = NewTicket(client_id=bakery.id, title="Panne", owner_id=cast.alice.id, machine_id=machine.machine_id)
    ticket = await world.tickets.desk.open(new, cast.alice)
    return await world.procedures.runs.start("tst-002", "fr", machine.machine_id, ticket, cast.alice, {})


@pytest.mark.browser
async def test_help_comes_live_with_the_failure(
    server: Any,
    cast: Any,
    run: Any,
    signed_in: Any,
    client_for: Any,
) -> None:
    alice, bruno = await signed_in(cast.alice), await client_for(cast.bruno)
    assert "help-title" not in (await bruno.get(run.url)).text
    page = alice
    await page.goto(f"{server.url}{run.url}")
    await page.keyboard.press("x")
    help = page.locator(".run-help")
    await expect(help).to_contain_text("CUPS sans programme", timeout=20_000)
    await expect(help).to_contain_text("Réinstallez cups-daemon.")
    await expect(help).to_contain_text("203/EXEC")
    assert await help.locator("a.row-link").first.get_attribute("target") == "_blank"
    await page.keyboard.press("f")
    await expect(page.locator(".notice-danger")).to_be_visible()
    await expect(help).to_contain_text("CUPS sans programme"), "it stays when the step is called failed"
    assert "CUPS sans programme" in (await bruno.get(f"{run.url}/help")).text
    assert (await bruno.get("/runs/999999/help")).status_code == 404
