"""A run followed by keyboard in one browser and watched in another; the editor keeps what was typed."""

from __future__ import annotations

import pytest
from page_parts import holds

PASSWORD = "correct horse battery"

pytestmark = pytest.mark.browser


@pytest.fixture
async def signed_in(server, browser):
    contexts = []

    async def sign_in(member):
        context = await browser.new_context(locale="fr-FR")
        contexts.append(context)
        page = await context.new_page()
        page.errors = []
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        page.on("console", lambda line: page.errors.append(line.text) if line.type == "error" else None)
        await page.goto(f"{server.url}/sign-in")
        await page.fill("[name=email]", member.email)
        await page.fill("[name=password]", PASSWORD)
        await page.keyboard.press("Enter")
        await page.wait_for_url(lambda url: "sign-in" not in url)
        return page

    yield sign_in
    for context in contexts:
        await context.close()


@pytest.fixture
async def library(server, cast, procedure_text, environment_text):
    library = server.services.procedures.library
    await library.import_text(environment_text, cast.ada, publish=True)
    await library.import_text(procedure_text, cast.ada, publish=True)
    return library


async def test_one_follows_by_keyboard_and_another_watches(server, cast, signed_in, library):
    runs = server.services.procedures.runs
    run = await runs.start("tst-001", "fr", None, None, cast.alice, {"path": "/srv/x"})
    alice, bruno = await signed_in(cast.alice), await signed_in(cast.bruno)
    await alice.goto(f"{server.url}/runs/{run.id}")
    await bruno.goto(f"{server.url}/runs/{run.id}")
    await holds(bruno, "document.documentElement.dataset.ready === 'yes'")
    await alice.keyboard.press("d")
    await bruno.wait_for_selector("#current-step :text('Créez le fichier témoin')")
    await alice.wait_for_selector("#current-step :text('Créez le fichier témoin')")
    await alice.keyboard.press("n")
    await alice.keyboard.type("d f s : rien ne bouge")
    assert (await runs.get(run.id)).current_step == "s2"
    await runs.add_note(run.id, cast.alice, "vu ailleurs")  # the same member, on another device
    await alice.wait_for_selector(".evidence :text('vu ailleurs')")
    assert await alice.input_value("[data-note]") == "d f s : rien ne bouge"
    assert alice.errors == []
    assert bruno.errors == []


async def test_the_editor_says_what_to_mend_leads_there_and_keeps_what_was_typed(
    server, cast, signed_in, library, procedure_text
):
    draft = await library.create(procedure_text.replace("manque", "a disparu"), cast.alice)
    alice = await signed_in(cast.alice)
    await alice.goto(f"{server.url}/reviews/{draft.id}/edit")
    await alice.wait_for_selector(".findings-none")
    text = await alice.input_value("#text")
    await alice.fill("#text", text.replace("- stepresult: La personne voit son bureau.\n", ""))
    place = alice.locator("[data-line]").first
    await place.wait_for()
    line = int(await place.get_attribute("data-line"))
    await place.click()
    start = await alice.evaluate("document.getElementById('text').selectionStart")
    assert (await alice.input_value("#text"))[:start].count("\n") == line - 1
    await alice.click("#tab-preview")
    assert await alice.locator("#panel-preview .preview-step").count() == 3
    await alice.wait_for_timeout(500)
    await alice.reload()  # the network dropped, the page was closed: nothing is lost
    await alice.click("text=Le reprendre")
    assert "La personne voit son bureau" not in await alice.input_value("#text")
    assert alice.errors == []
