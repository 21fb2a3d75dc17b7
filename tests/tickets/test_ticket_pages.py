"""The pages over a real server: capture, list, ticket, calls, closing, hostile input."""

from __future__ import annotations

import asyncio
import re
import uuid
from typing import Any

import pytest

from tickets.desk.model import NewTicket


@pytest.fixture
async def alice(server: Any, cast: Any, client_for: Any) -> Any:
    return await client_for(cast.alice)


async def opened(server: Any, member: Any, client: Any, **more: Any) -> int:
    known = {"client_id": client.id, "title": "Rien ne s'imprime", "symptom": "Depuis ce matin", "departement": "35"}
    return await server.services.tickets.desk.open(NewTicket(**{**known, **more}), member)


async def test_every_page_answers(server: Any, cast: Any, alice: Any, bakery: Any) -> None:
    number = await opened(server, cast.alice, bakery, owner_id=cast.alice.id)
    for path in (
        "/",
        "/dashboard/fragment",
        "/tickets",
        "/tickets?q=imprime&sort=priority&state=all&priority=3&owner=mine&departement=35&skill=impression",
        "/tickets/new",
        f"/tickets/new?client={bakery.id}",
        f"/tickets/new?follows={number}",
        "/tickets/new?q=0299",
        f"/tickets/{number}",
        f"/tickets/{number}/fragment",
        f"/tickets/{number}/procedures",
        f"/tickets/{number}/escalate?skill=impression",
        f"/tickets/{number}/escalate/preview?skill=reseau",
        f"/tickets/{number}/close",
        f"/clients/{bakery.id}",
    ):
        answer = await alice.get(path)
        assert answer.status_code == 200, (path, answer.text[-2000:])


async def test_a_call_becomes_a_ticket_on_one_screen(server: Any, cast: Any, alice: Any, bakery: Any) -> None:
    found = await alice.post("/tickets/new/callers", data={"caller": "0299123456"})
    assert "Boulangerie Le Gall" in found.text
    card = await alice.post("/tickets/new/client", data={"pick": str(bakery.id)})
    assert f'name="client_id" value="{bakery.id}"' in card.text
    page = await alice.get("/tickets/new")
    key = re.search(r'name="request_key" value="([0-9a-f-]{36})"', page.text)
    assert key
    typed = {
        "request_key": key[1],
        "client_id": str(bakery.id),
        "symptom": "L'imprimante ne répond plus\nelle clignote",
        "impact": "high",
        "urgency": "high",
        "owner": "me",
    }
    first = await alice.post("/tickets/new", data=typed)
    again = await alice.post("/tickets/new", data=typed)
    assert first.status_code == again.status_code == 303
    assert first.headers["location"] == again.headers["location"], "sent twice, opened once"
    shown = await alice.get(first.headers["location"])
    assert "L&#39;imprimante ne répond plus" in shown.text
    ticket = await server.services.tickets.desk.get(int(first.headers["location"].split("/")[2].split("?")[0]))
    assert (ticket.title, ticket.priority, ticket.departement) == ("L'imprimante ne répond plus", 1, "35")


async def test_an_unknown_caller_is_added_without_leaving_the_screen(server: Any, alice: Any) -> None:
    new = {"new_kind": "person", "new_name": "Mona Le Bris", "new_phone": "06 12 34 56 78", "new_town": "Vitré"}
    refused = await alice.post("/tickets/new/caller", data=new)
    assert "département" in refused.text, "a site needs one"
    added = await alice.post("/tickets/new/caller", data={**new, "new_postcode": "35500"})
    assert "Mona Le Bris" in added.text
    assert re.search(r'name="client_id" value="\d+"', added.text)


async def test_a_refused_form_keeps_what_was_typed(alice: Any) -> None:
    answer = await alice.post(
        "/tickets/new", data={"symptom": "Écran <b>noir</b>", "caller": "Dupont", "impact": "zzz"}
    )
    assert answer.status_code == 422
    assert "Écran &lt;b&gt;noir&lt;/b&gt;" in answer.text
    assert 'value="Dupont"' in answer.text


async def test_capture_works_without_javascript(alice: Any, bakery: Any) -> None:
    found = await alice.post("/tickets/new", data={"do": "refresh", "caller": "le gall", "symptom": "noir"})
    assert found.status_code == 200
    assert f'name="pick" value="{bakery.id}"' in found.text
    picked = await alice.post("/tickets/new", data={"pick": str(bakery.id), "symptom": "noir"})
    assert f'name="client_id" value="{bakery.id}"' in picked.text
    assert ">noir</textarea>" in picked.text


