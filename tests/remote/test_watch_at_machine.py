"""The person at the machine opens their own session on a phone, from the banner: nobody dictates an address."""

from __future__ import annotations

import asyncio
import json
import uuid
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from remote_parts import Ear, Watcher, soon
from xvfb_parts import click, clipboard

from compagnon.errors import Conflict, NotFound, TooMany
from compagnon_agent.protocol import messages
from compagnon_agent.protocol.messages import WatchProblem, WatchRequest
from remote.control.connection import AgentConnection, Proof
from remote.sessions import watching as watching_module
from remote.sessions.model import EndReason
from remote.sessions.watching import CODE, SIGNS, Watching, new_code, written


@pytest.fixture
def links(server):
    remote = server.services.remote
    return Watching(server.services.kernel, remote.sessions, remote.sessions._rooms)


@pytest.fixture
async def machine(server, agent):
    return await server.services.remote.machines.get(agent.machine_id)


async def audited(server, session_id):
    query = "SELECT action, actor FROM audit_log WHERE subject = %s AND action LIKE 'session.link%%' ORDER BY seq"
    async with server.services.kernel.db.connection() as conn:
        return await (await conn.execute(query, [f"session:{session_id}"])).fetchall()


async def opened(server, session, address):
    """The path of a phone: the address is typed, its code is sent, and leads to the page that watches."""
    base, _, code = address.partition("#")
    assert base == f"{server.url}/w"
    async with httpx.AsyncClient(base_url=server.url) as phone:
        page = await phone.get("/w")
        assert (page.status_code, page.headers["x-robots-tag"][:7]) == (200, "noindex")
        assert session.machine_name not in page.text
        answer = await phone.post("/w", data={"code": code})
    assert answer.status_code == 303, answer.text
    path, _, secret = answer.headers["location"].partition("#")
    assert path == f"/watch/{session.id}"
    watcher = Watcher(server.url, session.id, secret)
    await watcher.open()
    return watcher


class TestOnAScreen:
    @pytest.fixture
    def surroundings(self, screen_name):
        return {"DISPLAY": screen_name}

    async def test_pressed_in_the_banner_it_is_shown_copied_and_opens(
        self, server, cast, agent, session, page_of, screen_name, client_for
    ):
        alice = await page_of(cast.alice, session)
        await alice.type("echo bon''jour\r")
        await alice.see("bonjour")
        await click(screen_name, "^Compagnon$", 190, 25)
        remote = server.services.remote
        await soon(lambda: remote.sessions.links(session.id), what="a link is made")
        (link,) = await remote.sessions.links(session.id)
        assert link.created_by is None
        await click(screen_name, "^Compagnon$", 57, 86)
        address = await clipboard(screen_name)
        watcher = await opened(server, session, address)
        await soon(lambda: b"bonjour" in watcher.output, what="the phone shows the terminal")
        side = (await (await client_for(cast.alice)).get(f"/sessions/{session.id}/side")).text
        assert "demandé sur la machine" in side
        assert address.partition("#")[2] not in side
        record = (agent.folder / "audit.jsonl").read_text()
        assert '"session.watch"' in record
        assert '"session.watch_link"' in record
        assert address.partition("#")[2] not in record
        assert await audited(server, session.id) == [
            ("session.link_made", f"agent:{agent.machine_id}"),
            ("session.link_opened", "anonymous"),
        ]
        await click(screen_name, "^Compagnon$", 190, 127)  # hides it
        await click(screen_name, "^Compagnon$", 190, 25)  # the same address again: nobody is thrown out
        await asyncio.sleep(1)
        assert [one.id for one in await remote.sessions.links(session.id)] == [link.id]
        await watcher.socket.send(json.dumps({"type": "stop"}))
        await soon(lambda: alice.last("ended"), what="the client's Stop ends it from the phone too")
        await watcher.close()


