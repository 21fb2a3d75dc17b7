"""From a ticket to an article, and the articles that a ticket names."""

from __future__ import annotations

import re
import uuid

import pytest

from compagnon.audit import Actor
from compagnon.directory.model import ClientKind
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
        assert kept.headers["location"] == f"/tickets/{ticket}/article"
    again = (await alice.get(f"/tickets/{ticket}/article")).text
    assert "Videz la file." in again
    seen, number = hidden(again, "seen"), hidden(again, "article")
    more = {**typed, "remedy": "Videz la file, relancez.", "seen": seen, "then": "submit"}
    sent = await alice.post(f"/tickets/{ticket}/article", data=more)
    assert sent.headers["location"] == f"/articles/{number}/draft"
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
    seen = hidden((await bruno.get(f"/tickets/{ticket}/article")).text, "seen")
    await alice.post(f"/tickets/{ticket}/article", data={**first, "remedy": "d'Alice", "seen": seen})
    late = await bruno.post(f"/tickets/{ticket}/article", data={**first, "remedy": "de Bruno", "seen": seen})
    assert late.status_code == 409
    assert "de Bruno" in late.text


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
