"""The replay in a real browser: speed, search that jumps, the keyboard; hostile output is inert, live and here."""

import base64

import pytest
from page_parts import holds
from remote_parts import screen, signed_in, until

from remote.sessions.model import EndReason

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

ESC = "\x1b"
STOLEN = base64.b64encode(b"stolen by OSC 52").decode()
# Everything that would act outside of the screen, or be answered by typing.
ATTACKS = "".join(
    [
        f"{ESC}]52;c;{STOLEN}\x07",  # clipboard, written
        f"{ESC}]52;c;?\x07",  # clipboard, read back
        f"{ESC}]0;HACKED\x07{ESC}]2;HACKED{ESC}\\",  # titles
        f"{ESC}[21t{ESC}[18t{ESC}[14t",  # title and window reported
        f"{ESC}]8;;javascript:alert(1)\x07link{ESC}]8;;\x07",  # links
        f"{ESC}]8;;https://mal.example/\x07lien{ESC}]8;;\x07",
        f"{ESC}P$qm{ESC}\\{ESC}P$qr{ESC}\\{ESC}P+q544e{ESC}\\",  # DECRQSS, XTGETTCAP
        f"{ESC}]4;1;?\x07{ESC}]10;?\x07{ESC}]11;?\x07{ESC}]12;?\x07",  # colours asked for
        f"{ESC}[?2026$p{ESC}[4$p",  # DECRQM
        f"{ESC}[>c{ESC}[=c{ESC}[>q{ESC}[?6n{ESC}[?15n",  # what are you
        f"{ESC}]1337;File=inline=1:aGVsbG8=\x07{ESC}]777;notify;a;b\x07{ESC}]9;4;1;50\x07",
        f"{ESC}]2;" + "A" * 300_000 + "\x07",  # very long
        f"{ESC}P" + "q" * 300_000 + f"{ESC}\\",
        f"{ESC}[" + "1;" * 5_000 + "m",
        f"{ESC}_G" + "a" * 100_000 + f"{ESC}\\",
        "<img src=x onerror=alert(1)><script>alert(2)</script>",
    ]
)


async def opened(browser, server, client):
    page, trouble = await signed_in(browser, server, client, permissions=["clipboard-read", "clipboard-write"])
    return page, trouble


async def test_hostile_output_is_inert_live_and_in_the_replay(server, cast, agent, session, browser, client_for):
    (agent.folder / "evil").write_text(ATTACKS)
    page, trouble = await opened(browser, server, await client_for(cast.alice))
    await page.goto(f"{server.url}/sessions/{session.id}")
    await page.wait_for_selector('#link-state[data-tone="ok"]')
    await page.evaluate("navigator.clipboard.writeText('mine')")
    title = await page.title()
    await page.locator(".xterm-helper-textarea").focus()
    await page.keyboard.type("cat ~/evil; echo aft''erwards\n")

    async def shows(text):
        return text in await screen(page)

    await until(lambda: shows("afterwards"))
    room = server.services.remote.sessions._rooms.get(session.id)
    typed = room.typed.end
    assert typed == len("cat ~/evil; echo aft''erwards\n"), "the terminal typed something by itself"
    assert await page.evaluate("navigator.clipboard.readText()") == "mine"
    assert await page.title() == title
    assert await page.locator(".terminal-box a[href]").count() == 0
    assert "<script>alert(2)</script>" in (await screen(page)).replace("\n", "")
    await page.locator(".xterm-screen").click()
    assert room.typed.end == typed
    await server.services.remote.sessions.end(session.id, EndReason.MEMBER)
    await page.goto(f"{server.url}/recordings/{session.id}")
    await page.wait_for_selector(".ap-wrapper")
    title = await page.title()
    await page.evaluate("async () => { await compagnonPlayer.play(); await compagnonPlayer.seek('100%'); }")
    await holds(page, "document.querySelector('#player').innerText.includes('afterwards')")
    assert await page.evaluate("navigator.clipboard.readText()") == "mine"
    assert await page.title() == title
    assert await page.locator("#player a[href], .transcript a, #player img").count() == 0
    assert trouble == []


async def test_a_flood_of_questions_is_not_answered_without_end(server, cast, agent, session, browser, client_for):
    (agent.folder / "flood").write_text(f"{ESC}[6n" * 5000)
    page, _ = await opened(browser, server, await client_for(cast.alice))
    await page.goto(f"{server.url}/sessions/{session.id}")
    await page.wait_for_selector('#link-state[data-tone="ok"]')
    await page.locator(".xterm-helper-textarea").focus()
    await page.keyboard.type("cat ~/flood; echo aft''erwards\n")

    async def shows(text):
        return text in await screen(page)

    await until(lambda: shows("afterwards"))
    room = server.services.remote.sessions._rooms.get(session.id)
    typed = room.typed.end
    assert len("cat ~/flood; echo aft''erwards\n") < typed, "shells that ask where the cursor is get an answer"
    assert typed < 5000, "a thousandth of what was asked for"


async def test_search_jump_speed_and_keyboard(server, cast, session, page_of, browser, client_for):
    remote = server.services.remote
    alice, bruno = await page_of(cast.alice, session), None
    await alice.type("echo premier-mo''t\r")
    await alice.see("premier-mot")
    await remote.sessions.invite(cast.alice, session.id, cast.bruno.id)
    bruno = await page_of(cast.bruno, session, viewer="b" * 16)
    await remote.sessions.hand_over(cast.alice, session.id, cast.bruno.id)
    await bruno.type("sleep 3; echo second-mo''t; sleep 3; echo second-mo''t fin\r")
    await bruno.see("second-mot fin")
    await remote.sessions.end(session.id, EndReason.MEMBER)
    page, trouble = await opened(browser, server, await client_for(cast.chloe))
    await page.goto(f"{server.url}/recordings/{session.id}")
    await page.wait_for_selector(".ap-wrapper")
    held = await page.locator("#recording-keyboard [data-second]").all_inner_texts()
    assert [cast.alice.name in held[0], cast.bruno.name in held[1], len(held)] == [True, True, 2]
    await page.fill("#transcript-q", "SECOND-mot")
    count = page.locator("#find-count")
    await holds(page, "document.querySelectorAll('#transcript mark').length === 2")
    await page.press("#transcript-q", "Enter")
    await holds(page, "document.querySelector('#player').innerText.includes('second-mot')")
    assert "fin\n" not in await page.inner_text("#player"), "it stands at the first hit"
    assert "1" in await count.inner_text()
    await page.press("#transcript-q", "Enter")
    await holds(page, "document.querySelector('#player').innerText.includes('second-mot fin')")
    await page.click("#find-previous")
    await holds(page, "!document.querySelector('#player').innerText.includes('second-mot fin')")
    await page.fill("#transcript-q", "jamais vu")
    await holds(page, "document.querySelector('#find-count').textContent.trim() === 'Rien trouvé'")
    before = await page.inner_text("#replay-now")
    await page.select_option("#replay-speed", "16")
    await holds(page, "compagnonPlayer.getCurrentTime() > 0")
    same = "(before) => document.querySelector('#replay-now').innerText === before"
    await holds(page, same, arg=before)  # another speed, the same moment
    await page.uncheck("#replay-idle")
    await holds(page, f"document.querySelector('#replay-now').textContent === {before!r}")
    await page.click("#recording-keyboard [data-second] >> nth=0")
    await holds(page, "document.querySelector('#replay-now').textContent === '00:00'")
    assert trouble == []
