"""The terminal page, the cockpit and the replay in a real browser."""

import pytest
from remote_parts import is_open, screen, signed_in, until

from remote.sessions.model import Capability

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

HOSTILE = (
    "printf '\\033]52;c;aGFja2Vk\\007\\033]0;HACKED\\007\\033]8;;javascript:alert(1)\\007link\\033]8;;\\007"
    "\\033[21t\\033[c\\033P$qm\\033\\\\<img src=x onerror=alert(1)>\\n'; echo quiet''now\r"
)


async def test_type_reload_cut_and_stop(server, cast, session, browser, client_for):
    page, trouble = await signed_in(browser, server, await client_for(cast.alice))
    asked = []
    page.on("request", lambda request: asked.append(request.url) if request.url.endswith("/ticket") else None)
    await page.goto(f"{server.url}/sessions/{session.id}")
    await page.wait_for_selector(".xterm-screen")
    await page.wait_for_selector('#link-state[data-tone="ok"]')
    assert asked == [], "the page brings its first ticket"
    await page.locator(".xterm-helper-textarea").focus()
    await page.keyboard.type("stty size; echo héé''llo\n")

    async def shows(text):
        return text in await screen(page)

    await until(lambda: shows("hééllo"))
    rows, columns = await page.evaluate("[compagnonTerminal.rows, compagnonTerminal.cols]")
    assert (rows, columns) != (30, 100), "the driver's window decides the size"
    await page.keyboard.type("clear; stty size\n")
    await until(lambda: shows(f"{rows} {columns}"))
    await page.reload()
    await page.wait_for_selector('#link-state[data-tone="ok"]')
    await until(lambda: shows(f"{rows} {columns}"))
    await page.context.set_offline(True)
    await page.evaluate("dispatchEvent(new Event('offline'))")
    await page.wait_for_selector('#link-state[data-tone="bad"]')
    await page.locator(".xterm-helper-textarea").focus()
    await page.keyboard.type("echo apart''typed\n")
    assert "echo apart''typed" in await page.inner_text("#typed-text")
    await page.context.set_offline(False)
    await page.evaluate("dispatchEvent(new Event('online'))")
    await until(lambda: shows("aparttyped"))
    assert await page.is_hidden("#typed")
    assert (await screen(page)).count("aparttyped") == 1
    await page.click(".actions button")
    await page.click("#confirm button[value=yes]")
    await page.wait_for_selector("text=Voir l’enregistrement")
    await page.goto(f"{server.url}/recordings/{session.id}")
    await page.wait_for_selector(".ap-player, .ap-wrapper")
    # While the browser was offline, requests failed: that is what was asked for.
    assert [line for line in trouble if "ERR_INTERNET_DISCONNECTED" not in line and "htmx:" not in line] == []


async def test_the_tabs_of_a_visit_follow_its_sessions(server, cast, session, browser, client_for):
    """Another session of the same visit opens and ends: the page that is looked at says so without a reload."""
    sessions = server.services.remote.sessions
    page, trouble = await signed_in(browser, server, await client_for(cast.alice))
    await page.goto(f"{server.url}/sessions/{session.id}")
    await page.wait_for_selector('#link-state[data-tone="ok"]')
    other = await sessions.open(
        session.machine_id, session.ticket_id, "Regarder les fichiers", cast.alice, capability=Capability.FILES
    )
    tab = page.locator(f'.visit-tab[href="/sessions/{other.id}"]')
    await tab.wait_for()
    await until(lambda: is_open(server, other.id))
    await tab.locator(".ti-hourglass").wait_for(state="detached")
    await sessions.stop(cast.alice, other.id)
    await tab.wait_for(state="detached")
    assert await page.locator(".visit-tab[aria-current=page]").count() == 1
    assert trouble == []


async def test_hostile_output_stays_on_the_screen(server, cast, session, browser, client_for):
    page, trouble = await signed_in(browser, server, await client_for(cast.alice))
    await page.goto(f"{server.url}/sessions/{session.id}")
    await page.wait_for_selector('#link-state[data-tone="ok"]')
    title = await page.title()
    await page.locator(".xterm-helper-textarea").focus()
    await page.keyboard.insert_text(HOSTILE.rstrip("\r"))
    await page.keyboard.press("Enter")

    async def shows(text):
        return text in await screen(page)

    await until(lambda: shows("\nquietnow"))
    assert await page.title() == title
    assert "<img src=x" in await screen(page)
    await page.mouse.move(200, 300)
    assert trouble == []
