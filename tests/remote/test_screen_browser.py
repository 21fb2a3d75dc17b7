"""The page of a screen and its replay, in a real browser."""

from __future__ import annotations

import pytest
from remote_parts import is_open, signed_in, until

from remote.sessions.model import EndReason

PIXEL = """([x, y]) => { const canvas = document.querySelector('canvas');
return [...canvas.getContext('2d').getImageData(x, y, 1, 1).data].slice(0, 3); }"""
BLUE = (32, 96, 192)


@pytest.fixture
def surroundings(screen_name):
    return {"DISPLAY": screen_name}


@pytest.mark.browser
async def test_a_member_sees_takes_hold_types_and_watches_it_again(
    server, cast, desktop, agent, ticket, client_for, browser
):
    sessions = server.services.remote.sessions
    opened = await sessions.open(agent.machine_id, ticket, "Voir l'écran", cast.alice, capability="screen")
    await until(lambda: is_open(server, opened.id))
    page, trouble = await signed_in(browser, server, await client_for(cast.alice))
    await page.goto(f"{server.url}/sessions/{opened.id}")

    async def blue():
        size = await page.evaluate("[document.querySelector('canvas').width, document.querySelector('canvas').height]")
        at = [size[0] * 500 // 1280, size[1] * 400 // 800]
        return all(abs(a - b) < 24 for a, b in zip(await page.evaluate(PIXEL, at), BLUE, strict=True))

    await until(blue, seconds=30, what="the picture")
    await page.click("#ask-control")
    await page.wait_for_selector("#end-control:visible")
    box = await page.locator("canvas").bounding_box()  # keys go where the pointer is: nobody manages these windows
    await page.mouse.click(box["x"] + box["width"] * 200 / 1280, box["y"] + box["height"] * 215 / 800)
    desktop.order("focus")
    await page.focus("#desktop-keys")
    await page.keyboard.type("Été ✓")
    await page.keyboard.press("Backspace")
    await until(lambda: "typed " + ascii("Été ") in desktop.told.splitlines(), what=desktop.told)
    await page.click("#end-control")
    await page.wait_for_selector("#ask-control:visible")
    await sessions.end(opened.id, EndReason.MEMBER)
    await page.wait_for_selector(".terminal-wait a[href^='/recordings/']")  # the page has come anew by itself
    await page.goto(f"{server.url}/recordings/{opened.id}")
    await page.wait_for_selector("#replay-play:enabled")
    await page.evaluate("() => { const at = document.getElementById('replay-at'); at.value = at.max;"
                        " at.dispatchEvent(new Event('input')); }")  # fmt: skip
    await until(blue, what="the picture again")
    await page.click("#replay-play")
    assert trouble == []
