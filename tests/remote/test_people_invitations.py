"""Invitations hold for the visit, experts are suggested, the keyboard is passed on, and people point."""

import json
import time

import pytest
from remote_parts import screen, signed_in, until

from compagnon.errors import Conflict, Forbidden


@pytest.fixture
def sessions(server):
    return server.services.remote.sessions


async def test_an_invitation_holds_for_every_session_of_the_visit(server, cast, agent, ticket, session, sessions):
    await sessions.invite(cast.alice, session.id, cast.bruno.id)
    second = await sessions.open(agent.machine_id, ticket, "Une autre", cast.alice)
    assert await sessions.may_enter(await sessions.get(second.id), cast.bruno)
    assert not await sessions.may_enter(await sessions.get(second.id), cast.david)
    (invitation,) = await sessions.invitations(cast.bruno)
    assert (invitation.invited_by, invitation.here) == (cast.alice.name, False)
    assert await sessions.invitations(cast.david) == []


async def test_the_invited_sees_it_everywhere_until_they_came(server, cast, session, sessions, client_for, page_of):
    bruno = await client_for(cast.bruno)
    assert "/sessions/" not in (await bruno.get("/sessions/invited")).text
    await sessions.invite(cast.alice, session.id, cast.bruno.id)
    corner = (await bruno.get("/sessions/invited")).text
    assert f'href="/sessions/{session.id}"' in corner
    assert "Rejoindre" in corner
    assert "Vous êtes invité" in (await bruno.get("/")).text
    assert (await bruno.get(f"/sessions/{session.id}")).status_code == 200, "one click"
    await page_of(cast.bruno, session, viewer="b" * 16)
    await until(lambda: _quiet(bruno, session))
    side = (await (await client_for(cast.alice)).get(f"/sessions/{session.id}/side")).text
    assert cast.bruno.name in side


async def _quiet(bruno, session):
    return session.id not in (await bruno.get("/sessions/invited")).text


async def test_experts_are_suggested_with_their_reasons_and_invited_in_one_click(
    server, cast, ticket, session, sessions, client_for
):
    async with server.services.kernel.db.transaction() as conn:
        await conn.execute("UPDATE tickets SET skill = 'impression' WHERE id = %s", [ticket])
    (found,) = await sessions.suggested(session, cast.alice)
    assert (found.member_id, found.available) == (cast.bruno.id, True)
    assert found.why
    alice = await client_for(cast.alice)
    side = (await alice.get(f"/sessions/{session.id}/side")).text
    assert 'id="suggested"' in side
    answer = await alice.post(f"/sessions/{session.id}/invite", data={"member_id": cast.bruno.id})
    assert answer.status_code == 303
    assert await sessions.suggested(session, cast.alice) == [], "who is invited is suggested no more"
    with pytest.raises(Forbidden):
        await sessions.invite(cast.david, session.id, cast.chloe.id)


async def test_pointing_is_seen_by_the_others_and_can_be_taken_away(server, cast, session, sessions, page_of):
    await sessions.invite(cast.alice, session.id, cast.bruno.id)
    alice = await page_of(cast.alice, session)
    bruno = await page_of(cast.bruno, session, viewer="b" * 16)
    await bruno.socket.send(json.dumps({"type": "point", "column": 4, "line": 2}))
    await until(lambda: alice.last("point"))
    seen = alice.last("point")
    assert {name: seen[name] for name in ("name", "column", "line")} == {
        "name": cast.bruno.name, "column": 4, "line": 2,
    }  # fmt: skip
    assert bruno.last("point") is None, "not to who points"
    with pytest.raises(Forbidden):
        await sessions.may_point(cast.bruno, session.id, cast.alice.id, allowed=False)
    await sessions.may_point(cast.alice, session.id, cast.bruno.id, allowed=False)
    with pytest.raises(Conflict):
        await sessions.may_point(cast.alice, session.id, cast.bruno.id, allowed=False)
    before = len([note for note in alice.notes if note["type"] == "point"])
    await bruno.socket.send(json.dumps({"type": "point", "column": 9, "line": 9}))
    await bruno.socket.send(json.dumps({"type": "ping"}))
    await until(lambda: bruno.last("pong"))
    assert len([note for note in alice.notes if note["type"] == "point"]) == before
    room = sessions._rooms.get(session.id)
    assert room.typed.end == 0