async def test_a_code_is_read_however_it_is_typed_and_opens_nothing_else(server, links, machine, session):
    address, seconds = await links.make_at_machine(machine, session.id)
    code = address.partition("#")[2]
    assert len(code.replace("-", "")) == CODE
    assert 0 < seconds <= 8 * 3600
    plain = code.replace("-", "")
    for typed in (code, plain, plain.upper(), f" {code.upper()} ", " ".join(plain)):
        assert await links.find(typed, "192.0.2.1") == f"/watch/{session.id}#{plain}"
    for wrong in ("", plain[:-1], plain + "a", "0" * CODE, "é" * CODE, new_code(), "x" * 43, "x" * 500):
        with pytest.raises(NotFound):
            await links.find(wrong, "192.0.2.2")


async def test_the_page_refuses_in_words_and_too_many_tries(server, session):
    async with httpx.AsyncClient(base_url=server.url, headers={"Accept-Language": "fr"}) as phone:
        empty = await phone.post("/w", data={})
        assert empty.status_code == 422
        wrong = await phone.post("/w", data={"code": written(new_code())})
        assert wrong.status_code == 404
        assert "n'ouvre rien" in wrong.text.replace("&#39;", "'")
        for _ in range(watching_module.TRIES):
            last = await phone.post("/w", data={"code": written(new_code())})
        assert last.status_code == 429
        assert "attendez une minute" in last.text


async def test_a_new_one_takes_the_place_of_the_one_before_and_leaves_the_members_alone(
    server, cast, links, machine, session
):
    await links.make(cast.alice, session.id, 60)
    first, _ = await links.make_at_machine(machine, session.id)
    watcher = await opened(server, session, first)
    await soon(lambda: watcher.last("welcome"))
    second, _ = await links.make_at_machine(machine, session.id)
    await soon(lambda: watcher.closed is not None, what="who came by the first is out")
    with pytest.raises(NotFound):
        await links.find(first.partition("#")[2], "192.0.2.1")
    assert await links.find(second.partition("#")[2], "192.0.2.1")
    assert [link.created_by for link in await server.services.remote.sessions.links(session.id)] == [
        cast.alice.name,
        None,
    ]


async def test_it_ends_with_the_session_and_with_the_consent(server, links, machine, session):
    address, _ = await links.make_at_machine(machine, session.id)
    async with server.services.kernel.db.transaction() as conn:
        past = datetime.now(UTC) - timedelta(seconds=1)
        await conn.execute("UPDATE remote_sessions SET granted_until = %s", [past])
    with pytest.raises(Conflict):
        await links.make_at_machine(machine, session.id)
    await server.services.remote.sessions.end(session.id, EndReason.MEMBER)
    with pytest.raises(NotFound):
        await links.find(address.partition("#")[2], "192.0.2.1")
    async with server.services.kernel.db.connection() as conn:
        query = "SELECT count(*) FROM watch_links WHERE revoked_at IS NULL"
        assert (await (await conn.execute(query)).fetchone())[0] == 0, "taken back for good"
    with pytest.raises(Conflict):
        await links.make_at_machine(machine, session.id)


# -- what a hostile agent may ask for


async def answer_to(server, connection, session_id):
    request = WatchRequest(request_id=str(uuid.uuid4()), session_id=session_id)
    await server.services.remote.link.received(connection, request)

    def answers():
        told = [messages.decode(text) for text in connection.wire.heard if text]
        return [one for one in told if getattr(one, "request_id", "") == request.request_id]

    await soon(answers, what="an answer, whatever it is")
    return answers()[0]


async def test_another_machines_session_an_ended_one_and_none(server, session, intruder):
    for session_id in (session.id, "0" * 32):
        answer = await answer_to(server, intruder, session_id)
        assert (answer.problem, answer.address) == (WatchProblem.OVER, "")
    assert await audited(server, session.id) == []
    assert await server.services.remote.sessions.links(session.id) == []


