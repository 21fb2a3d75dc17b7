"""Calls for an expert on a real PostgreSQL: circles, the first acceptance, widening as a job."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from compagnon.audit import Actor
from compagnon.auth.model import Role
from compagnon.directory.model import ClientKind
from compagnon.errors import Conflict, Forbidden, Invalid
from tickets.desk.model import NewTicket
from tickets.escalation.model import EscalationState, OfferState


@pytest.fixture
async def experts(services: Any, cast: Any) -> list[Any]:
    """Four more members who know printing, the last of them away."""
    members = services.kernel.members
    made = [
        await members.create(
            email=f"expert{number}@example.org",
            name=f"Expert {number}",
            role=Role.MEMBER,
            password="correct horse battery",
            skills={"impression": 1},
        )
        for number in range(4)
    ]
    await members.set_availability(made[3].id, False)
    return made


@pytest.fixture
async def ticket(services: Any, cast: Any) -> int:
    client = await services.kernel.directory.add_client(
        kind=ClientKind.COMPANY, name="Boulangerie", actor=Actor.member(cast.ada.id)
    )
    new = NewTicket(client_id=client.id, title="Rien ne s'imprime", owner_id=cast.alice.id, departement="35")
    return await services.tickets.desk.open(new, cast.alice)


@pytest.fixture
def calls(services: Any) -> Any:
    return services.tickets.escalations


async def asked(calls: Any, ticket: int) -> list[list[str]]:
    """The names asked, circle by circle."""
    offers = (await calls.for_ticket(ticket))[0].offers
    circles = sorted({offer.circle for offer in offers})
    return [[offer.member_name for offer in offers if offer.circle == circle] for circle in circles]


async def test_the_best_two_are_asked_first_and_never_who_is_there_already(
    calls: Any, ticket: int, cast: Any, experts: Any
) -> None:
    await calls.call(ticket, cast.alice, skill="impression", question="Bloqué")
    assert await asked(calls, ticket) == [["Bruno Leroy", "Expert 0"]]
    call = (await calls.for_ticket(ticket))[0]
    assert call.escalation.departement == "35"
    assert "Works in {departement}" in [reason["message"] for reason in call.offers[0].reasons]
    assert [item.id for item in await calls.asked_of(cast.bruno.id)] == [call.escalation.id]
    assert await calls.asked_of(cast.alice.id) == []


async def test_nobody_answers_so_the_circle_widens_until_everyone_was_asked(
    calls: Any, ticket: int, cast: Any, experts: Any, db: Any
) -> None:
    number = await calls.call(ticket, cast.alice, skill="impression")
    for _ in range(4):
        await calls.widen(escalation_id=number, circle=(await calls.get(number)).circle)
    assert await asked(calls, ticket) == [["Bruno Leroy", "Expert 0"], ["Expert 1", "Expert 2"], ["Expert 3"]]
    assert (await calls.get(number)).widen_at is None
    async with db.connection() as conn:
        jobs = await (
            await conn.execute("SELECT args->>'circle', scheduled_at > now() FROM procrastinate_jobs ORDER BY id")
        ).fetchall()
    assert jobs == [("1", True), ("2", True), ("4", True)], "each circle plans the next one"


async def test_a_job_that_comes_twice_or_late_widens_once(calls: Any, ticket: int, cast: Any, experts: Any) -> None:
    number = await calls.call(ticket, cast.alice, skill="impression")
    await asyncio.gather(*(calls.widen(escalation_id=number, circle=1) for _ in range(3)))
    assert len(await asked(calls, ticket)) == 2
    await calls.accept(number, cast.bruno)
    await calls.widen(escalation_id=number, circle=2)
    assert len(await asked(calls, ticket)) == 2, "nobody is asked after somebody accepted"


async def test_the_first_acceptance_wins(calls: Any, ticket: int, cast: Any, experts: Any, services: Any) -> None:
    number = await calls.call(ticket, cast.alice, skill="impression")
    results = await asyncio.gather(
        calls.accept(number, cast.bruno), calls.accept(number, experts[0]), return_exceptions=True
    )
    refused = [result for result in results if isinstance(result, Conflict)]
    assert len(refused) == 1
    call = (await calls.for_ticket(ticket))[0]
    winner = call.escalation.accepted_by
    assert call.escalation.accepted_by_name in str(refused[0])
    assert sorted(offer.state for offer in call.offers) == [OfferState.ACCEPTED, OfferState.LAPSED]
    assert await services.tickets.gate.may_act(ticket, winner)
    loser = experts[0].id if winner == cast.bruno.id else cast.bruno.id
    assert not await services.tickets.gate.may_act(ticket, loser)


async def test_when_all_of_a_circle_decline_the_next_is_asked_at_once(
    calls: Any, ticket: int, cast: Any, experts: Any
) -> None:
    number = await calls.call(ticket, cast.alice, skill="impression")
    await calls.decline(number, cast.bruno, "En intervention")
    assert len(await asked(calls, ticket)) == 1
    await calls.decline(number, experts[0], "Pas le bon modèle")
    assert await asked(calls, ticket) == [["Bruno Leroy", "Expert 0"], ["Expert 1", "Expert 2"]]
    answers = {offer.member_name: offer.answer for offer in (await calls.for_ticket(ticket))[0].offers}
    assert answers["Bruno Leroy"] == "En intervention"


async def test_one_may_change_ones_mind_while_nobody_came(calls: Any, ticket: int, cast: Any, experts: Any) -> None:
    number = await calls.call(ticket, cast.alice, skill="impression")
    await calls.decline(number, cast.bruno, "Plus tard")
    assert (await calls.accept(number, cast.bruno)).state is EscalationState.ACCEPTED


async def test_who_was_not_asked_cannot_answer(calls: Any, ticket: int, cast: Any, experts: Any) -> None:
    number = await calls.call(ticket, cast.alice, skill="impression")
    for answer in (calls.accept(number, cast.chloe), calls.decline(number, cast.chloe, "non")):
        with pytest.raises(Conflict):
            await answer


async def test_the_same_call_again_is_the_same_call(calls: Any, ticket: int, cast: Any, experts: Any) -> None:
    numbers = await asyncio.gather(*(calls.call(ticket, cast.alice, skill="impression") for _ in range(3)))
    assert len(set(numbers)) == 1
    assert len(await calls.for_ticket(ticket)) == 1


async def test_only_who_called_or_works_there_takes_a_call_back(
    calls: Any, ticket: int, cast: Any, experts: Any
) -> None:
    number = await calls.call(ticket, cast.alice, skill="impression")
    with pytest.raises(Forbidden):
        await calls.cancel(number, cast.bruno)
    await calls.cancel(number, cast.alice)
    with pytest.raises(Conflict):
        await calls.accept(number, cast.bruno)
    assert await calls.asked_of(cast.bruno.id) == []


async def test_a_skill_nobody_else_has_is_said_at_once_and_leaves_nothing(calls: Any, ticket: int, cast: Any) -> None:
    with pytest.raises(Invalid):
        await calls.call(ticket, cast.alice, skill="telephonie")
    assert await calls.for_ticket(ticket) == []


async def test_accepting_is_told_to_the_caller_and_to_the_others(
    calls: Any, ticket: int, cast: Any, experts: Any, db: Any
) -> None:
    number = await calls.call(ticket, cast.alice, skill="impression")
    await calls.accept(number, cast.bruno)
    async with db.connection() as conn:
        rows = await (await conn.execute("SELECT topic, kind FROM events WHERE kind = 'call_ended'")).fetchall()
    assert {topic for topic, _ in rows} == {f"member:{cast.alice.id}", f"member:{experts[0].id}"}
