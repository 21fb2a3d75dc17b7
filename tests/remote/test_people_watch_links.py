"""A client watches one session by link: read only, for a time, taken back, written down, and strictly nothing else."""

import asyncio
import contextlib
import json
import re

import httpx
import pytest
from remote_parts import Watcher, until
from websockets.exceptions import ConnectionClosed, InvalidStatus

from compagnon.errors import Conflict, Forbidden, Invalid, TooMany
from compagnon_agent.protocol import frames
from remote.sessions import watching as watching_module
from remote.sessions.model import EndReason
from remote.sessions.watching import Tries, Watching


@pytest.fixture
def links(server):
    remote = server.services.remote
    return Watching(server.services.kernel, remote.sessions, remote.sessions._rooms)


@pytest.fixture
async def watch(server, links, cast, session):
    """``await watch()``: a client who opened a fresh link."""
    made = []

    async def opened(minutes=60):
        address = await links.make(cast.alice, session.id, minutes)
        base, _, secret = address.partition("#")
        assert base == f"{server.url}/watch/{session.id}"
        made.append(Watcher(server.url, session.id, secret))
        await made[-1].open()
        return made[-1]

    yield opened
    for one in made:
        await one.close()


async def audited(server, session_id):
    async with server.services.kernel.db.connection() as conn:
        query = "SELECT action, actor, details FROM audit_log WHERE subject = %s AND action LIKE 'session.link%%'"
        rows = await conn.execute(f"{query} ORDER BY seq", [f"session:{session_id}"])
        return await rows.fetchall()


async def test_the_client_sees_the_terminal_live_and_who_is_there(server, cast, session, page_of, watch):
    alice = await page_of(cast.alice, session)
    await alice.type("echo av''ant\r")
    await alice.see("avant")
    client = await watch()
    await until(lambda: b"avant" in client.output, what="what was there before")
    await alice.type("echo en''suite\r")
    await until(lambda: b"ensuite" in client.output, what="and what comes")
    assert {one["name"] for one in client.last("people")["people"]} >= {cast.alice.name}
    assert "typed" not in client.last("welcome")
    assert any(one["id"] == 0 for one in alice.last("people")["people"]), "the members see that the client watches"
    records = await audited(server, session.id)
    assert [action for action, _, _ in records] == ["session.link_made", "session.link_opened"]
    assert (records[1][1], records[1][2]["address"]) == ("anonymous", "127.0.0.1")
    await client.close()

    async def left():
        return (await audited(server, session.id))[-1][0] == "session.link_left"

    await until(left)


@pytest.mark.parametrize(
    "attack",
    [
        frames.data(b"touch HACKED\r", 0).encode(),
        frames.resize(200, 50).encode(),
        frames.signal("INT").encode(),
        frames.close("member").encode(),
        b"\xff" * 40,
        json.dumps({"type": "ask"}),
        json.dumps({"type": "point", "column": 1, "line": 1}),
        json.dumps({"type": "hand-over", "to": 0}),
        json.dumps([1]),
        "x" * 5000,
    ],
)
async def test_nothing_but_watching(server, cast, session, page_of, watch, attack):
    alice = await page_of(cast.alice, session)
    client = await watch()
    await until(lambda: client.last("welcome"))
    room = server.services.remote.sessions._rooms.get(session.id)
    with contextlib.suppress(ConnectionClosed):
        await client.socket.send(attack)
    await until(lambda: client.closed is not None, what="it is cut off")
    assert (room.typed.end, room.stream.written) == (0, 0)
    assert alice.last("asks") is None
    assert alice.last("point") is None
    assert (await server.services.remote.sessions.get(session.id)).live


async def test_stop_ends_the_session_for_everybody(server, cast, session, page_of, watch):
    alice = await page_of(cast.alice, session)
    client = await watch()
    await until(lambda: client.last("welcome"))
    await client.socket.send(json.dumps({"type": "stop"}))
    await until(lambda: alice.last("ended"))
    assert (await server.services.remote.sessions.get(session.id)).end_reason is EndReason.CLIENT
    assert "session.link_stopped" in [action for action, _, _ in await audited(server, session.id)]


async def test_taken_back_it_opens_nothing_and_whoever_watches_is_out(server, cast, session, links, watch):
    client = await watch()
    await until(lambda: client.last("welcome"))
    (link,) = await server.services.remote.sessions.links(session.id)
    await links.revoke(cast.alice, session.id, link.id)
    await until(lambda: client.closed is not None, what="out within seconds")
    again = Watcher(server.url, session.id, client.secret)
    await again.open()
    await until(lambda: again.closed is not None)
    assert again.last("refused")
    assert not again.output
    with pytest.raises(Conflict):
        await links.revoke(cast.alice, session.id, link.id)


