"""The scheduled checks of a real agent: also while the server is away; changes only, everything daily."""

from __future__ import annotations

import asyncio
import uuid

from compagnon_agent.protocol.checks import Outcome, parse_checks
from compagnon_agent.protocol.duties import schedule_digest
from compagnon_agent.protocol.messages import (
    Checked,
    CheckNow,
    CheckReport,
    ConsentWithdrawn,
    Problem,
    Schedule,
)

PERIOD = 30


def schedule_of(*paths, version: int = 1) -> Schedule:
    checks = tuple(check for path in paths for check in parse_checks({"file": {str(path): {"exists": True}}}))
    return Schedule(environment="poste", version=version, period=PERIOD, checks=checks)


async def now(server) -> str:
    request = str(uuid.uuid4())
    await server.send(CheckNow(request_id=request))
    return request


async def test_everything_first_then_only_what_the_server_asks_for(speaking_server, runner, tmp_path):
    await runner.start()
    await speaking_server.connected()
    schedule = schedule_of(tmp_path, tmp_path / "temoin")
    await speaking_server.send(schedule)
    report = await speaking_server.expect(CheckReport)
    assert report.full
    assert report.schedule == schedule_digest(schedule)
    assert [(one.index, one.outcome) for one in report.findings] == [(0, Outcome.PASSED), (1, Outcome.FAILED)]
    (tmp_path / "temoin").touch()
    request = await now(speaking_server)
    report = await speaking_server.expect(CheckReport)
    assert report.request_ids == (request,)
    assert [one.outcome for one in report.findings] == [Outcome.PASSED, Outcome.PASSED]


async def test_what_changes_while_the_server_is_away_arrives_afterwards(speaking_server, runner, tmp_path):
    """The schedule outlives the agent's process; the second evaluation tells its changes only."""
    await runner.start()
    await speaking_server.connected()
    await speaking_server.send(schedule_of(tmp_path, tmp_path / "temoin"))
    await speaking_server.expect(CheckReport)
    await runner.stop()
    await speaking_server.stop()
    (tmp_path / "temoin").touch()
    await runner.start()  # evaluates by itself within ten seconds, without any server
    await asyncio.sleep(13)
    await speaking_server.start()
    report = await speaking_server.expect(CheckReport, timeout=40)
    assert not report.full
    assert [(one.index, one.outcome) for one in report.findings] == [(1, Outcome.PASSED)]
    assert speaking_server.queued[-1].age < 60


async def test_an_unchanged_machine_says_so_in_one_line(speaking_server, runner, tmp_path):
    await runner.start()
    await speaking_server.connected()
    schedule = schedule_of(tmp_path)
    await speaking_server.send(schedule)
    await speaking_server.expect(CheckReport)
    await runner.stop()
    await runner.start()
    checked = await speaking_server.expect(Checked, timeout=40)
    assert checked.schedule == schedule_digest(schedule)


async def test_another_standard_replaces_the_one_before_and_none_ends_it(speaking_server, runner, tmp_path):
    await runner.start()
    await speaking_server.connected()
    await speaking_server.send(schedule_of(tmp_path))
    await speaking_server.expect(CheckReport)
    second = schedule_of(tmp_path, tmp_path, version=2)
    await speaking_server.send(second)
    report = await speaking_server.expect(CheckReport)
    assert (report.full, report.schedule, len(report.findings)) == (True, schedule_digest(second), 2)
    await speaking_server.send(Schedule(environment="", version=0, period=PERIOD, checks=()))
    request = await now(speaking_server)
    assert (await speaking_server.expect(CheckReport)).request_ids == (request,)


async def test_nothing_is_executed_by_a_schedule(speaking_server, runner, tmp_path):
    runner.policy('mode = "attended"\n')
    await runner.start()
    await speaking_server.connected()
    checks = parse_checks(
        {"command": {f"touch {tmp_path}/done": {"exit-status": 0}}, "file": {"/etc": {"exists": True}}}
    )
    await speaking_server.send(Schedule(environment="poste", version=1, period=PERIOD, checks=checks))
    report = await speaking_server.expect(CheckReport)
    assert [one.outcome for one in report.findings] == [Outcome.ERROR, Outcome.PASSED]
    assert not (tmp_path / "done").exists()


async def test_without_a_schedule_there_is_nothing_to_report(speaking_server, runner):
    await runner.start()
    await speaking_server.connected()
    request = await now(speaking_server)
    assert (await speaking_server.expect(Problem)).about == request


async def test_a_report_that_was_not_acknowledged_comes_again_the_same(speaking_server, runner, tmp_path):
    speaking_server.keeps = False
    await runner.start()
    await speaking_server.connected()
    await speaking_server.send(schedule_of(tmp_path))
    first = await speaking_server.expect(CheckReport)
    number = speaking_server.queued[-1].number
    await runner.kill()
    speaking_server.keeps = True
    await runner.start()
    assert await speaking_server.expect(CheckReport) == first
    again = [one for one in speaking_server.queued if one.number == number]
    assert len(again) == 2
    assert again[0].queue == again[1].queue


async def test_a_consent_taken_back_offline_is_told_later(speaking_server, runner):
    await runner.start()
    await speaking_server.connected()
    await speaking_server.stop()
    status, _ = await runner.command("withdraw")
    assert status == 0
    await speaking_server.start()
    withdrawn = await speaking_server.expect(ConsentWithdrawn, timeout=40)
    assert "all consents" in withdrawn.reason
