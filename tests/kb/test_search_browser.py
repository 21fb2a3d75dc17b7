"""The search page in a real browser: typing finds, arrow keys move, nothing hostile runs."""

from __future__ import annotations

from typing import Any

import pytest

from compagnon.audit import Actor
from compagnon.directory.model import ClientKind

pytestmark = pytest.mark.browser
HOSTILE = 'Imprimerie <img src=x onerror="document.title=1"> & Fils'


@pytest.fixture
async def page(server: Any, cast: Any, client_for: Any, browser: Any) -> Any:
    directory = server.services.kernel.directory
    for name in (HOSTILE, "Imprimerie Martin"):
        await directory.add_client(kind=ClientKind.COMPANY, name=name, actor=Actor.system())
    client = await client_for(cast.alice)
    context = await browser.new_context(base_url=server.url, viewport={"width": 1280, "height": 800})
    await context.add_cookies([{"name": c.name, "value": c.value, "url": server.url} for c in client.cookies.jar])
    return await context.new_page()


async def test_typing_finds_and_arrows_move(page: Any) -> None:
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    await page.goto("/search")
    await page.locator("#kb-q").press_sequentially("imprimerie")
    hits = page.locator("#found [data-hit]")
    await hits.nth(1).wait_for()
    assert await page.get_by_text(HOSTILE).count() == 1
    await page.keyboard.press("ArrowDown")
    assert await hits.first.evaluate("element => element === document.activeElement")
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("ArrowUp")
    await page.keyboard.press("ArrowUp")
    assert await page.locator("#kb-q").evaluate("element => element === document.activeElement")
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/clients/*")
    assert complaints == []


async def test_nothing_found_says_what_to_do(page: Any) -> None:
    await page.goto("/search?q=xylophone")
    offered = [await link.get_attribute("href") or "" for link in await page.locator(".kb-fallbacks a").all()]
    assert {link.partition("?")[0] for link in offered} >= {"/articles/new", "/procedures/new", "/tickets/new"}