async def test_expired_of_another_session_wrong_or_after_the_end_it_opens_nothing(server, cast, session, links, watch):
    client = await watch()
    await until(lambda: client.last("welcome"))
    secret = client.secret
    refused = []
    for session_id, tried in [
        (session.id, "x" * 43),
        (session.id, ""),
        (session.id, secret[:-1]),
        (session.id, {"a": 1}),
        ("0" * 32, secret),
    ]:
        one = Watcher(server.url, session_id, tried)
        await one.open()
        await until(lambda one=one: one.closed is not None)
        refused.append(one.last("welcome") is None and not one.output)
    assert all(refused)
    async with server.services.kernel.db.transaction() as conn:
        await conn.execute(
            "UPDATE watch_links SET created_at = now() - '2 h'::interval, expires_at = now() - '1 s'::interval"
        )
    await until(lambda: client.closed is not None, what="an expired link lets out who came by it")
    fresh = await links.make(cast.alice, session.id, 30)
    await server.services.remote.sessions.end(session.id, EndReason.MEMBER)
    late = Watcher(server.url, session.id, fresh.partition("#")[2])
    await late.open()
    await until(lambda: late.closed is not None)
    assert late.last("refused")


async def test_who_may_make_one_and_how_many(server, cast, session, links):
    with pytest.raises(Forbidden):
        await links.make(cast.david, session.id, 60)
    for minutes in (0, 4, 481):
        with pytest.raises(Invalid):
            await links.make(cast.alice, session.id, minutes)
    addresses = [await links.make(cast.alice, session.id, 60) for _ in range(watching_module.LINKS)]
    assert len({address.partition("#")[2] for address in addresses}) == watching_module.LINKS
    assert all(len(address.partition("#")[2]) == 43 for address in addresses)
    with pytest.raises(Conflict):
        await links.make(cast.alice, session.id, 60)
    async with server.services.kernel.db.connection() as conn:
        kept = str(await (await conn.execute("SELECT * FROM watch_links")).fetchall())
        told = str(await (await conn.execute("SELECT details::text FROM audit_log")).fetchall())
    for address in addresses:
        assert address.partition("#")[2] not in kept + told, "the secret is kept nowhere"


def test_an_address_that_tries_too_often_waits():
    tries = Tries()
    for _ in range(watching_module.TRIES):
        tries.note("192.0.2.1")
    with pytest.raises(TooMany):
        tries.note("192.0.2.1")
    tries.note("192.0.2.2")
    for number in range(watching_module.ADDRESSES + 10):
        tries.note(f"a{number}")
    assert len(tries._at) <= watching_module.ADDRESSES


async def test_the_page_tells_nothing_and_is_not_indexed(server, cast, session, client_for):
    async with httpx.AsyncClient(base_url=server.url) as nobody:
        page = await nobody.get(f"/watch/{session.id}")
        unknown = await nobody.get(f"/watch/{'0' * 32}")
        assert page.status_code == unknown.status_code == 200
        assert page.headers["x-robots-tag"].startswith("noindex")
        assert page.headers["cache-control"] == "no-store"
        assert 'content="no-referrer"' in page.text
        for word in ("Accueil", "Boulangerie", cast.alice.name, "/tickets", "/machines"):
            assert word not in page.text
        for path in (f"/sessions/{session.id}", f"/recordings/{session.id}", f"/sessions/{session.id}/side"):
            assert (await nobody.get(path)).status_code in (302, 303, 307, 401), path
    with pytest.raises(InvalidStatus):
        await Watcher(server.url, session.id, "x" * 43).open(origin="https://mal.example")
    alice = await client_for(cast.alice)
    made = await alice.post(f"/sessions/{session.id}/links", data={"minutes": "60"})
    address = re.search(r'value="([^"]+/watch/[^"]+)"', made.text)[1]
    assert made.headers["cache-control"] == "no-store"
    side = (await alice.get(f"/sessions/{session.id}/side")).text
    assert "watch-links" in side
    assert address.partition("#")[2] not in side


@pytest.mark.browser
async def test_in_a_real_browser_without_signing_in(server, cast, session, links, page_of, browser):
    alice = await page_of(cast.alice, session)
    await alice.type("echo bon''jour\r")
    await alice.see("bonjour")
    context = await browser.new_context()
    page = await context.new_page()
    requests = []
    page.on("request", lambda request: requests.append((request.url, request.headers.get("referer", ""))))
    address = await links.make(cast.alice, session.id, 60)
    await page.goto(address)
    await page.wait_for_selector('#link-state[data-tone="ok"]')

    async def seen():
        text = await page.evaluate(
            "() => { const b = compagnonTerminal.buffer.active; let t = '';"
            " for (let i = 0; i < b.length; i++) t += b.getLine(i).translateToString(true); return t; }"
        )
        return "bonjour" in text

    await until(seen)
    assert cast.alice.name in await page.inner_text("#watch-people")
    secret = address.partition("#")[2]
    assert not any(secret in url or secret in referer for url, referer in requests)
    await page.locator(".xterm-screen").click()
    await page.keyboard.type("rm -rf x\n")
    await asyncio.sleep(0.3)
    assert server.services.remote.sessions._rooms.get(session.id).stream.written == len(alice.typed)
    page.on("dialog", lambda dialog: asyncio.ensure_future(dialog.accept()))
    await page.click("#watch-stop")
    await page.wait_for_selector('#link-state[data-tone="off"]')
    assert not (await server.services.remote.sessions.get(session.id)).live
    await context.close()