@pytest.mark.parametrize("place", [{}, {"column": 1}, {"column": -1, "line": 0}, {"column": True, "line": 0},
                                   {"column": 1, "line": 10**9}, {"column": "1", "line": 1},
                                   {"column": 1, "line": 1, "to_line": 3}])  # fmt: skip
async def test_a_place_that_is_none_closes_the_page_that_says_it(server, cast, session, page_of, place):
    page = await page_of(cast.alice, session)
    await page.socket.send(json.dumps({"type": "point", **place}))
    await until(lambda: page.socket.close_code == 4000)


async def test_a_flood_of_pointing_neither_types_nor_cuts_off_a_slow_page(server, cast, session, sessions, page_of):
    await sessions.invite(cast.alice, session.id, cast.bruno.id)
    alice = await page_of(cast.alice, session)
    bruno = await page_of(cast.bruno, session, viewer="b" * 16)
    for number in range(3000):
        await bruno.socket.send(json.dumps({"type": "point", "column": number % 80, "line": 1}))
    await alice.type("echo to''ujours\r")
    await alice.see("toujours")
    assert len([note for note in alice.notes if note["type"] == "point"]) < 300
    assert alice.socket.close_code is None


@pytest.mark.browser
async def test_two_browsers_point_ask_and_pass_the_keyboard(server, cast, session, sessions, browser, client_for):
    await sessions.invite(cast.alice, session.id, cast.bruno.id)
    alice, _ = await signed_in(browser, server, await client_for(cast.alice))
    await alice.goto(f"{server.url}/sessions/{session.id}")
    await alice.wait_for_selector('#link-state[data-tone="ok"]')
    await alice.locator(".xterm-helper-textarea").focus()
    await alice.keyboard.type("echo avant''hier\n")

    async def shows(page, text):
        return text in await screen(page)

    await until(lambda: shows(alice, "avanthier"))
    bruno, trouble = await signed_in(browser, server, await client_for(cast.bruno))
    began = time.perf_counter()
    await bruno.goto(f"{server.url}/sessions/{session.id}")
    await bruno.wait_for_selector('#link-state[data-tone="ok"]')
    await until(lambda: shows(bruno, "avanthier"))
    print(f"\nthe invited sees the scrollback after {1000 * (time.perf_counter() - began):.0f} ms")
    await bruno.click("#point")
    box = await bruno.locator(".xterm-screen").bounding_box()
    await bruno.mouse.move(box["x"] + 60, box["y"] + 40)
    await bruno.mouse.move(box["x"] + 90, box["y"] + 44)
    await alice.wait_for_selector(".point-light .point-name")
    assert await alice.inner_text(".point-light .point-name") == cast.bruno.name
    await bruno.keyboard.press("Control+Shift+K")
    await alice.wait_for_selector("[data-asks]")
    await alice.keyboard.press("Control+Shift+K")

    async def passed():
        return (await sessions.get(session.id)).driver_id == cast.bruno.id

    await until(passed)
    await until(lambda: bruno.locator("#driver-state").inner_text())
    await bruno.locator(".xterm-helper-textarea").focus()
    await bruno.keyboard.type("echo de''bruno\n")
    await until(lambda: shows(alice, "debruno"))
    await bruno.close()
    await alice.wait_for_selector("#take-keyboard:not([hidden])")
    await alice.keyboard.press("Control+Shift+K")

    async def taken():
        return (await sessions.get(session.id)).driver_id == cast.alice.id

    await until(taken)
    assert trouble == []
