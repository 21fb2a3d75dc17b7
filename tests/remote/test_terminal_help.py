"""An error that is selected in a real terminal is looked for in the panel beside it; in the replay too."""

import pytest
from placing_parts import index_ready, known_error
from playwright.async_api import expect
from remote_parts import screen, signed_in, until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]


@pytest.fixture
async def known(server):
    await index_ready(server.services)
    number = await known_error(
        server.services, title="CUPS sans programme", condition="status=203/EXEC", workaround="Réinstallez cups-daemon."
    )
    await server.services.kb.search.reindex()
    return number


async def test_an_error_selected_in_the_terminal_is_looked_for(server, cast, session, known, browser, client_for):
    page, trouble = await signed_in(browser, server, await client_for(cast.alice))
    await page.goto(f"{server.url}/sessions/{session.id}")
    await page.wait_for_selector('#link-state[data-tone="ok"]')
    button, found = page.locator("[data-ask-selection]"), page.locator("#about-error")
    await expect(button).to_be_disabled()
    await page.locator(".xterm-helper-textarea").focus()
    await page.keyboard.type("printf '\\033[31mcups.service: Failed, status=203''/EXEC\\033[0m\\n'\n")

    async def shows(text):
        return text in await screen(page)

    await until(lambda: shows("status=203/EXEC"))
    await page.evaluate("compagnonTerminal.selectAll()")
    await expect(button).to_be_enabled()
    await page.keyboard.press("Control+Shift+F")
    await expect(found).to_contain_text("CUPS sans programme", timeout=10_000)
    await expect(found).to_contain_text("203/EXEC")
    assert "[31m" not in await found.inner_text()
    assert await page.evaluate("document.activeElement.className") == "xterm-helper-textarea", "typing goes on"
    await expect(page.locator("[data-suggested-status]")).to_contain_text("suggestion")
    await page.evaluate("compagnonTerminal.clearSelection()")
    await expect(button).to_be_disabled()
    await page.evaluate("compagnonTerminal.selectAll()")
    await button.click()
    await expect(found).to_contain_text("CUPS sans programme")
    async with page.context.expect_page() as opened:
        await found.locator("a.row-link").first.click()
    await (await opened.value).close()
    await page.locator(".xterm-helper-textarea").focus()
    await page.keyboard.type("echo still''here\n")
    await until(lambda: shows("stillhere"))
    assert [line for line in trouble if "404" not in line] == []


async def test_the_text_of_a_recording_is_looked_for_too(server, cast, session, known, browser, client_for, page_of):
    live = await page_of(cast.alice, session)
    await live.type("echo cups.service: status=203''/EXEC\r")
    await live.see("status=203/EXEC")
    await server.services.remote.sessions.stop(cast.alice, session.id)
    page, trouble = await signed_in(browser, server, await client_for(cast.alice))
    await page.goto(f"{server.url}/recordings/{session.id}")
    text = page.locator("#transcript")
    await expect(text).to_contain_text("203/EXEC")
    await text.evaluate("(node) => document.getSelection().selectAllChildren(node)")
    await page.locator("[data-ask-selection]").click()
    await expect(page.locator("#about-error")).to_contain_text("CUPS sans programme", timeout=10_000)
    assert trouble == []


@pytest.mark.parametrize("text", ["", "<img src=x onerror=alert(1)> error", "\x00\x1b[31m", "x" * 100_000, "-a type:b"])
async def test_any_selection_is_answered(server, cast, client_for, text):
    alice = await client_for(cast.alice)
    sent = {"text": text, "environment": "x" * 500, "ticket": "abc", "machine": "-1"}
    answer = await alice.post("/search/error", data=sent)
    assert answer.status_code == 200
    assert "<img src=x" not in answer.text
