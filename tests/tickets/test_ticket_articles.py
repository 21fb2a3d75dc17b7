"""From a ticket to an article, and the articles that a ticket names."""

from __future__ import annotations

import asyncio
import re
import uuid
from dataclasses import replace

import pytest

from compagnon.audit import Actor
from compagnon.directory.model import ClientKind
from kb.articles.model import Content
from tickets.desk.model import NewTicket, State, Visibility

SYMPTOM = "Rien ne sort, le voyant clignote. <script>alert(1)</script>"


@pytest.fixture
async def ticket(server, cast):
    client = await server.services.kernel.directory.add_client(
        kind=ClientKind.COMPANY, name="Menuiserie Le Goff", actor=Actor.system(), phones=("02 61 91 00 01",)
    )
    desk = server.services.tickets.desk
    new = NewTicket(client_id=client.id, title="Rien ne s'imprime", symptom=SYMPTOM, skill="impression")
    ticket_id = await desk.open(new, cast.alice)
    await desk.say(ticket_id, cast.alice, "Il a vidé la file, cela repart.", Visibility.PUBLIC)
    return ticket_id


async def resolve(server, cast, ticket_id):
    desk = server.services.tickets.desk
    for state in (State.IN_PROGRESS, State.RESOLVED):
        found = await desk.get(ticket_id)
        await desk.move(ticket_id, cast.alice, to=state, revision=found.revision)


def hidden(html, name):
    found = re.search(rf'name="{name}" value="([^"]*)"', html)
    assert found, f"no hidden field {name}"
    return found.group(1)


async def test_the_editor_holds_the_tickets_own_words_and_nothing_else(server, cast, client_for, ticket):
    await resolve(server, cast, ticket)
    alice = await client_for(cast.alice)
    assert f"/tickets/{ticket}/article" in (await alice.get(f"/tickets/{ticket}/articles")).text
    page = (await alice.get(f"/tickets/{ticket}/article")).text
    assert "Rien ne s&#39;imprime" in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script>alert(1)" not in page
    assert 'data-words="Il a vidé la file, cela repart."' in page
    remedies = re.findall(r'name="remedy"[^>]*>\n([^<]*)</textarea>', page)
    assert remedies
    assert not any(remedy.strip() for remedy in remedies)
    assert re.search(r'name="skills" value="impression" checked', page)


async def test_the_draft_is_tied_to_its_ticket_and_gone_on_with_beside_it(server, cast, client_for, ticket):
    alice = await client_for(cast.alice)
    page = (await alice.get(f"/tickets/{ticket}/article")).text
    typed = {
        "title": "File bloquée",
        "condition": "Rien ne sort.",
        "remedy": "Videz la file.",
        "locale": "fr",
        "request_key": hidden(page, "request_key"),
    }
    for _ in range(2):  # a double click
        kept = await alice.post(f"/tickets/{ticket}/article", data=typed)
        assert kept.headers["location"] == f"/tickets/{ticket}/article#kept"
    again = (await alice.get(f"/tickets/{ticket}/article")).text
    assert "Videz la file." in again
    seen, number = hidden(again, "seen"), hidden(again, "article")
    more = {**typed, "remedy": "Videz la file, relancez.", "seen": seen, "article": number, "then": "submit"}
    sent = await alice.post(f"/tickets/{ticket}/article", data=more)
    assert sent.headers["location"] == f"/articles/{number}/draft#kept"
    listed = (await alice.get(f"/tickets/{ticket}/articles")).text
    assert listed.count("File bloquée") == 1
    articles = server.services.kb.articles
    await articles.publish(int(number), cast.bruno, seen=(await articles.present(int(number))).digest)
    assert f'href="/tickets/{ticket}"' in (await alice.get(f"/articles/{number}")).text


async def test_what_is_refused_keeps_the_words_and_the_conversation(server, cast, client_for, ticket):
    alice = await client_for(cast.alice)
    typed = {"title": "x" * 201, "condition": "Rien ne sort.", "remedy": "Videz.", "request_key": uuid.uuid4().hex}
    refused = await alice.post(f"/tickets/{ticket}/article", data=typed)
    assert refused.status_code == 422
    assert "Videz." in refused.text
    assert "Il a vidé la file" in refused.text


async def test_two_who_write_from_one_ticket_lose_nothing(server, cast, client_for, ticket):
    alice, bruno = [await client_for(one) for one in (cast.alice, cast.bruno)]
    first = {"title": "Un", "condition": "c", "remedy": "r", "request_key": uuid.uuid4().hex}
    await alice.post(f"/tickets/{ticket}/article", data=first)
    page = (await bruno.get(f"/tickets/{ticket}/article")).text
    known = {"seen": hidden(page, "seen"), "article": hidden(page, "article")}
    await alice.post(f"/tickets/{ticket}/article", data={**first, "remedy": "d'Alice", **known})
    mine = {**first, "remedy": "de Bruno", **known}
    refused = await bruno.post(f"/tickets/{ticket}/article", data={**mine, "source_url": "javascript:alert(1)"})
    assert refused.status_code == 422
    assert {name: hidden(refused.text, name) for name in known} == known
    late = await bruno.post(f"/tickets/{ticket}/article", data=mine)
    assert late.status_code == 409
    assert "de Bruno" in late.text


