"""A real browser with a terminal open while the server is killed: it comes back by itself, with what was typed."""

import re

import pytest
from kill_parts import world
from playwright.async_api import expect
from remote_parts import until
from up_parts import as_url, new_up
from wired_fixtures import PASSWORD

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]


@pytest.fixture
async def here(database, tmp_path):
    with new_up() as up:
        up.environ = {"COMPAGNON_DATABASE_URL": as_url(database)}
        async with world(up, tmp_path / "agent", database=database) as made:
            yield made


@pytest.fixture
async def page(here, browser):
    context = await browser.new_context(locale="en-GB")
    page = await context.new_page()
    await page.goto(here.up.url + "/sign-in")
    await page.fill("input[name=email]", here.cast.alice.email)
    await page.fill("input[name=password]", PASSWORD)
    await page.keyboard.press("Enter")
    await page.wait_for_url(here.up.url + "/")
    yield page
    await context.close()


async def test_the_page_comes_back_by_itself_after_a_kill(here, page):
    opened = await here.open_terminal()
    await opened.close()
    sockets: list[str] = []
    page.on("websocket", lambda socket: sockets.append(socket.url))
    await page.goto(f"{here.up.url}/sessions/{opened.session_id}")
    # Other events may ask for a connection while the first one is being made.
    await page.evaluate("for (let i = 0; i < 5; i += 1) document.dispatchEvent(new Event('live:event'))")
    keys, rows = page.locator("#terminal textarea"), page.locator(".xterm-rows")
    await expect(page.locator("#driver-state")).to_contain_text(re.compile("."), timeout=20_000)
    await keys.press_sequentially("echo before-$((40+2))\n")
    await expect(rows).to_contain_text("before-42", timeout=15_000)
    assert len(sockets) == 1, "one page, one connection"
    here.up.kill()
    await keys.press_sequentially("echo meanwhile-$((40+2))\n")
    await here.start()
    await expect(rows).to_contain_text("meanwhile-42", timeout=30_000)
    await keys.press_sequentially("echo after-$((40+2))\n")
    await expect(rows).to_contain_text("after-42", timeout=15_000)
    shown = await rows.inner_text()
    assert [shown.count(word) for word in ("before-42", "meanwhile-42", "after-42")] == [1, 1, 1]
    await until(lambda: here.recorded().count(b"meanwhile-42") == 1)