async def test_a_session_that_is_no_terminal(server, cast, agent, ticket, links, machine):
    sessions = server.services.remote.sessions
    asked = await sessions.open(agent.machine_id, ticket, "Voir les journaux", cast.alice, capability="logs")

    async def is_open():
        return (await sessions.get(asked.id)).state.value == "open"

    await soon(is_open)
    with pytest.raises(Conflict):
        await links.make_at_machine(machine, asked.id)


async def test_a_flood_is_refused_without_a_word_in_the_audit_log(server, agent, machine, session):
    connection = AgentConnection(Ear(), machine, Proof("control", machine.id, bytes(32), bytes(32)))
    link = server.services.remote.link
    real, link._connections[machine.id] = link.connections[machine.id], connection
    try:
        found = [(await answer_to(server, connection, session.id)).problem for _ in range(30)]
    finally:
        link._connections[machine.id] = real
    assert found == [WatchProblem.NONE] * watching_module.MACHINE_TRIES + [WatchProblem.OFTEN] * (
        30 - watching_module.MACHINE_TRIES
    )
    assert len(await audited(server, session.id)) == watching_module.MACHINE_TRIES
    assert len(await server.services.remote.sessions.links(session.id)) == 1


async def test_many_at_once_leave_one_link(server, links, machine, session, monkeypatch):
    monkeypatch.setattr(links, "_machine_tries", watching_module.Tries(100))
    await asyncio.gather(*(links.make_at_machine(machine, session.id) for _ in range(8)))
    assert len(await server.services.remote.sessions.links(session.id)) == 1


async def test_no_link_is_made_while_the_session_ends(server, links, machine, session):
    """Whichever is first, nothing opens afterwards."""
    await asyncio.gather(
        links.make_at_machine(machine, session.id),
        server.services.remote.sessions.end(session.id, EndReason.MEMBER),
        return_exceptions=True,
    )
    async with server.services.kernel.db.connection() as conn:
        query = "SELECT count(*) FROM watch_links WHERE revoked_at IS NULL"
        assert (await (await conn.execute(query)).fetchone())[0] == 0


async def test_an_agent_that_floods_is_slowed_for_itself_alone(links, machine, session, intruder):
    for _ in range(watching_module.MACHINE_TRIES):
        with pytest.raises(NotFound):
            await links.make_at_machine(intruder.machine, session.id)
    with pytest.raises(TooMany):
        await links.make_at_machine(intruder.machine, session.id)
    assert await links.make_at_machine(machine, session.id)


def test_codes_can_be_told_apart():
    assert len(set(SIGNS)) == len(SIGNS) == 30
    assert not set("01ilou") & set(SIGNS)
    assert len({new_code() for _ in range(1000)}) == 1000
    assert written("abcdefghjkmn") == "abcd-efgh-jkmn"


@pytest.mark.browser
async def test_in_a_real_browser_the_address_alone_is_enough(server, links, machine, session, browser):
    address, _ = await links.make_at_machine(machine, session.id)
    context = await browser.new_context(viewport={"width": 390, "height": 844}, is_mobile=True)
    page = await context.new_page()
    trouble, requests = [], []
    page.on("console", lambda message: trouble.append(message.text) if message.type == "error" else None)
    page.on("request", lambda request: requests.append((request.url, request.headers.get("referer", ""))))
    await page.goto(address)
    await page.wait_for_selector('#link-state[data-tone="ok"]')
    assert page.url.startswith(f"{server.url}/watch/{session.id}#")
    assert await page.evaluate("document.documentElement.scrollWidth") <= 390
    code = address.partition("#")[2].replace("-", "")
    assert not any(code in url or code in referer for url, referer in requests)
    await page.goto(f"{server.url}/w")
    await page.fill("#f-code", address.partition("#")[2].upper())
    await page.click("button.btn-primary")
    await page.wait_for_selector('#link-state[data-tone="ok"]')
    assert trouble == []
    await context.close()
