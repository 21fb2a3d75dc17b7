"""A chat with the person at a machine, through the whole path: pages, the server, a real agent, a real window."""

from __future__ import annotations

import asyncio
import json

import psutil
import psycopg
import pytest
from remote_parts import is_open, signed_in, until
from xvfb_parts import display, type_into

from compagnon.errors import Invalid
from remote.sessions.model import EndReason

TITLE = "crire avec le technicien"
HOSTILE = "<script>alert(1)</script>\x1b]0;title\x07 \u202egpj.exe"


@pytest.fixture
def desktop():
    with display() as name:
        yield name


@pytest.fixture
def agents(agents, desktop):
    """The agents of these tests have a desktop."""

    def make():
        made = agents()
        made.extra["DISPLAY"] = desktop
        return made

    return make


@pytest.fixture
async def chat(server, cast, agent, ticket):
    opened = await server.services.remote.sessions.open(
        agent.machine_id, ticket, "Vous écrire", cast.alice, capability="chat"
    )
    await until(lambda: is_open(server, opened.id), what="the session is open")
    return await server.services.remote.sessions.get(opened.id)


@pytest.fixture
def chats(server):
    return server.services.remote.called.chats


async def bodies(chats, chat, member):
    return [line.body for line in await chats.lines(chat.id, member)]


async def shown(chats, chat, member):
    return all(line.shown_at or not line.member_id for line in await chats.lines(chat.id, member))


async def test_both_sides_write_and_the_ticket_keeps_it(server, cast, chats, chat, ticket, desktop, page_of):
    page = await page_of(cast.alice, chat)
    await chats.say(chat.id, cast.alice, "Bonjour, que voyez-vous ?", key="1")
    await until(lambda: shown(chats, chat, cast.alice), what="the line is on the screen")
    await type_into(desktop, TITLE, "une erreur rouge")

    async def answered():
        return "une erreur rouge" in await bodies(chats, chat, cast.alice)

    await until(answered, what="the answer")
    await until(lambda: page.last("chat"), what="the page was told")
    assert await bodies(chats, chat, cast.alice) == ["Bonjour, que voyez-vous ?", "une erreur rouge"]
    await server.services.remote.sessions.end(chat.id, EndReason.MEMBER)
    story = await server.services.tickets.stories.of(ticket)
    kept = next(item.data for item in story.items if item.kind == "chat")
    assert [line.body for line in kept.lines] == ["Bonjour, que voyez-vous ?", "une erreur rouge"]
    text = await server.services.remote.recordings.transcript(chat.id)
    assert "que voyez-vous" in text
    assert "une erreur rouge" in text


async def test_a_line_that_is_sent_twice_is_said_once(server, cast, agent, chats, chat, client_for):
    alice = await client_for(cast.alice)
    for _ in range(3):
        answer = await alice.post(f"/sessions/{chat.id}/chat", data={"text": "Une fois", "key": "k"})
        assert answer.status_code == 303, answer.text
    await until(lambda: shown(chats, chat, cast.alice))
    lines = [json.loads(line) for line in (agent.folder / "audit.jsonl").read_text().splitlines()]
    assert sum("chat.say" in json.dumps(line) for line in lines) == 1
    assert await bodies(chats, chat, cast.alice) == ["Une fois"]


async def test_hostile_lines_stay_text(server, cast, chats, chat, desktop, client_for):
    await chats.say(chat.id, cast.alice, HOSTILE, key="1")
    alice = await client_for(cast.alice)
    text = (await alice.get(f"/sessions/{chat.id}/chat")).text
    assert "<script>" not in text
    assert "\u202e" not in text
    assert "\x1b" not in text
    assert "&lt;script&gt;" in text
    for wrong in ("", "   ", "\u202e\x07", "x" * 2001):
        with pytest.raises(Invalid):
            await chats.say(chat.id, cast.alice, wrong, key="2")
    assert (await alice.post(f"/sessions/{chat.id}/chat", data={"text": "x" * 2001, "key": "3"})).status_code == 422
    assert len(await bodies(chats, chat, cast.alice)) == 1


async def test_guests_write_too_and_strangers_do_not(server, cast, chats, chat, client_for):
    await server.services.remote.sessions.invite(cast.alice, chat.id, cast.bruno.id)
    await chats.say(chat.id, cast.bruno, "C'est Bruno", key="1")
    assert [line.name for line in await chats.lines(chat.id, cast.alice)] == [cast.bruno.name]
    chloe = await client_for(cast.chloe)
    assert (await chloe.get(f"/sessions/{chat.id}/chat")).status_code == 403
    assert (await chloe.post(f"/sessions/{chat.id}/chat", data={"text": "x", "key": "1"})).status_code == 403


async def test_what_the_person_writes_while_the_database_is_away_is_kept_once(
    server, cast, chats, chat, desktop, monkeypatch
):
    await chats.say(chat.id, cast.alice, "Allô ?", key="1")
    await until(lambda: shown(chats, chat, cast.alice))
    real, refused = chats._db.transaction, []

    def away():
        refused.append(True)
        raise psycopg.OperationalError("away")

    monkeypatch.setattr(chats._db, "transaction", away)
    await type_into(desktop, TITLE, "je suis la")
    await until(lambda: len(refused) >= 2, what="it was said again")
    monkeypatch.setattr(chats._db, "transaction", real)

    async def there():
        return "je suis la" in await bodies(chats, chat, cast.alice)

    await until(there)
    await asyncio.sleep(0.5)
    assert await bodies(chats, chat, cast.alice) == ["Allô ?", "je suis la"]


async def test_a_closed_window_comes_back_with_everything(server, cast, agent, chats, chat, desktop, page_of):
    page = await page_of(cast.alice, chat)
    await chats.say(chat.id, cast.alice, "Un", key="1")
    await until(lambda: shown(chats, chat, cast.alice))
    [window] = [
        one for one in psutil.Process(agent.process.pid).children() if "compagnon_agent.chat_window" in one.cmdline()
    ]
    window.terminate()
    await until(lambda: page.last("window") and page.last("window")["window"] is False, what="it is told")
    await chats.say(chat.id, cast.alice, "Deux", key="2")
    await until(lambda: page.last("window")["window"] is True, what="it is opened again")
    await until(lambda: shown(chats, chat, cast.alice))
    await type_into(desktop, TITLE, "encore")

    async def there():
        return "encore" in await bodies(chats, chat, cast.alice)

    await until(there)


@pytest.mark.browser
async def test_the_page_writes_reads_and_shows_who_is_writing(server, cast, chats, chat, desktop, client_for, browser):
    page, trouble = await signed_in(browser, server, await client_for(cast.alice))
    await page.goto(f"{server.url}/sessions/{chat.id}")
    await page.fill("#chat-text", "Bonjour")
    await page.keyboard.press("Enter")
    await page.wait_for_selector(".chat-line.is-mine >> text=Bonjour")
    await type_into(desktop, TITLE, "oui")
    await page.wait_for_selector(".chat-line.is-client >> text=oui")
    assert await page.input_value("#chat-text") == ""
    assert trouble == []
