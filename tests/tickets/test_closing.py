"""Closing with a real agent that looks at the result on a real file."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from compagnon.errors import Conflict, Forbidden, Invalid, NotFound
from procedures.runs.model import Outcome
from tickets.closing.model import CloseRequest, Verdict
from tickets.closing.service import NeedsJustification
from tickets.desk.model import NewTicket, State


@pytest.fixture
async def ticket(world: Any, cast: Any, bakery: Any) -> int:
    new = NewTicket(client_id=bakery.id, title="Rien ne s'imprime", owner_id=cast.alice.id, departement="35")
    return await world.tickets.desk.open(new, cast.alice)


async def followed(world: Any, member: Any, ticket: int, machine: int | None, path: Any) -> Any:
    """A completed run of the procedure, every step attested by the member."""
    run = await world.procedures.runs.start("tst-001", "fr", machine, ticket, member, {"path": str(path)})
    return await world.procedures.runs.attest(run.id, member, revision=run.revision, outcome=Outcome.DONE)


def asking(run: Any = None, **more: Any) -> CloseRequest:
    known = {"revision": 1, "resolution": "Réparé.", "verdict": Verdict.CORRECT, "run_id": run.id if run else None}
    return CloseRequest(**{**known, **more})


async def test_closing_looks_at_the_result_on_the_machine_first(
    world: Any, cast: Any, ticket: int, machine: Any, tmp_path: Any
) -> None:
    closer, witness = world.tickets.closer, tmp_path / "temoin.txt"
    run = await followed(world, cast.alice, ticket, machine.machine_id, witness)
    with pytest.raises(NeedsJustification):
        await closer.close(ticket, cast.alice, asking(run))
    assert [item.state for item in await closer.verifications(ticket)] == ["failed"]
    assert (await world.tickets.desk.get(ticket)).state is State.ASSIGNED
    witness.touch()
    assert [item.state for item in await closer.verify(ticket, cast.alice)] == ["passed"]
    await closer.close(ticket, cast.alice, asking(run, minutes=25))
    closed = await world.tickets.stories.of(ticket)
    assert (closed.ticket.state, closed.minutes, closed.closing.justification) == (State.CLOSED, 25, "")
    with pytest.raises(Conflict):
        await world.tickets.gate.require_open(ticket)


async def test_a_result_that_does_not_hold_is_closed_only_with_a_reason_and_becomes_a_proposed_change(
    world: Any, cast: Any, ticket: int, machine: Any, tmp_path: Any
) -> None:
    run = await followed(world, cast.alice, ticket, machine.machine_id, tmp_path / "temoin.txt")
    asked = asking(
        run,
        verdict=Verdict.WRONG,
        remark="L'étape s1 oublie le redémarrage.",
        justification="Le client a remplacé le poste.",
    )
    draft_id = await world.tickets.closer.close(ticket, cast.alice, asked)
    draft = await world.procedures.library.get(draft_id)
    assert (draft.code, draft.author_id, draft.reason) == (
        "tst-001",
        cast.alice.id,
        "L'étape s1 oublie le redémarrage.",
    )
    assert (draft.evidence["ticket"], draft.evidence["run"]) == (ticket, run.id)
    assert await world.tickets.closer.propose(ticket, cast.bruno) == draft_id, "made once"


async def test_a_missing_procedure_becomes_a_draft_of_a_new_one(world: Any, cast: Any, ticket: int) -> None:
    asked = asking(verdict=Verdict.MISSING, remark="Il faudrait une procédure pour la balance.")
    draft = await world.procedures.library.get(await world.tickets.closer.close(ticket, cast.alice, asked))
    assert draft.evidence["ticket"] == ticket
    assert draft.code != "tst-001"


async def test_without_an_agents_word_closing_must_be_explained(
    world: Any, cast: Any, ticket: int, tmp_path: Any
) -> None:
    run = await followed(world, cast.alice, ticket, None, tmp_path / "temoin.txt")
    with pytest.raises(NeedsJustification):
        await world.tickets.closer.close(ticket, cast.alice, asking(run))
    assert [item.state for item in await world.tickets.closer.verifications(ticket)] == ["unavailable"]


async def test_a_run_that_is_still_followed_keeps_the_ticket_open(
    world: Any, cast: Any, ticket: int, tmp_path: Any
) -> None:
    run = await world.procedures.runs.start("tst-001", "fr", None, ticket, cast.alice, {"path": str(tmp_path / "x")})
    with pytest.raises(Conflict, match="témoin"):
        await world.tickets.closer.close(ticket, cast.alice, asking(run))


async def test_closing_ends_open_calls_and_a_stale_page_closes_nothing(world: Any, cast: Any, ticket: int) -> None:
    call = await world.tickets.escalations.call(ticket, cast.alice, skill="impression")
    with pytest.raises(Conflict):
        await world.tickets.closer.close(ticket, cast.alice, asking(verdict=Verdict.NONE, revision=7))
    await world.tickets.closer.close(ticket, cast.alice, asking(verdict=Verdict.NONE))
    assert (await world.tickets.escalations.get(call)).state == "cancelled"
    with pytest.raises(Conflict):
        await world.tickets.closer.close(ticket, cast.alice, asking(verdict=Verdict.NONE, revision=2))


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"resolution": " "}, Invalid),
        ({"resolution": "x" * 5001}, Invalid),
        ({"verdict": Verdict.MISSING, "remark": ""}, Invalid),
        ({"verdict": Verdict.CORRECT}, Invalid),
        ({"verdict": Verdict.NONE, "run_id": 4711}, Invalid),
        ({"verdict": Verdict.NONE, "minutes": 1441}, Invalid),
    ],
)
async def test_what_is_not_said_is_asked_for(services: Any, cast: Any, change: Any, error: Any) -> None:
    from compagnon.audit import Actor

    client = await services.kernel.directory.add_client(kind="company", name="X", actor=Actor.member(cast.ada.id))
    number = await services.tickets.desk.open(
        NewTicket(client_id=client.id, title="x", owner_id=cast.alice.id), cast.alice
    )
    with pytest.raises(error):
        await services.tickets.closer.close(number, cast.alice, asking(**change))
    with pytest.raises(Forbidden):
        await services.tickets.closer.close(number, cast.bruno, asking(verdict=Verdict.NONE))
    with pytest.raises(NotFound):
        await services.tickets.closer.close(number + 1, cast.alice, asking(verdict=Verdict.NONE))


async def test_no_run_starts_while_its_ticket_is_being_closed(
    world: Any, cast: Any, ticket: int, tmp_path: Any
) -> None:
    runs, values = world.procedures.runs, {"path": str(tmp_path / "x")}
    async with world.kernel.db.transaction() as conn:  # somebody else is closing it
        await conn.execute("SELECT FROM tickets WHERE id = %s FOR UPDATE", (ticket,))
        starting = asyncio.create_task(runs.start("tst-001", "fr", None, ticket, cast.alice, values))
        await asyncio.sleep(0.3)
        assert not starting.done()
        await conn.execute("UPDATE tickets SET state = 'closed', closed_at = now() WHERE id = %s", (ticket,))
    with pytest.raises(Conflict):
        await starting
    assert await runs.for_ticket(ticket) == []


async def test_a_run_that_starts_while_the_result_is_looked_at_keeps_the_ticket_open(
    world: Any, cast: Any, ticket: int, tmp_path: Any, monkeypatch: Any
) -> None:
    closer, runs = world.tickets.closer, world.procedures.runs
    look = closer._look

    async def slow(*args: Any) -> None:
        await look(*args)
        await runs.start("tst-001", "fr", None, ticket, cast.alice, {"path": str(tmp_path / "x")})

    monkeypatch.setattr(closer, "_look", slow)
    with pytest.raises(Conflict, match="témoin"):
        await closer.close(ticket, cast.alice, asking(verdict=Verdict.NONE))
    assert (await world.tickets.desk.get(ticket)).state is State.ASSIGNED


async def test_a_ticket_stays_open_while_an_agent_is_at_work_for_it(
    world: Any, cast: Any, ticket: int, tmp_path: Any
) -> None:
    run = await followed(world, cast.alice, ticket, None, tmp_path / "x")
    await world.tickets.closer.verify(ticket, cast.alice)
    async with world.kernel.db.transaction() as conn:
        await conn.execute(
            "INSERT INTO run_attempts (id, run_id, phase, member_id, machine_id)"
            " VALUES (gen_random_uuid(), %s, 'verify', %s, 1)",
            (run.id, cast.alice.id),
        )
    with pytest.raises(Conflict, match="at work"):
        await world.tickets.closer.close(ticket, cast.alice, asking(run, justification="Le client le voit."))


async def test_a_change_is_proposed_once_and_only_by_the_tickets_people(world: Any, cast: Any, ticket: int) -> None:
    closer = world.tickets.closer
    await closer.close(ticket, cast.alice, asking(verdict=Verdict.MISSING, remark="Il faudrait une procédure."))
    async with world.kernel.db.transaction() as conn:
        await conn.execute("UPDATE ticket_closings SET draft_id = NULL")
        await conn.execute("UPDATE procedure_versions SET state = 'discarded', ended_at = now() WHERE number IS NULL")
    with pytest.raises(Forbidden):
        await closer.propose(ticket, cast.bruno)
    made = await asyncio.gather(*(closer.propose(ticket, cast.alice) for _ in range(6)))
    assert len(set(made)) == 1
    own, _ = await world.procedures.library.open_for(cast.alice)
    assert [draft.id for draft in own] == [made[0]]
    assert await closer.propose(ticket, cast.bruno) == made[0], "what is made may be looked at"