async def test_the_conversation_is_safe_markdown(server: Any, cast: Any, alice: Any, bakery: Any) -> None:
    number = await opened(server, cast.alice, bakery)
    body = "**fait** <script>alert(1)</script> [x](javascript:alert(1))"
    key = str(uuid.uuid4())
    for _ in range(2):
        said = await alice.post(
            f"/tickets/{number}/messages", data={"body": body, "visibility": "internal", "request_key": key}
        )
        assert said.status_code == 303
    page = await alice.get(f"/tickets/{number}")
    assert page.text.count("<strong>fait</strong>") == 1
    assert "<script>alert" not in page.text
    assert 'javascript:alert(1)"' not in page.text


async def test_a_stale_page_gets_a_clear_conflict(
    server: Any, cast: Any, alice: Any, client_for: Any, bakery: Any
) -> None:
    number = await opened(server, cast.alice, bakery)
    bruno = await client_for(cast.bruno)
    take = {"revision": "1"}
    assert (
        await bruno.post(f"/tickets/{number}/owner", data={**take, "owner_id": str(cast.bruno.id)})
    ).status_code == 303
    late = await alice.post(f"/tickets/{number}/owner", data={**take, "owner_id": str(cast.alice.id)})
    assert late.status_code == 409
    assert "Bruno Leroy" in late.text


async def test_the_list_pages_by_key_and_keeps_filters(server: Any, cast: Any, alice: Any, bakery: Any) -> None:
    numbers = [await opened(server, cast.alice, bakery, title=f"Panne {index}") for index in range(53)]
    first = await alice.get("/tickets")
    shown = {int(found) for found in re.findall(r'class="row-link" href="/tickets/(\d+)"', first.text)}
    more = re.search(r'href="(/tickets\?after=[^"]+)"', first.text)
    assert len(shown) == 50
    assert more
    rest = await alice.get(more[1].replace("&amp;", "&"))
    left = {int(found) for found in re.findall(r'class="row-link" href="/tickets/(\d+)"', rest.text)}
    assert shown | left == set(numbers)
    assert not shown & left
    kept = await alice.post("/tickets/filters", data={"name": "Rennes", "query": "departement=35"})
    assert kept.status_code == 303
    assert "Rennes" in (await alice.get("/tickets")).text


async def test_an_expert_is_called_from_a_failed_step_and_lands_in_the_run(
    world: Any, cast: Any, alice: Any, bakery: Any, client_for: Any, server: Any
) -> None:
    number = await opened(server, cast.alice, bakery, owner_id=cast.alice.id)
    run = await world.procedures.runs.start("tst-001", "fr", None, number, cast.alice, {"path": "/tmp/x"})
    page = await alice.get(f"/tickets/{number}/escalate?skill=impression&run={run.id}&step=s1")
    assert f'name="run" value="{run.id}"' in page.text
    assert "Bruno Leroy" in page.text
    called = await alice.post(
        f"/tickets/{number}/escalate",
        data={"skill": "impression", "run": str(run.id), "step": "s1", "question": "Bloqué <b>"},
    )
    assert called.headers["location"] == f"/tickets/{number}#calls"
    bruno = await client_for(cast.bruno)
    for path in ("/", "/tickets/asked", f"/tickets/{number}"):
        shown = (await bruno.get(path)).text
        assert f"/tickets/{number}/calls/1/accept" in shown, path
        assert "<b>" not in shown.split("<body")[-1].split("shell-data")[0]
    chloe = await client_for(cast.chloe)
    assert (await chloe.post(f"/tickets/{number}/calls/1/accept")).status_code == 409
    accepted = await bruno.post(f"/tickets/{number}/calls/1/accept")
    assert accepted.headers["location"] == f"/runs/{run.id}"
    assert (await bruno.get(f"/runs/{run.id}")).status_code == 200
    assert "accept" not in (await bruno.get("/tickets/asked")).text


QUERIES = [
    "after=%00",
    "after=2026-01-01T00:00:00Z~999999999999999999999",
    "priority=abc&state=nope&owner=x&sort=y",
    "q=%00%27%22%3Cscript%3E",
    "q=" + "a" * 5000,
    "q=%26%7C%21%28%29%3A%2A%5C",
    "client=99999999999999999999",
    "skill=%27%3B--",
    "departement=%F0%9F%92%A9",
    "q=%F0%9F%92%A9%ED%A0%80",
]


async def test_hostile_questions_get_an_answer(alice: Any) -> None:
    for query in QUERIES:
        answer = await alice.get(f"/tickets?{query}")
        assert answer.status_code in {200, 400, 422}, (query, answer.text[-500:])
        assert "<script>" not in answer.text.split("<body")[1].split('id="shell-data"')[0], query


