"""What the library knows shows while a call is taken and while a message is written; a link goes in with one key."""

from __future__ import annotations

from typing import Any

import pytest
from placing_parts import index_ready, known_error
from playwright.async_api import expect

from tickets.desk.model import NewTicket

TYPED = "cups.service ne démarre pas : status=203/EXEC"


@pytest.fixture
async def known(world: Any) -> int:
    """A known error in force, found by the search."""
    await index_ready(world)
    number = await known_error(
        world,
        title="Le spouleur [CUPS] s'arrête",
        condition="Rien ne s'imprime ; cups.service, status=203/EXEC",
        workaround="Rien ne s'imprime, le témoin manque : relancez cups.service après chaque mise à jour.",
    )
    await world.kb.search.reindex()
    return number


@pytest.fixture
async def ticket(world: Any, bakery: Any, cast: Any, known: int) -> int:
    new = NewTicket(client_id=bakery.id, title="Panne à la caisse", owner_id=cast.alice.id)
    return int(await world.tickets.desk.open(new, cast.alice))


async def test_capture_shows_procedures_known_errors_and_similar_tickets(
    world: Any, bakery: Any, cast: Any, known: int, client_for: Any
) -> None:
    other = NewTicket(client_id=bakery.id, title="Rien ne s'imprime au fournil", owner_id=cast.alice.id)
    await world.tickets.desk.open(other, cast.alice)
    alice = await client_for(cast.alice)
    answer = await alice.post(
        "/tickets/new/suggestions", data={"symptom": "plus rien ne s'imprime", "client_id": "999"}
    )
    assert "Rétablir le fichier témoin" in answer.text
    assert f"/articles/{known}" in answer.text
    assert "is-known-error" in answer.text
    assert "relancez cups.service après chaque mise à jour." in answer.text
    assert "Rien ne s&#39;imprime au fournil" in answer.text
    whole = await alice.post("/tickets/new", data={"symptom": "plus rien ne s'imprime", "do": "refresh"})
    assert f"/articles/{known}" in whole.text, "without scripts too"


async def test_the_ticket_shows_what_may_help_and_after_a_run_what_is_related(
    world: Any, cast: Any, known: int, ticket: int, client_for: Any
) -> None:
    alice = await client_for(cast.alice)
    before = await alice.get(f"/tickets/{ticket}/procedures")
    assert "Sur le même sujet" not in before.text
    await world.procedures.runs.start("tst-001", "fr", None, ticket, cast.alice, {"path": "/tmp/x"})
    after = await alice.get(f"/tickets/{ticket}/procedures")
    assert "Sur le même sujet que Rétablir le fichier témoin" in after.text
    assert f"/articles/{known}" in after.text.partition("Sur le même sujet")[2], "and nothing twice"
    assert after.text.count(f'data-document="article:{known}"') == 1


async def test_a_message_that_is_typed_is_a_question(
    server: Any, cast: Any, known: int, ticket: int, client_for: Any
) -> None:
    alice = await client_for(cast.alice)

    async def answer(**sent: str) -> str:
        response = await alice.post(f"/tickets/{ticket}/suggestions", data=sent)
        assert response.status_code == 200
        return str(response.text)

    assert f'data-insert="[Le spouleur \\[CUPS\\] s&#39;arrête](/articles/{known})"' in await answer(body=TYPED)
    assert "data-insert" not in await answer(body="ok", title="Panne à la caisse")
    assert "data-insert" in await answer(body="", title="Rien ne s'imprime")
    for hostile in ("<script>alert(1)</script> imprime", "\x00" * 50, '-x type:y "z', "imprime " * 20_000):
        assert "<script>" not in await answer(body=hostile)
    assert (await alice.post("/tickets/999999/suggestions", data={"body": TYPED})).status_code == 404


@pytest.mark.browser
async def test_a_link_goes_into_the_message_with_one_key(
    server: Any,
    cast: Any,
    known: int,
    ticket: int,
    signed_in: Any,
) -> None:
    page = await signed_in(cast.alice)
    await page.goto(f"{server.url}/tickets/{ticket}")
    body = page.locator("#f-body")
    await body.press_sequentially(TYPED, delay=2)
    first = page.locator("#typed-suggestions [data-insert]").first
    await expect(first).to_be_visible(timeout=10_000)
    await expect(body).to_be_focused()
    await expect(page.locator("#reply [data-suggested-status]")).to_contain_text("suggestion")
    wanted = await first.get_attribute("data-insert")
    await page.keyboard.press("Alt+l")
    await expect(body).to_have_value(f"{TYPED} {wanted} ")
    await expect(body).to_be_focused()
    await page.reload()
    await expect(body).to_have_value(f"{TYPED} {wanted} ")
    article = page.locator(f"#typed-suggestions [data-insert*='/articles/{known}']")
    await body.press("End")
    await body.press_sequentially("!")
    await article.click()
    await expect(body).to_be_focused()
    assert f"](/articles/{known}) " in await body.input_value()
    await page.get_by_role("button", name="Add", exact=True).or_(page.get_by_role("button", name="Ajouter")).click()
    await expect(page.locator(f".said-body a[href='/articles/{known}']").first).to_have_text(
        "Le spouleur [CUPS] s'arrête"
    )


@pytest.mark.browser
async def test_suggestions_under_the_focus_are_not_replaced(
    server: Any,
    cast: Any,
    known: int,
    signed_in: Any,
) -> None:
    page = await signed_in(cast.alice)
    await page.goto(f"{server.url}/tickets/new")
    symptom = page.locator("#f-symptom")
    await symptom.press_sequentially("rien ne s'imprime", delay=2)
    link = page.locator(f"#suggestions a[href='/articles/{known}']")
    await expect(link).to_be_visible(timeout=10_000)
    await expect(symptom).to_be_focused()
    assert await link.get_attribute("target") == "_blank"
    await link.focus()
    await page.evaluate("htmx.ajax('POST', '/tickets/new/suggestions', {source: '#capture', target: '#suggestions'})")
    await expect(link).to_be_focused()
