"""The results page in a real browser: by keyboard alone, and on a phone."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from page_parts import holds

from kb.search.model import IndexPhase

pytestmark = pytest.mark.browser
PROCEDURE = """\
---
id: imp-{number}
type: repair
title: Imprimante muette {number}
locale: fr
applies_to: [{environment}]
esttime: PT5M
perskill: [impression]
risk: low
review_every: P6M
---

Suivez cette procédure quand rien ne s'imprime.

## Étapes

### s1: Redémarrez le service {{importance=required}}

- stepresult: Le service répond.
- on_fail: {{then: {{escalate: impression}}}}

## Résultat

Le service répond.

## Après l'intervention

Dites au client que c'est réparé.
"""


@pytest.fixture
async def world(server: Any, cast: Any) -> Any:
    for number, environment in (("001", "poste-debian-12"), ("002", "poste-windows-11")):
        text = PROCEDURE.format(number=number, environment=environment)
        await server.services.procedures.library.import_text(text, cast.ada, publish=True)
    search = server.services.kb.search
    for _ in range(400):
        if (await search.progress()).phase == IndexPhase.READY and (await search.find("imprimante")).total == 2:
            return server.services
        await asyncio.sleep(0.025)
    raise AssertionError("the index was not built")


@pytest.fixture
async def open_page(world: Any, server: Any, cast: Any, client_for: Any, browser: Any) -> Any:
    client = await client_for(cast.alice)

    async def make(width: int, height: int) -> Any:
        context = await browser.new_context(base_url=server.url, viewport={"width": width, "height": height})
        await context.add_cookies([{"name": c.name, "value": c.value, "url": server.url} for c in client.cookies.jar])
        page = await context.new_page()
        page.complaints = []
        page.on("console", lambda said: page.complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        return page

    return make


async def focused(page: Any, selector: str) -> bool:
    return bool(await page.evaluate("s => document.activeElement.matches(s)", selector))


async def test_by_keyboard_alone(open_page: Any, world: Any, cast: Any) -> None:
    page = await open_page(1400, 900)
    await page.goto("/search")
    await page.keyboard.type("imprimante muette")
    await page.locator("#found [data-document]").nth(1).wait_for()
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("j")
    assert await focused(page, "#found li:nth-child(2) [data-document]")
    await page.keyboard.press("k")
    await page.keyboard.press("p")
    await page.locator("#kb-preview").get_by_text("Redémarrez le service").wait_for()
    await holds(page, "document.activeElement.id === 'kb-preview'")
    await page.keyboard.press("Escape")
    assert await focused(page, "#found li:nth-child(1) [data-document]")
    await page.keyboard.press("w")
    reasons = page.locator(".kb-why[open] .kb-reasons")
    await reasons.get_by_text("imprimante").wait_for()
    await page.keyboard.press("Escape")
    await reasons.wait_for(state="detached")
    title = page.locator("#found [data-document]").first
    await title.focus()
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/procedures/imp-*")
    await page.go_back()
    await page.locator("#found [data-document]").first.wait_for()
    assert await page.locator("#kb-q").input_value() == "imprimante muette"
    assert page.complaints == []
    for _ in range(200):
        async with world.kernel.db.connection() as conn:
            rows = await (await conn.execute("SELECT document FROM learned_uses")).fetchall()
        if rows:
            break
        await asyncio.sleep(0.025)
    assert rows[0][0].startswith("procedure:imp-00")


async def test_a_search_is_kept_and_found_in_the_commands(open_page: Any) -> None:
    page = await open_page(1400, 900)
    await page.goto("/search?q=imprimante&environment=poste-debian-12")
    await page.locator(".kb-save > summary").click()
    await page.locator("#kb-name").fill("Muettes Debian")
    await page.keyboard.press("Enter")
    await page.locator(".toast-item").wait_for()
    await page.keyboard.press("Control+k")
    kept = page.locator("#palette-results .result", has_text="Muettes Debian")
    await kept.wait_for()
    await page.locator("#palette-input").fill("muettes")
    await kept.wait_for()
    await kept.click()
    await page.wait_for_url("**/search?q=imprimante&environment=poste-debian-12")
    assert await page.locator(".kb-filter.is-chosen").count() == 1
    assert page.complaints == []


async def test_on_a_phone_nothing_is_wider_than_the_screen(open_page: Any) -> None:
    page = await open_page(390, 844)
    await page.goto("/search?q=imprimante")
    assert not await page.locator(".kb-facet").first.is_visible()
    await page.locator(".kb-facets > summary").click()
    assert await page.locator(".kb-facet").first.is_visible()
    await page.locator(".kb-why > summary").first.click()
    box = await page.locator(".kb-why[open] .menu-body").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390
    await page.keyboard.press("Escape")
    await page.locator("[data-show-preview]").first.click()
    await page.locator("#kb-preview").get_by_text("Redémarrez le service").wait_for()
    await page.locator("[data-close-preview]").click()
    await page.locator("#kb-preview").wait_for(state="hidden")
    assert await page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.complaints == []