FORMS: list[tuple[str, dict[str, str]]] = [
    ("/tickets/new", {"client_id": "99999999999999999999", "symptom": "x", "request_key": "'"}),
    ("/tickets/new", {"client_id": "1", "machine_id": "-1", "symptom": "x" * 30_000}),
    ("/tickets/new/client", {"pick": "' OR 1=1"}),
    ("/tickets/new/client", {"pick": "٣"}),
    ("/tickets/new/suggestions", {"symptom": "\x00 & | ! ( :* " * 400, "machine_id": "9e9"}),
    ("/tickets/new/callers", {"caller": "%_\\\x00'" * 50}),
    ("/tickets/new/priority", {"impact": "x", "urgency": ""}),
    ("/tickets/{n}/messages", {"body": "\x00", "visibility": "secret"}),
    ("/tickets/{n}/messages", {"body": "x", "request_key": "zzz"}),
    ("/tickets/{n}/state", {"to": "closed", "revision": "1"}),
    ("/tickets/{n}/state", {"to": "x", "revision": "x"}),
    ("/tickets/{n}/owner", {"owner_id": "99999", "revision": "1"}),
    ("/tickets/{n}/owner", {"owner_id": "abc", "revision": "1"}),
    ("/tickets/{n}/edit", {"title": "x", "impact": "low", "urgency": "low", "skill": "nope", "revision": "1"}),
    ("/tickets/{n}/edit", {"title": "x", "impact": "low", "urgency": "low", "machine_id": "7", "revision": "1"}),
    ("/tickets/{n}/time", {"minutes": "99999999999"}),
    ("/tickets/{n}/collaborators", {"member_id": "4711"}),
    ("/tickets/{n}/sessions", {"machine_id": "4711", "reason": "voir"}),
    ("/tickets/{n}/escalate", {"skill": "nope"}),
    ("/tickets/{n}/escalate", {"skill": "impression", "run": "4711"}),
    ("/tickets/{n}/escalate", {"skill": "impression", "step": "x" * 500}),
    ("/tickets/{n}/calls/4711/accept", {}),
    ("/tickets/{n}/calls/4711/decline", {"reason": ""}),
    ("/tickets/{n}/close", {"revision": "1", "resolution": "", "verdict": "x"}),
    ("/tickets/{n}/close", {"revision": "1", "resolution": "ok", "verdict": "correct", "run_id": "4711"}),
    ("/tickets/{n}/propose", {}),
    ("/tickets/9223372036854775808/messages", {"body": "x"}),
    ("/tickets/filters", {"name": "x" * 100, "query": ""}),
    ("/tickets/filters/4711/remove", {}),
]


async def test_hostile_forms_are_refused_and_never_a_fault(server: Any, cast: Any, alice: Any, bakery: Any) -> None:
    number = await opened(server, cast.alice, bakery, owner_id=cast.alice.id)
    for path, data in FORMS:
        answer = await alice.post(path.format(n=number), data=data)
        assert answer.status_code < 500, (path, data, answer.text[-1500:])
        ticket = await server.services.tickets.desk.get(number)
        assert (ticket.state, ticket.revision) == ("assigned", 1), (path, data)


async def test_nobody_sees_a_ticket_without_signing_in(server: Any, cast: Any, bakery: Any) -> None:
    import httpx

    number = await opened(server, cast.alice, bakery)
    async with httpx.AsyncClient(base_url=server.url) as stranger:
        for path in ("/", "/tickets", f"/tickets/{number}", "/tickets/new"):
            answer = await stranger.get(path)
            assert answer.status_code in {303, 302, 401}, path
            assert "imprime" not in answer.text


async def test_the_circle_widens_by_itself_when_the_time_has_come(
    server: Any, world: Any, cast: Any, bakery: Any
) -> None:
    away = await world.kernel.members.create(
        email="zoe@example.org", name="Zoé", role="member", password="correct horse battery", skills={"impression": 1}
    )
    await world.kernel.members.set_availability(away.id, False)
    number = await opened(server, cast.alice, bakery, owner_id=cast.alice.id)
    call = await world.tickets.escalations.call(number, cast.alice, skill="impression")
    assert [item.id for item in await world.tickets.escalations.asked_of(away.id)] == []
    async with world.kernel.db.transaction() as conn:
        await conn.execute("UPDATE procrastinate_jobs SET scheduled_at = now() WHERE task_name = 'tickets.widen'")
    async with asyncio.timeout(30):  # the worker looks every five seconds
        while not await world.tickets.escalations.asked_of(away.id):
            await asyncio.sleep(0.2)
    assert (await world.tickets.escalations.get(call)).circle == 4
