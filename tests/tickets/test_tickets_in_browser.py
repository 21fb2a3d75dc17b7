"""Capture and calls in a real browser: nothing typed is lost, one ticket is opened, help is asked for live."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import expect

pytestmark = pytest.mark.browser


HOSTILE = "<img src=x onerror=alert(1)> rien ne s'imprime"


async def test_a_call_is_captured_survives_a_reload_and_opens_one_ticket(
    server: Any, world: Any, cast: Any, bakery: Any, signed_in: Any
) -> None:
    page = await signed_in(cast.alice)
    await page.goto(f"{server.url}/tickets/new")
    await page.locator("#f-caller").press_sequentially("le gal", delay=20)
    await page.locator("#callers .caller").click()
    await expect(page.locator("#client .client-card")).to_contain_text("Boulangerie Le Gall")
    await page.locator("#f-symptom").fill(HOSTILE)
    await expect(page.locator("#suggestions")).to_contain_text("Rétablir le fichier témoin", timeout=10_000)
    key = await page.locator("[name=request_key]").input_value()
    await page.reload()
    await expect(page.locator("#client .client-card")).to_contain_text("Boulangerie Le Gall")
    await expect(page.locator("#f-symptom")).to_have_value(HOSTILE)
    assert await page.locator("[name=request_key]").input_value() == key
    await page.locator(".capture-end .btn-primary").click()
    await page.wait_for_url("**/tickets/1")
    await expect(page.locator("h1")).to_have_text(HOSTILE)
    await page.goto(f"{server.url}/tickets/new")
    await expect(page.locator("#f-symptom")).to_have_value("")


async def test_a_colleague_is_asked_live_joins_and_is_seen(
    server: Any, world: Any, cast: Any, bakery: Any, signed_in: Any
) -> None:
    from tickets.desk.model import NewTicket

    number = await world.tickets.desk.open(
        NewTicket(client_id=bakery.id, title="Rien ne s'imprime", owner_id=cast.alice.id), cast.alice
    )
    alice, bruno = await signed_in(cast.alice), await signed_in(cast.bruno)
    await bruno.goto(f"{server.url}/clients")
    await alice.goto(f"{server.url}/tickets/{number}/escalate?skill=impression")
    await alice.get_by_role("button", name="Appeler").or_(alice.get_by_role("button", name="Call", exact=True)).click()
    await alice.wait_for_url(f"**/tickets/{number}#calls")
    await expect(bruno.locator("#asked")).to_contain_text("Rien ne s'imprime", timeout=10_000)
    await bruno.locator("#asked .btn-primary").click()
    await bruno.wait_for_url(f"**/tickets/{number}")
    await expect(alice.locator("#calls")).to_contain_text("Bruno Leroy")
    await expect(alice.locator("#calls .state-success").first).to_be_visible(timeout=10_000)
    await expect(alice.locator("#viewers")).to_contain_text("Bruno Leroy", timeout=15_000)
