"""Runs on a real database with an agent that really does things, in a temporary folder."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from compagnon import audit
from compagnon.errors import Conflict, Forbidden, Invalid, NotFound
from procedures.ports import MachineRef, Phase
from procedures.runs.model import EvidenceKind, Outcome, ResultState, RunState
from procedures.runs.service import Runs

PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)


@pytest.fixture
async def begun(rooms, procedure_text, tmp_path):
    """A run of the test procedure on the machine, for the ticket, held by Alice."""
    await rooms.library.import_text(procedure_text, rooms.ada, publish=True)
    path = tmp_path / "temoin.txt"
    run = await rooms.runs.start("tst-001", "fr", rooms.machine, rooms.ticket, rooms.alice, {"path": str(path)})
    return run, path


async def attest(rooms, run, outcome=Outcome.DONE, member=None, **more):
    return await rooms.runs.attest(run.id, member or rooms.alice, revision=run.revision, outcome=outcome, **more)


async def ask(rooms, run, phase, member=None):
    await rooms.runs.ask(run.id, member or rooms.alice, revision=run.revision, phase=phase)
    await rooms.runs.settled()
    return await rooms.runs.get(run.id)


async def test_a_run_goes_through_step_by_step_to_a_verified_result(rooms, begun):
    run, path = begun
    assert (run.current_step, run.number, run.state) == ("s1", 1, RunState.ACTIVE)
    run = await attest(rooms, run)
    assert run.current_step == "s2"
    run = await ask(rooms, run, Phase.CHECK)
    assert run.current_step == "s2"
    run = await ask(rooms, run, Phase.EXECUTE)  # executed, then verified by itself
    assert path.exists()
    assert run.current_step == "s3"
    await rooms.runs.add_note(run.id, rooms.alice, "vert")
    run = await attest(rooms, run)
    assert (run.state, run.current_step) == (RunState.COMPLETED, None)
    seen = await rooms.runs.show(run.id)
    assert [(v.step_id, v.outcome, v.attested_by, v.verified_by) for v in seen.visits] == [
        ("s1", "done", rooms.alice.id, None),
        ("s2", "done", None, rooms.machine),
        ("s3", "done", rooms.alice.id, None),
    ]
    verification = await rooms.runs.verify_result(run.id, rooms.alice)
    assert verification.state is ResultState.PASSED
    path.unlink()
    assert (await rooms.runs.verify_result(run.id, rooms.alice)).state is ResultState.FAILED
    assert rooms.watcher.seen == [
        ("started", "s1"), ("done", "s1"), ("started", "s2"), ("done", "s2"), ("started", "s3"), ("done", "s3"),
    ]  # fmt: skip
    async with rooms.kernel.db.connection() as conn:
        assert (await audit.verify(conn)).broken is None


async def test_what_is_already_true_is_offered_and_only_then_accepted(rooms, begun):
    run, path = begun
    run = await attest(rooms, run)
    with pytest.raises(Invalid, match="not found"):
        await attest(rooms, run, Outcome.ALREADY_TRUE)
    path.touch()
    run = await ask(rooms, run, Phase.CHECK)
    assert run.current_step == "s2"  # a check before changes nothing by itself
    run = await attest(rooms, run, Outcome.ALREADY_TRUE)
    visit = (await rooms.runs.show(run.id)).last_visit("s2")
    assert (visit.outcome, visit.verified_by, rooms.agent.executed) == ("already_true", rooms.machine, [])


async def test_a_failed_step_goes_back_once_then_waits_for_a_decision(rooms, begun):
    run, _ = begun
    run = await attest(rooms, run)
    run = await attest(rooms, run, Outcome.FAILED)
    assert run.current_step == "s1"
    run = await attest(rooms, run)
    run = await attest(rooms, run, Outcome.FAILED)
    assert run.current_step == "s2"
    seen = await rooms.runs.show(run.id)
    assert seen.position.blocked
    assert seen.position.branch.escalate == "impression"
    run = await attest(rooms, run, Outcome.SKIPPED, justification="fait par le client")
    assert run.current_step == "s3"
    assert [visit.step_id for visit in (await rooms.runs.show(run.id)).deviations] == ["s2"]


async def test_an_observer_in_trouble_does_not_stop_a_run(rooms, begun):
    run, _ = begun
    run = await attest(rooms, run)
    run = await attest(rooms, run, Outcome.FAILED)  # the watcher raises
    assert run.current_step == "s1"


async def test_skipping_needs_a_reason(rooms, begun):
    run, _ = begun
    for justification in ("", " ", "x"):
        with pytest.raises(Invalid, match="why"):
            await attest(rooms, run, Outcome.SKIPPED, justification=justification)


async def test_evidence_that_a_step_asks_for_is_needed_to_call_it_done(rooms, begun):
    run, path = begun
    path.touch()
    run = await attest(rooms, run)
    run = await ask(rooms, run, Phase.VERIFY)
    assert run.current_step == "s3"
    with pytest.raises(Invalid) as missing:
        await attest(rooms, run)
    assert missing.value.field == "note"
    await rooms.runs.add_note(run.id, rooms.alice, "sortie", kind=EvidenceKind.OUTPUT)
    with pytest.raises(Invalid):
        await attest(rooms, run)
    assert (await attest(rooms, run, Outcome.SKIPPED, justification="sans voyant")).state is not RunState.ACTIVE


async def test_done_against_what_the_agent_found_needs_a_reason_and_is_a_deviation(rooms, begun):
    run, _ = begun
    run = await attest(rooms, run)
    run = await ask(rooms, run, Phase.VERIFY)
    assert run.current_step == "s2"
    with pytest.raises(Invalid, match="found otherwise"):
        await attest(rooms, run)
    run = await attest(rooms, run, justification="le fichier est ailleurs")
    visit = (await rooms.runs.show(run.id)).last_visit("s2")
    assert (visit.deviation, visit.verified_by) == (True, None)


async def test_of_two_who_act_at_once_the_second_is_told(rooms, begun):
    run, _ = begun
    rooms.desk.allowed.add((rooms.ticket, rooms.bruno.id))
    both = [attest(rooms, run), attest(rooms, run, member=rooms.bruno)]
    results = await asyncio.gather(*both, return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["Conflict", "Run"]
    assert (await rooms.runs.get(run.id)).current_step == "s2"


async def test_only_the_holder_and_the_tickets_people_act(rooms, begun):
    run, _ = begun
    with pytest.raises(Forbidden, match="Alice"):
        await attest(rooms, run, member=rooms.bruno)
    with pytest.raises(Forbidden):
        await rooms.runs.add_note(run.id, rooms.bruno, "bonjour")
    run = await rooms.runs.hand_over(run.id, rooms.alice, revision=run.revision, to_id=rooms.bruno.id)
    assert run.member_id == rooms.bruno.id
    run = await attest(rooms, run, member=rooms.bruno)
    assert [(one.from_name, one.to_name) for one in (await rooms.runs.show(run.id)).handovers] == [("Alice", "Bruno")]


async def test_a_report_counts_once_however_often_it_comes(rooms, begun):
    run, _path = begun
    run = await attest(rooms, run)
    run = await ask(rooms, run, Phase.EXECUTE)
    ((attempt_id, _),) = rooms.agent.executed
    assert await rooms.runs.record_report(attempt_id, rooms.agent.journal[attempt_id]) is False
    assert (await rooms.runs.get(run.id)).revision == run.revision
    with pytest.raises(NotFound):
        await rooms.runs.record_report("00000000-0000-4000-8000-000000000000", rooms.agent.journal[attempt_id])
    with pytest.raises(NotFound):
        await rooms.runs.record_report("not a uuid", rooms.agent.journal[attempt_id])


async def test_a_server_killed_during_an_execution_takes_the_agents_result_at_its_return(rooms, begun):
    run, path = begun
    run = await attest(rooms, run)
    rooms.agent.hold = asyncio.Event()
    await rooms.runs.ask(run.id, rooms.alice, revision=run.revision, phase=Phase.EXECUTE)
    async with asyncio.timeout(5):
        while not path.exists():
            await asyncio.sleep(0.01)
    for task in tuple(rooms.runs._tasks):  # the process dies: nothing is written after this
        task.cancel()
    await asyncio.gather(*rooms.runs._tasks, return_exceptions=True)
    assert (await rooms.runs.show(run.id)).waiting is not None
    rooms.agent.hold = None
    born_again = Runs(rooms.kernel, rooms.library, rooms.agent, rooms.desk, [])
    assert await born_again.recover() == 1
    await born_again.settled()
    assert len(rooms.agent.executed) == 1  # asked twice, done once
    seen = await born_again.show(run.id)
    assert (seen.run.current_step, seen.waiting) == ("s3", None)
    assert await born_again.recover() == 0


async def test_a_silent_machine_is_asked_again_and_does_nothing_twice(rooms, begun):
    run, _path = begun
    run = await attest(rooms, run)
    rooms.agent.online = False
    run = await ask(rooms, run, Phase.EXECUTE)
    seen = await rooms.runs.show(run.id)
    (attempt,) = seen.attempts
    assert (attempt.state, run.current_step) == ("unreachable", "s2")
    rooms.agent.online = True
    await rooms.runs.ask_again(run.id, rooms.alice, attempt.id)
    await rooms.runs.settled()
    assert (await rooms.runs.get(run.id)).current_step == "s3"
    with pytest.raises(Conflict, match="over"):
        await rooms.runs.ask_again(run.id, rooms.alice, attempt.id)


async def test_while_the_agent_is_at_work_nobody_decides_unless_they_stop_waiting(rooms, begun):
    run, _path = begun
    run = await attest(rooms, run)
    rooms.agent.hold = asyncio.Event()
    attempt = await rooms.runs.ask(run.id, rooms.alice, revision=run.revision, phase=Phase.EXECUTE)
    run = await rooms.runs.get(run.id)
    with pytest.raises(Conflict, match="at work"):
        await attest(rooms, run)
    await rooms.runs.stop_waiting(run.id, rooms.alice, attempt.id)
    run = await attest(rooms, await rooms.runs.get(run.id), Outcome.DONE)
    rooms.agent.hold.set()
    await rooms.runs.settled()
    late = (await rooms.runs.show(run.id)).attempts[0]
    assert (late.state, late.exit_code, run.current_step) == ("abandoned", 0, "s3")  # kept, and changes no outcome
    assert rooms.agent.cancelled == [(rooms.machine, attempt.id)]
    with pytest.raises(Conflict, match="answer already"):
        await rooms.runs.stop_waiting(run.id, rooms.alice, attempt.id)
    assert (await rooms.runs.show(run.id)).last_visit("s2").verified_by is None


async def test_a_refusal_of_the_gateway_is_an_attempt_without_answer(rooms, begun):
    run, _ = begun
    run = await attest(rooms, run)

    async def refuse(request):
        raise RuntimeError("wire cut")

    rooms.agent.execute_step = refuse
    run = await ask(rooms, run, Phase.EXECUTE)
    assert (await rooms.runs.show(run.id)).attempts[0].state == "unreachable"


async def test_the_agent_is_asked_only_what_the_step_has_for_it(rooms, begun):
    run, _ = begun
    with pytest.raises(Invalid, match="nothing for the agent"):
        await rooms.runs.ask(run.id, rooms.alice, revision=run.revision, phase=Phase.EXECUTE)
    run = await attest(rooms, run)
    rooms.desk.closed.add(rooms.ticket)
    with pytest.raises(Conflict, match="closed"):
        await rooms.runs.ask(run.id, rooms.alice, revision=run.revision, phase=Phase.EXECUTE)


async def test_without_a_ticket_a_run_is_followed_by_hand(rooms, procedure_text):
    await rooms.library.import_text(procedure_text, rooms.ada, publish=True)
    run = await rooms.runs.start("tst-001", "fr", None, None, rooms.alice, {"path": "/tmp/x"})
    with pytest.raises(Invalid, match="by hand"):
        await rooms.runs.ask(run.id, rooms.alice, revision=run.revision, phase=Phase.CHECK)
    run = await attest(rooms, await attest(rooms, run))
    assert run.current_step == "s3"
    assert (await rooms.runs.verify_result(run.id, rooms.alice)).state is ResultState.UNAVAILABLE


async def test_a_run_starts_only_where_it_may(rooms, procedure_text):
    await rooms.library.import_text(procedure_text, rooms.ada, publish=True)
    good = {"path": "/tmp/x"}
    start = rooms.runs.start
    with pytest.raises(Invalid) as bad:
        await start("tst-001", "fr", rooms.machine, rooms.ticket, rooms.alice, {"path": "relatif"})
    assert bad.value.field == "parameter-path"
    with pytest.raises(Invalid):
        await start("tst-001", "fr", rooms.machine, rooms.ticket, rooms.alice, {**good, "other": "1"})
    with pytest.raises(Forbidden):
        await start("tst-001", "fr", rooms.machine, rooms.ticket, rooms.bruno, good)
    with pytest.raises(NotFound):
        await start("tst-404", "fr", rooms.machine, rooms.ticket, rooms.alice, good)
    with pytest.raises(Invalid, match="no steps"):
        await start("poste-test", "fr", rooms.machine, rooms.ticket, rooms.alice, {})
    rooms.agent.machines[rooms.machine + 1] = MachineRef(
        id=rooms.machine + 1, name="autre", client_id=999, environment=None, online=True
    )
    with pytest.raises(Invalid, match="another client"):
        await start("tst-001", "fr", rooms.machine + 1, rooms.ticket, rooms.alice, good)
    rooms.desk.closed.add(rooms.ticket)
    with pytest.raises(Conflict):
        await start("tst-001", "fr", rooms.machine, rooms.ticket, rooms.alice, good)


async def test_a_run_stays_with_the_version_it_began_with(rooms, begun, procedure_text):
    run, _ = begun
    newer = procedure_text.replace(
        "### s1: Demandez", "### s0: Saluez la personne {importance=optional}\n\n### s1: Demandez"
    )
    await rooms.library.import_text(newer, rooms.ada, publish=True)
    seen = await rooms.runs.show(run.id)
    assert [step.id for step in seen.plan.steps] == ["s1", "s2", "s3"]
    assert (seen.run.number, seen.run.digest) == (1, run.digest)


async def test_pictures_are_judged_by_their_bytes_and_kept_by_their_digest(rooms, begun):
    run, _ = begun
    evidence_id = await rooms.runs.add_picture(run.id, rooms.alice, PNG, caption="le voyant")
    again = await rooms.runs.add_picture(run.id, rooms.alice, PNG)
    data, media_type = await rooms.runs.picture(run.id, evidence_id)
    assert (data, media_type) == (PNG, "image/png")
    assert evidence_id != again
    for bad in (b"", b"<svg onload=alert(1)>", b"GIF89a" + bytes(20)):
        with pytest.raises(Invalid):
            await rooms.runs.add_picture(run.id, rooms.alice, bad)
    with pytest.raises(Forbidden):
        await rooms.runs.add_picture(run.id, rooms.bruno, PNG + b"other bytes")
    with pytest.raises(Invalid):
        await rooms.runs.add_picture(run.id, rooms.alice, PNG + bytes(5 * 2**20))
    with pytest.raises(NotFound):
        await rooms.runs.picture(run.id + 1, evidence_id)
    files = [path for path in (rooms.kernel.settings.data_dir / "evidence").rglob("*") if path.is_file()]
    assert len(files) == 1
    assert Path(files[0]).stat().st_mode & 0o077 == 0


async def test_a_run_can_be_given_up_with_a_reason_and_is_then_over(rooms, begun):
    run, _ = begun
    with pytest.raises(Invalid):
        await rooms.runs.abandon(run.id, rooms.alice, revision=run.revision, reason=" ")
    run = await rooms.runs.abandon(run.id, rooms.alice, revision=run.revision, reason="le client rappellera")
    assert (run.state, run.end_reason) == (RunState.ABANDONED, "le client rappellera")
    with pytest.raises(Conflict, match="over"):
        await attest(rooms, run)
    assert (await rooms.runs.show(run.id)).current is None


async def test_lists_of_runs(rooms, begun):
    run, _ = begun
    assert [one.id for one in await rooms.runs.for_ticket(rooms.ticket)] == [run.id]
    assert [one.id for one in await rooms.runs.for_machine(rooms.machine)] == [run.id]
    assert [one.id for one in await rooms.runs.active_for(rooms.alice)] == [run.id]
    assert await rooms.runs.active_for(rooms.bruno) == []
    active, ended = await rooms.runs.recent()
    assert ([one.id for one in active], list(ended)) == ([run.id], [])
    run = await rooms.runs.abandon(run.id, rooms.alice, revision=run.revision, reason="le client rappellera")
    active, ended = await rooms.runs.recent()
    assert (list(active), [one.id for one in ended]) == ([], [run.id])


async def test_hostile_output_is_kept_readable_and_bounded(rooms, begun):
    from procedures.ports import OUTPUT_LIMIT
    from procedures.runs.reports import output

    assert output("\x1b]0;owned\x07\x1b[31mrouge\x1b[0m\x00\r\nfin") == "rouge\nfin"
    assert len(output("é" * OUTPUT_LIMIT).encode()) <= OUTPUT_LIMIT


async def test_many_of_the_tickets_people_attest_at_once(rooms, procedure_text):
    await rooms.library.import_text(procedure_text, rooms.ada, publish=True)
    rooms.desk.allowed.add((rooms.ticket, rooms.bruno.id))
    runs = [
        await rooms.runs.start("tst-001", "fr", None, rooms.ticket, rooms.alice, {"path": "/tmp/x"}) for _ in range(12)
    ]
    async with asyncio.timeout(9):  # the pool gives up after 10 s
        done = await asyncio.gather(*(attest(rooms, run, member=rooms.bruno) for run in runs))
    assert {run.current_step for run in done} == {"s2"}
