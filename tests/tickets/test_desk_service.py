"""Tickets on a real PostgreSQL: opening, talking, two people at once."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import psycopg
import pytest

from compagnon import audit
from compagnon.audit import Actor
from compagnon.directory.model import ClientKind, NewContact, NewSite
from compagnon.errors import Conflict, Invalid, NotFound
from tickets.desk.model import Impact, NewTicket, State, Urgency, Visibility


@pytest.fixture
async def client(services: Any, cast: Any) -> Any:
    return await services.kernel.directory.add_client(
        kind=ClientKind.COMPANY,
        name="Boulangerie Le Gall",
        actor=Actor.member(cast.ada.id),
        sites=[NewSite(town="Rennes", postcode="35000")],
        contacts=[NewContact(name="Yann Le Gall", phones=("02 99 12 34 56",))],
    )


@pytest.fixture
def desk(services: Any) -> Any:
    return services.tickets.desk


async def opened(desk: Any, member: Any, client: Any, **more: Any) -> int:
    known = {"client_id": client.id, "title": "Rien ne s'imprime", "symptom": "Depuis ce matin"}
    return await desk.open(NewTicket(**{**known, **more}), member)


async def test_opening_writes_the_ticket_its_first_state_its_audit_record_and_its_event(
    desk: Any, client: Any, cast: Any, db: Any
) -> None:
    number = await opened(desk, cast.alice, client, impact=Impact.HIGH, urgency=Urgency.HIGH, owner_id=cast.alice.id)
    ticket = await desk.get(number)
    assert (ticket.state, ticket.priority, ticket.owner_name) == (State.ASSIGNED, 1, "Alice Martin")
    async with db.connection() as conn:
        states = await (await conn.execute("SELECT state, left_at FROM ticket_states")).fetchall()
        events = await (
            await conn.execute("SELECT topic FROM events WHERE topic LIKE 'ticket%%' ORDER BY id")
        ).fetchall()
        records = await (
            await conn.execute("SELECT action, subject FROM audit_log ORDER BY seq DESC LIMIT 1")
        ).fetchall()
        assert (await audit.verify(conn)).broken is None
    assert states == [("assigned", None)]
    assert events == [(f"ticket:{number}",), ("tickets:all",)]
    assert records == [("ticket.opened", f"ticket:{number}")]


async def test_the_same_request_key_opens_one_ticket_even_at_the_same_time(desk: Any, client: Any, cast: Any) -> None:
    key = str(uuid.uuid4())
    numbers = await asyncio.gather(*(opened(desk, cast.alice, client, request_key=key) for _ in range(5)))
    assert len(set(numbers)) == 1


async def test_somebody_elses_request_key_is_refused(desk: Any, client: Any, cast: Any) -> None:
    key = str(uuid.uuid4())
    await opened(desk, cast.alice, client, request_key=key)
    with pytest.raises(Conflict):
        await opened(desk, cast.bruno, client, request_key=key)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"title": ""}, Invalid),
        ({"title": "x" * 201}, Invalid),
        ({"title": "a\x00b"}, Invalid),
        ({"symptom": "x" * 20_001}, Invalid),
        ({"request_key": "not-a-key"}, Invalid),
        ({"machine_id": 4711}, NotFound),
        ({"client_id": 4711}, NotFound),
        ({"skill": "sorcellerie"}, Invalid),
        ({"site_id": 4711}, Invalid),
        ({"owner_id": 4711}, Invalid),
        ({"follows_id": 4711}, Invalid),
    ],
)
async def test_what_cannot_be_is_refused_and_opens_nothing(
    desk: Any, client: Any, cast: Any, db: Any, change: Any, error: Any
) -> None:
    with pytest.raises(error):
        await opened(desk, cast.alice, client, **change)
    async with db.connection() as conn:
        assert await (await conn.execute("SELECT count(*) FROM tickets")).fetchone() == (0,)


async def test_two_people_taking_a_ticket_at_once_one_wins_the_other_is_told(
    desk: Any, client: Any, cast: Any, db: Any
) -> None:
    number = await opened(desk, cast.alice, client)
    takes = [
        desk.assign(number, member, owner_id=member.id, revision=1) for member in (cast.alice, cast.bruno, cast.chloe)
    ]
    results = await asyncio.gather(*takes, return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["Conflict", "Conflict", "NoneType"]
    ticket = await desk.get(number)
    loser = next(result for result in results if isinstance(result, Conflict))
    assert ticket.owner_name in str(loser)
    async with db.connection() as conn:
        states = await (await conn.execute("SELECT state, left_at IS NULL FROM ticket_states ORDER BY id")).fetchall()
    assert states == [("new", False), ("assigned", True)]


async def test_a_move_from_a_stale_page_is_a_conflict(desk: Any, client: Any, cast: Any) -> None:
    number = await opened(desk, cast.alice, client)
    await desk.move(number, cast.alice, to=State.IN_PROGRESS, revision=1)
    with pytest.raises(Conflict):
        await desk.move(number, cast.bruno, to=State.WAITING_CLIENT, revision=1)
    assert (await desk.get(number)).state is State.IN_PROGRESS


async def test_who_starts_working_on_nobodys_ticket_owns_it(desk: Any, client: Any, cast: Any) -> None:
    number = await opened(desk, cast.alice, client)
    await desk.move(number, cast.bruno, to=State.IN_PROGRESS, revision=1)
    assert (await desk.get(number)).owner_id == cast.bruno.id
    assert await desk.may_act(number, cast.bruno.id)
    assert not await desk.may_act(number, cast.alice.id)


async def test_a_step_that_is_not_allowed_is_refused(desk: Any, client: Any, cast: Any) -> None:
    number = await opened(desk, cast.alice, client)
    with pytest.raises(Conflict):
        await desk.move(number, cast.alice, to=State.CLOSED, revision=1)


async def test_the_log_of_states_cannot_be_rewritten(desk: Any, client: Any, cast: Any, db: Any) -> None:
    number = await opened(desk, cast.alice, client)
    await desk.move(number, cast.alice, to=State.IN_PROGRESS, revision=1)
    for statement in (
        "UPDATE ticket_states SET state = 'closed'",
        "UPDATE ticket_states SET left_at = now() + interval '1 day' WHERE left_at IS NOT NULL",
        "DELETE FROM ticket_states",
    ):
        with pytest.raises(psycopg.errors.RaiseException):
            async with db.transaction() as conn:
                await conn.execute(statement)


async def test_a_message_is_added_once_and_found_by_the_search(
    desk: Any, services: Any, client: Any, cast: Any
) -> None:
    number = await opened(desk, cast.alice, client)
    key = str(uuid.uuid4())
    for _ in range(2):
        await desk.say(number, cast.bruno, "Les imprimantes clignotent", Visibility.INTERNAL, request_key=key)
    story = await services.tickets.stories.of(number)
    assert [item.data.message.body for item in story.items if item.kind == "message"] == ["Les imprimantes clignotent"]
    groups = await services.kb.search.everywhere(cast.alice, "imprimante clignotante", 5)
    assert [hit.id for group in groups if group.kind == "ticket" for hit in group.hits] == [str(number)]


@pytest.mark.parametrize("asked", ["{number}", "#{number}", "imprime", "Le Gall imprime matin", "RIEN s'imprime"])
async def test_a_ticket_is_found_by_number_and_by_words(
    desk: Any, services: Any, client: Any, cast: Any, asked: str
) -> None:
    number = await opened(desk, cast.alice, client, caller_name="Yann Le Gall")
    await opened(desk, cast.alice, client, title="Écran noir", symptom="")
    groups = await services.kb.search.everywhere(cast.alice, asked.format(number=number), 5)
    hits = [hit.id for group in groups if group.kind == "ticket" for hit in group.hits]
    assert hits == [str(number)]


async def test_a_long_conversation_never_overflows_the_index(desk: Any, client: Any, cast: Any, db: Any) -> None:
    number = await opened(desk, cast.alice, client)
    for turn in range(12):
        body = " ".join(f"mot{turn}x{index}" for index in range(1900))[:20_000]
        await desk.say(number, cast.alice, body, Visibility.INTERNAL)
    async with db.connection() as conn:
        assert await (await conn.execute("SELECT length(words) < 40000 FROM tickets")).fetchone() == (True,)


async def test_collaborators_may_act_and_leave(desk: Any, client: Any, cast: Any) -> None:
    number = await opened(desk, cast.alice, client, owner_id=cast.alice.id)
    await desk.add_collaborator(number, cast.alice, cast.bruno.id)
    assert await desk.may_act(number, cast.bruno.id)
    await desk.remove_collaborator(number, cast.alice, cast.bruno.id)
    assert not await desk.may_act(number, cast.bruno.id)


async def test_presence_tells_who_is_here_and_who_writes(desk: Any, client: Any, cast: Any) -> None:
    number = await opened(desk, cast.alice, client)
    await desk.look(number, cast.alice, typing=True)
    assert [(person.name, person.typing) for person in await desk.look(number, cast.bruno, typing=False)] == [
        ("Alice Martin", True)
    ]
    await desk.look(number, cast.alice, typing=False)
    assert (await desk.look(number, cast.bruno, typing=False))[0].typing, "typing ends by itself, not by a heartbeat"
    await desk.say(number, cast.alice, "fini", Visibility.INTERNAL)
    assert not (await desk.look(number, cast.bruno, typing=False))[0].typing


async def test_a_ticket_is_given_back_to_nobody_but_not_a_resolved_one(desk: Any, client: Any, cast: Any) -> None:
    number = await opened(desk, cast.alice, client, owner_id=cast.alice.id)
    for state in (State.IN_PROGRESS, State.WAITING_CLIENT, State.RESOLVED):
        await desk.move(number, cast.alice, to=state, revision=(await desk.get(number)).revision)
    with pytest.raises(Conflict):
        await desk.assign(number, cast.alice, owner_id=None, revision=(await desk.get(number)).revision)
    ticket = await desk.get(number)
    assert (ticket.state, ticket.owner_id) == (State.RESOLVED, cast.alice.id)
    await desk.move(number, cast.alice, to=State.IN_PROGRESS, revision=ticket.revision)
    await desk.assign(number, cast.alice, owner_id=None, revision=ticket.revision + 1)
    ticket = await desk.get(number)
    assert (ticket.state, ticket.owner_id) == (State.NEW, None)


async def test_the_gate_lets_only_open_tickets_through(
    services: Any, desk: Any, client: Any, cast: Any, db: Any
) -> None:
    gate = services.tickets.gate
    number = await opened(desk, cast.alice, client)
    assert (await gate.require_open(number)).client_id == client.id
    with pytest.raises(NotFound):
        await gate.require_open(number + 1)
    async with db.transaction() as conn:
        await conn.execute("UPDATE tickets SET state = 'closed', closed_at = now()")
    with pytest.raises(Conflict):
        await gate.require_open(number)


async def test_editing_changes_the_priority_and_is_refused_from_a_stale_page(desk: Any, client: Any, cast: Any) -> None:
    number = await opened(desk, cast.alice, client)
    values = {"title": "Autre", "urgency": Urgency.HIGH, "skill": "impression", "machine_id": None}
    await desk.edit(number, cast.alice, revision=1, impact=Impact.HIGH, **values)
    ticket = await desk.get(number)
    assert (ticket.priority, ticket.title, ticket.skill) == (1, "Autre", "impression")
    with pytest.raises(Conflict):
        await desk.edit(number, cast.bruno, revision=1, impact=Impact.LOW, **values)


async def test_the_list_of_a_departement_and_a_skill_is_read_in_order_from_an_index(
    db: Any, desk: Any, client: Any, cast: Any
) -> None:
    number = await opened(desk, cast.alice, client)
    async with db.transaction() as conn:
        await conn.execute(
            "INSERT INTO tickets (client_id, title, impact, urgency, priority, opened_by, departement, skill)"
            " SELECT client_id, title, impact, urgency, priority, opened_by, (22 + n %% 10)::text,"
            " CASE WHEN n %% 3 = 0 THEN 'reseau' ELSE 'impression' END"
            " FROM tickets, generate_series(1, 5000) n WHERE id = %s",
            (number,),
        )
        await conn.execute("ANALYZE tickets")
        query = "SELECT * FROM tickets WHERE departement = '25' AND skill = 'reseau'"
        found = await conn.execute("EXPLAIN " + query + " ORDER BY updated_at DESC, id DESC LIMIT 50")
        plan = "\n".join(row[0] for row in await found.fetchall())
    assert "tickets_departement_skill" in plan
    assert "Sort" not in plan
