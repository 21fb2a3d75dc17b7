"""Requests to the agent that end otherwise than hoped: stopped, late, repeated, for a closed ticket, of the result."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import psycopg
import pytest

from compagnon.errors import Conflict, Forbidden, Invalid, NotFound
from procedures.ports import Phase, ReportState, StepReport
from procedures.runs import store
from procedures.runs.model import Outcome, ResultState
from procedures.runs.service import Runs


@pytest.fixture
async def at_s2(rooms, procedure_text, tmp_path):
    """A run whose current step has work and checks for the agent."""
    await rooms.library.import_text(procedure_text, rooms.ada, publish=True)
    values = {"path": str(tmp_path / "temoin.txt")}
    run = await rooms.runs.start("tst-001", "fr", rooms.machine, rooms.ticket, rooms.alice, values)
    return await rooms.runs.attest(run.id, rooms.alice, revision=run.revision, outcome=Outcome.DONE)


async def ask(rooms, run, phase=Phase.EXECUTE):
    run = await rooms.runs.get(run.id)
    return await rooms.runs.ask(run.id, rooms.alice, revision=run.revision, phase=phase)


async def waiting_execution(rooms, run):
    rooms.agent.hold = asyncio.Event()
    return await ask(rooms, run)


def report(state=ReportState.DONE, **more):
    now = datetime.now(UTC)
    known = {"state": state, "output": "tardif", "exit_code": 0, "checks": (), "started": now, "ended": now}
    return StepReport(**{**known, **more})


async def audited(rooms, action):
    async with rooms.kernel.db.connection() as conn:
        query = "SELECT count(*) FROM audit_log WHERE action = %s"
        return (await (await conn.execute(query, (action,))).fetchone())[0]


async def test_a_stopped_request_ends_no_step_and_verifies_nothing(rooms, at_s2):
    attempt = await waiting_execution(rooms, at_s2)
    await rooms.runs.stop_waiting(at_s2.id, rooms.alice, attempt.id)
    assert rooms.agent.cancelled == [(rooms.machine, attempt.id)]
    rooms.agent.hold.set()
    await rooms.runs.settled()
    seen = await rooms.runs.show(at_s2.id)
    assert [(one.state, one.exit_code) for one in seen.attempts] == [("abandoned", 0)]
    assert (seen.run.current_step, seen.waiting) == ("s2", None)
    assert await rooms.runs.record_report(attempt.id, report()) is False, "known already"


async def test_a_gateway_in_trouble_does_not_keep_a_member_waiting(rooms, at_s2):
    attempt = await waiting_execution(rooms, at_s2)

    async def broken(machine_id, attempt_id):
        raise RuntimeError("wire cut")

    rooms.agent.cancel_step = broken
    await rooms.runs.stop_waiting(at_s2.id, rooms.alice, attempt.id)
    assert (await rooms.runs.show(at_s2.id)).waiting is None
    rooms.agent.hold.set()


async def test_giving_a_run_up_cancels_what_its_agent_is_at(rooms, at_s2):
    attempt = await waiting_execution(rooms, at_s2)
    run = await rooms.runs.get(at_s2.id)
    await rooms.runs.abandon(run.id, rooms.alice, revision=run.revision, reason="le client rappellera")
    assert rooms.agent.cancelled == [(rooms.machine, attempt.id)]
    assert (await rooms.runs.show(run.id)).attempts[0].state == "abandoned"
    rooms.agent.hold.set()


async def test_windows_exit_statuses_are_kept(rooms, at_s2):
    rooms.agent.online = False
    attempt = await ask(rooms, at_s2)
    await rooms.runs.settled()
    assert await rooms.runs.record_report(attempt.id, report(ReportState.FAILED, exit_code=2**32 - 1))
    assert (await rooms.runs.show(at_s2.id)).attempts[0].exit_code == 2**32 - 1


async def test_only_the_machine_that_was_asked_reports(rooms, at_s2):
    rooms.agent.online = False
    attempt = await ask(rooms, at_s2)
    await rooms.runs.settled()
    with pytest.raises(NotFound):
        await rooms.runs.record_report(attempt.id, report(), machine_id=rooms.machine + 1)
    assert await rooms.runs.record_report(attempt.id, report(), machine_id=rooms.machine) is True
    await rooms.runs.settled()
    assert await rooms.runs.record_report(attempt.id, report(), machine_id=rooms.machine) is False


async def test_a_late_report_waits_for_the_request_made_since(rooms, at_s2):
    rooms.agent.online = False
    first = await ask(rooms, at_s2)
    await rooms.runs.settled()
    rooms.agent.online, rooms.agent.hold = True, asyncio.Event()
    second = await ask(rooms, at_s2, Phase.VERIFY)
    assert await rooms.runs.record_report(first.id, report()) is True
    assert (await rooms.runs.show(at_s2.id)).waiting.id == second.id
    with pytest.raises(Conflict, match="at work"):
        await rooms.runs.ask_again(at_s2.id, rooms.alice, first.id)
    rooms.agent.hold.set()


async def test_nothing_is_sent_again_for_a_closed_ticket(rooms, at_s2):
    attempt = await waiting_execution(rooms, at_s2)
    await _die(rooms)
    rooms.agent.journal.clear()
    executed = len(rooms.agent.executed)
    rooms.desk.closed.add(rooms.ticket)
    born_again = Runs(rooms.kernel, rooms.library, rooms.agent, rooms.desk, [])
    assert await born_again.recover() == 0
    await born_again.settled()
    assert len(rooms.agent.executed) == executed
    assert [one.state for one in (await born_again.show(at_s2.id)).attempts if one.id == attempt.id] == ["abandoned"]


async def _die(rooms):
    """The process dies: nothing is written after this."""
    await asyncio.sleep(0.2)
    for task in tuple(rooms.runs._tasks):
        task.cancel()
    await asyncio.gather(*rooms.runs._tasks, return_exceptions=True)


async def test_who_may_not_act_asks_for_no_result(rooms, at_s2):
    with pytest.raises(Forbidden):
        await rooms.runs.verify_result(at_s2.id, rooms.bruno)
    rooms.desk.closed.add(rooms.ticket)
    with pytest.raises(Conflict, match="closed"):
        await rooms.runs.verify_result(at_s2.id, rooms.alice)
    assert await audited(rooms, "run.asked") == 0


async def test_a_question_about_the_result_is_committed_before_it_is_sent(rooms, at_s2):
    look, states = rooms.agent.run_checks, []

    async def looking(*args, **more):
        states.extend((one.of_result, one.state) for one in (await rooms.runs.show(at_s2.id)).attempts)
        states.append(await audited(rooms, "run.asked"))
        with pytest.raises(Conflict, match="already"):
            await rooms.runs.verify_result(at_s2.id, rooms.alice)
        return await look(*args, **more)

    rooms.agent.run_checks = looking
    verification = await rooms.runs.verify_result(at_s2.id, rooms.alice)
    assert (verification.state, states) == (ResultState.FAILED, [(True, "open"), 1])
    seen = await rooms.runs.show(at_s2.id)
    assert [(one.step_id, one.state) for one in seen.attempts] == [("result", "done")]
    assert (seen.run.result["state"], seen.run.current_step) == ("failed", "s2")
    assert await audited(rooms, "run.reported") == 1


async def test_a_machine_out_of_reach_says_nothing_about_the_result(rooms, at_s2):
    rooms.agent.online = False
    assert (await rooms.runs.verify_result(at_s2.id, rooms.alice)).state is ResultState.UNAVAILABLE
    rooms.agent.online = True
    assert (await rooms.runs.verify_result(at_s2.id, rooms.alice)).state is ResultState.FAILED


async def test_a_parent_is_a_step_of_a_run_of_the_same_ticket(rooms, at_s2):
    async def child(parent, ticket=rooms.ticket):
        values = {"path": "/tmp/x"}
        return await rooms.runs.start("tst-001", "fr", None, ticket, rooms.alice, values, parent=parent)

    for parent, ticket in (
        ((at_s2.id + 99, "s2"), rooms.ticket),
        ((at_s2.id, "s9"), rooms.ticket),
        ((at_s2.id, "s2"), None),
    ):
        with pytest.raises(Invalid, match="led here"):
            await child(parent, ticket)
    assert (await child((at_s2.id, "s2"))).parent_id == at_s2.id


async def test_the_list_of_ended_runs_is_cut_before_anything_is_joined(rooms, at_s2):
    async with rooms.kernel.db.transaction() as conn:
        await conn.execute("SET LOCAL enable_seqscan = off")
        await conn.execute("SET LOCAL enable_sort = off")
        plan = "\n".join(row[0] for row in await (await conn.execute("EXPLAIN " + store.ENDED)).fetchall())
    assert "runs_ended" in plan
    assert plan.index("Limit") < plan.index("runs_ended")


async def test_a_step_is_never_asked_for_without_its_visit(rooms, at_s2):
    with pytest.raises(psycopg.errors.CheckViolation):
        async with rooms.kernel.db.transaction() as conn:
            await store.ask(
                conn, "00000000-0000-4000-8000-000000000000", run=at_s2, visit_id=None, phase="execute", member_id=1
            )