async def test_two_who_begin_from_one_ticket_make_one_draft(server, cast, client_for, ticket):
    alice, bruno = [await client_for(one) for one in (cast.alice, cast.bruno)]
    pages = [(await one.get(f"/tickets/{ticket}/article")).text for one in (alice, bruno)]
    mine, theirs = [
        {"title": f"N° {n}", "condition": "c", "remedy": "r", "request_key": hidden(page, "request_key")}
        for n, page in enumerate(pages)
    ]
    path = f"/tickets/{ticket}/article"
    answers = await asyncio.gather(alice.post(path, data=mine), bruno.post(path, data=theirs))
    assert sorted(answer.status_code for answer in answers) == [303, 409]
    again = await asyncio.gather(alice.post(path, data=mine), bruno.post(path, data=theirs))
    assert [one.status_code for one in again] == [one.status_code for one in answers], "a double click changes nothing"
    assert len(await server.services.kb.articles.of("ticket", str(ticket))) == 1


async def test_a_refused_first_draft_does_not_take_over_a_colleagues(server, cast, client_for, ticket):
    alice, bruno = [await client_for(one) for one in (cast.alice, cast.bruno)]
    path, key = f"/tickets/{ticket}/article", uuid.uuid4().hex
    theirs = {"title": "De Bruno", "condition": "c", "remedy": "r", "request_key": uuid.uuid4().hex}
    assert (await bruno.post(path, data=theirs)).status_code == 303
    refused = await alice.post(path, data={**theirs, "title": "x" * 201, "request_key": key})
    assert refused.status_code == 422
    assert 'name="seen"' not in refused.text
    assert hidden(refused.text, "request_key") == key
    late = await alice.post(path, data={**theirs, "title": "D'Alice", "request_key": key})
    assert late.status_code == 409
    assert "De Bruno" in (await bruno.get(path)).text


async def test_what_was_published_meanwhile_is_changed_and_not_written_twice(server, cast, client_for, ticket):
    alice = await client_for(cast.alice)
    path = f"/tickets/{ticket}/article"
    typed = {"title": "Un", "condition": "c", "remedy": "r", "request_key": uuid.uuid4().hex}
    await alice.post(path, data=typed)
    page = (await alice.get(path)).text
    known, articles = {"seen": hidden(page, "seen"), "article": hidden(page, "article")}, server.services.kb.articles
    number = int(known["article"])
    better = replace((await articles.present(number)).content, condition="Mieux.")
    draft = await articles.save(number, better, cast.chloe, seen=known["seen"])
    await articles.submit(number, cast.chloe, seen=draft.digest)
    await articles.publish(number, cast.bruno, seen=draft.digest)
    late = await alice.post(path, data={**typed, "remedy": "de plus", **known})
    assert late.status_code == 409
    assert [one.article_id for one in await server.services.kb.articles.of("ticket", str(ticket))] == [number]
    kept = await alice.post(path, data={**typed, "remedy": "de plus", "article": number, "seen": draft.digest})
    assert kept.headers["location"] == f"/articles/{number}/edit#kept"
    assert [one.article_id for one in await server.services.kb.articles.of("ticket", str(ticket))] == [number]


async def test_a_discarded_draft_or_one_of_elsewhere_begins_a_new_one(server, cast, client_for, ticket):
    alice = await client_for(cast.alice)
    path, articles = f"/tickets/{ticket}/article", server.services.kb.articles
    typed = {"title": "Un", "condition": "c", "remedy": "r"}
    await alice.post(path, data={**typed, "request_key": uuid.uuid4().hex})
    page = (await alice.get(path)).text
    known = {"seen": hidden(page, "seen"), "article": hidden(page, "article")}
    await articles.discard(int(known["article"]), cast.alice, seen=known["seen"])
    for _ in range(2):
        assert (await alice.post(path, data={**typed, "remedy": "autre", **known})).status_code == 303
    (fresh,) = await server.services.kb.articles.of("ticket", str(ticket))
    assert fresh.article_id != int(known["article"])
    elsewhere = await articles.create(Content(title="Ailleurs"), "fr", cast.bruno)
    odd = {**typed, "article": elsewhere.article_id, "seen": elsewhere.digest}
    assert (await alice.post(path, data=odd)).status_code == 409
    assert (await articles.present(elsewhere.article_id)).title == "Ailleurs"


async def test_an_address_in_a_message_ties_the_article(server, cast, client_for, ticket):
    alice = await client_for(cast.alice)
    made = await alice.post(
        "/articles/new", data={"title": "File bloquée", "condition": "c", "remedy": "r", "request_key": "k"}
    )
    number = made.headers["location"].split("/")[2]
    desk = server.services.tickets.desk
    await desk.say(
        ticket, cast.bruno, f"Voir {server.url}/articles/{number}, pas /articles/999999.", Visibility.INTERNAL
    )
    assert "File bloquée" in (await alice.get(f"/tickets/{ticket}/articles")).text


async def test_feedback_for_a_ticket_that_is_not_there_is_refused(server, cast, client_for, ticket):
    alice = await client_for(cast.alice)
    made = {"title": "File", "condition": "c", "remedy": "r", "request_key": "k", "then": "submit"}
    number = (await alice.post("/articles/new", data=made)).headers["location"].split("/")[2]
    articles = server.services.kb.articles
    await articles.publish(int(number), cast.bruno, seen=(await articles.present(int(number))).digest)
    for known, status in ((ticket, 303), (ticket + 99, 422)):
        answer = await alice.post(f"/articles/{number}/feedback", data={"solved": "yes", "ticket": str(known)})
        assert answer.status_code == status
