"""Requests that wait for a machine that is away: looked at again first, sent once, ended by what ends them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from compagnon.errors import Conflict, Invalid
from procedures.ports import Phase, ReportState, StepReport
from procedures.runs.model import Outcome
from procedures.runs.service import Runs


@pytest.fixture
def witness(tmp_path) -> Path:
    return tmp_path / "temoin.txt"


@pytest.fixture
async def away(rooms, procedure_text, witness):
    """A run whose current step has work and checks for the agent; the machine is away."""
    await rooms.library.import_text(procedure_text, rooms.ada, publish=True)
    values = {"path": str(witness)}
    run = await rooms.runs.start("tst-001", "fr", rooms.machine, rooms.ticket, rooms.alice, values)
    gone(rooms)
    return await rooms.runs.attest(run.id, rooms.alice, revision=run.revision, outcome=Outcome.DONE)


def gone(rooms):
    rooms.agent.online = False
    rooms.agent.machines[rooms.machine] = replace(rooms.agent.machines[rooms.machine], online=False)


async def back(rooms):
    rooms.agent.online = True
    rooms.agent.machines[rooms.machine] = replace(rooms.agent.machines[rooms.machine], online=True)
    await rooms.runs.machine_returned(rooms.machine)
    await rooms.runs.settled()


async def queue(rooms, run, phase=Phase.EXECUTE, member=None, hours=24):
    run = await rooms.runs.get(run.id)
    return await rooms.runs.ask_when_back(
        run.id, member or rooms.alice, revision=run.revision, phase=phase, hours=hours
    )


async def states(rooms, run):
    return [(one.phase, one.state, one.why) for one in (await rooms.runs.show(run.id)).attempts]


async def test_it_waits_is_looked_at_first_and_is_done_once(rooms, away, witness):
    attempt = await queue(rooms, away)
    assert attempt.queued
    assert rooms.agent.executed == []
    assert [one.attempt_id for one in await rooms.runs.waiting_for_machine(rooms.machine)] == [attempt.id]
    assert [one.attempt_id for one in await rooms.runs.waiting_for_ticket(rooms.ticket)] == [attempt.id]
    await back(rooms)
    assert rooms.agent.executed == [(attempt.id, "s2")]
    assert witness.exists()
    assert [one[:2] for one in await states(rooms, away)] == [
        ("execute", "done"), ("check", "done"), ("verify", "done")
    ]  # fmt: skip
    assert (await rooms.runs.get(away.id)).current_step != "s2", "verified: the step is done"
    await back(rooms)
    assert len(rooms.agent.executed) == 1


async def test_what_is_true_already_is_not_done(rooms, away, witness):
    await queue(rooms, away)
    witness.touch()
    await back(rooms)
    assert rooms.agent.executed == []
    assert ("execute", "abandoned", "already_true") in await states(rooms, away)
    assert (await rooms.runs.get(away.id)).current_step == "s2", "whether it counts as done is for a person"


async def test_the_machine_goes_away_between_the_look_and_the_work(rooms, away, witness):
    attempt = await queue(rooms, away)
    execute = rooms.agent.execute_step

    async def cut(request):
        if request.phase is Phase.EXECUTE:
            gone(rooms)
        return await execute(request)

    rooms.agent.execute_step = cut
    await back(rooms)
    assert rooms.agent.executed == []
    assert [one.attempt_id for one in await rooms.runs.waiting_for_machine(rooms.machine)] == [attempt.id]
    rooms.agent.execute_step = execute
    await back(rooms)
    assert rooms.agent.executed == [(attempt.id, "s2")]


async def test_a_server_killed_after_the_look_sends_it_once(rooms, away, witness):
    """The attempt was released (committed) and the process died: the next one asks again, the agent knows it."""
    attempt = await queue(rooms, away)
    rooms.agent.hold = asyncio.Event()
    rooms.agent.online = True
    await rooms.runs.machine_returned(rooms.machine)  # the look is under way
    for task in tuple(rooms.runs._tasks):
        task.cancel()
    await asyncio.gather(*rooms.runs._tasks, return_exceptions=True)
    rooms.agent.hold = None
    again = Runs(rooms.kernel, rooms.library, rooms.agent, rooms.desk, [])
    assert await again.recover() == 1
    await again.machine_returned(rooms.machine)
    await again.settled()
    assert rooms.agent.executed == [(attempt.id, "s2")]


async def test_two_processes_take_it_up_at_once(rooms, away):
    attempt = await queue(rooms, away)
    rooms.agent.online = True
    other = Runs(rooms.kernel, rooms.library, rooms.agent, rooms.desk, [])
    await asyncio.gather(rooms.runs.machine_returned(rooms.machine), other.machine_returned(rooms.machine))
    await rooms.runs.settled()
    await other.settled()
    await rooms.runs.settled()
    assert rooms.agent.executed == [(attempt.id, "s2")]


async def test_it_expires(rooms, away):
    await queue(rooms, away)
    assert await rooms.runs.expire_waiting() == 0
    async with rooms.kernel.db.transaction() as conn:
        await conn.execute("UPDATE run_attempts SET expires_at = now() - interval '1 second'")
    await back(rooms)
    assert rooms.agent.executed == []
    assert await states(rooms, away) == [("execute", "abandoned", "expired")]
    gone(rooms)
    await queue(rooms, away)
    async with rooms.kernel.db.transaction() as conn:
        await conn.execute("UPDATE run_attempts SET expires_at = now() - interval '1 second'")
    assert await rooms.runs.expire_waiting() == 1


async def test_a_closed_ticket_ends_it(rooms, away):
    await queue(rooms, away)
    rooms.desk.closed.add(rooms.ticket)
    await back(rooms)
    assert await states(rooms, away) == [("execute", "abandoned", "ticket_closed")]


async def test_handing_on_and_giving_up_end_it(rooms, away):
    await queue(rooms, away)
    run = await rooms.runs.get(away.id)
    await rooms.runs.hand_over(run.id, rooms.alice, revision=run.revision, to_id=rooms.bruno.id)
    assert await states(rooms, away) == [("execute", "abandoned", "handed_over")]
    await queue(rooms, away, member=rooms.bruno)
    run = await rooms.runs.get(away.id)
    await rooms.runs.abandon(run.id, rooms.bruno, revision=run.revision, reason="Le client remplace le poste")
    await back(rooms)
    assert rooms.agent.executed == []


async def test_whoever_may_no_longer_act_asked_in_vain(rooms, away):
    run = await rooms.runs.get(away.id)
    await rooms.runs.hand_over(run.id, rooms.alice, revision=run.revision, to_id=rooms.bruno.id)
    await queue(rooms, away)
    rooms.desk.allowed.clear()
    await back(rooms)
    assert await states(rooms, away) == [("execute", "abandoned", "not_allowed")]


async def test_meanwhile_nothing_else_is_asked_and_it_can_be_cancelled(rooms, away):
    attempt = await queue(rooms, away)
    run = await rooms.runs.get(away.id)
    with pytest.raises(Conflict):
        await queue(rooms, away)
    with pytest.raises(Conflict):
        await rooms.runs.ask(run.id, rooms.alice, revision=run.revision, phase=Phase.VERIFY)
    with pytest.raises(Conflict):
        await rooms.runs.attest(run.id, rooms.alice, revision=run.revision, outcome=Outcome.DONE)
    await rooms.runs.stop_waiting(run.id, rooms.alice, attempt.id)
    assert await rooms.runs.waiting_for_machine(rooms.machine) == []
    await back(rooms)
    assert rooms.agent.executed == []


async def test_hours_out_of_bounds_and_a_stale_page(rooms, away):
    for hours in (0, 169):
        with pytest.raises(Invalid):
            await queue(rooms, away, hours=hours)
    with pytest.raises(Conflict):
        await rooms.runs.ask_when_back(away.id, rooms.alice, revision=away.revision - 1, phase=Phase.EXECUTE)


async def test_a_machine_that_came_back_meanwhile_is_asked_at_once(rooms, away):
    rooms.agent.online = True
    rooms.agent.machines[rooms.machine] = replace(rooms.agent.machines[rooms.machine], online=True)
    attempt = await queue(rooms, away)
    await rooms.runs.settled()
    assert rooms.agent.executed == [(attempt.id, "s2")]


async def test_a_late_report_of_one_that_waits_again_is_kept(rooms, away):
    """The agent did it, and the answer was lost: it brings it when it is back."""
    attempt = await queue(rooms, away)
    now = datetime.now(UTC)
    done = StepReport(state=ReportState.DONE, output="fait", exit_code=0, checks=(), started=now, ended=now)
    assert await rooms.runs.record_report(attempt.id, done, machine_id=rooms.machine)
    assert (await states(rooms, away))[0] == ("execute", "done", "")
