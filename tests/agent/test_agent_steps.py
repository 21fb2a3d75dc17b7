"""Steps of a real agent process: consent first, at most once, reported until acknowledged."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from compagnon_agent import audit
from compagnon_agent.protocol.checks import parse_checks
from compagnon_agent.protocol.messages import (
    Cancel,
    ConsentAnswer,
    ConsentSource,
    ConsentWithdrawn,
    StepAck,
    StepResult,
    StepState,
)
from compagnon_agent.protocol.parameters import Parameter, ParameterType


async def granted(server, make, manifest, **fields) -> None:
    await server.send(make.consent(manifest, **fields))
    answer = await server.expect(ConsentAnswer)
    assert answer.granted


async def outcome(server, request) -> StepResult:
    await server.send(request)
    return await server.expect(StepResult, where=lambda item: item.attempt_id == request.attempt_id)


@pytest.fixture
async def ready(speaking_server, runner):
    await runner.start()
    await speaking_server.connected()
    return speaking_server


async def test_a_consented_step_runs_and_reports(ready, make, tmp_path):
    target = tmp_path / "d'un fichier"
    manifest = make.manifest(
        "echo un; echo deux >&2",
        "touch {{path}} && printf '\\033[31mété\\033[0m\\n'",
        parameters=(Parameter(name="path", type=ParameterType.PATH),),
    )
    values = {"path": str(target)}
    await granted(ready, make, manifest, parameters=values)
    result = await outcome(ready, make.execute(manifest, parameters=values))
    assert (result.state, result.exit_code) == (StepState.DONE, 0)
    assert result.output == "un\ndeux\nété\n"
    assert target.exists()


async def test_without_consent_nothing_runs_and_nothing_is_remembered(ready, runner, make, tmp_path):
    runner.policy('mode = "attended"\n')
    marker = tmp_path / "ran"
    manifest = make.manifest(f"echo x >> {marker}")
    request = make.execute(manifest)
    result = await outcome(ready, request)
    assert (result.state, result.needs_consent) == (StepState.REFUSED, True)
    await ready.send(make.consent(manifest))
    answer = await ready.expect(ConsentAnswer)
    assert (answer.granted, answer.source, answer.reason) == (False, ConsentSource.NONE, "nobody can be asked here")
    assert not marker.exists()
    runner.policy('mode = "preagreed"\n[[grant]]\nkind = "procedure"\nprocedures = ["tst-*"]\nmax_risk = "medium"\n')
    await granted(ready, make, manifest)
    assert (await outcome(ready, request)).state is StepState.DONE
    assert marker.read_text() == "x\n"


async def test_a_consent_covers_one_digest_and_one_ticket(ready, runner, make, tmp_path):
    marker = tmp_path / "ran"
    manifest = make.manifest("true")
    await granted(ready, make, manifest)
    other = make.manifest(f"touch {marker}")
    assert (await outcome(ready, make.execute(other))).needs_consent
    assert (await outcome(ready, make.execute(manifest, ticket_id=8))).needs_consent
    assert not marker.exists()


async def test_a_consent_covers_the_values_that_were_shown(ready, make):
    manifest = make.manifest("echo {{ip}}", parameters=(Parameter(name="ip", type=ParameterType.IPV4),))
    await ready.send(make.consent(manifest))
    answer = await ready.expect(ConsentAnswer)
    assert (answer.granted, answer.reason) == (False, "ip: a value is needed")
    await granted(ready, make, manifest, parameters={"ip": "10.0.0.1"})
    assert (await outcome(ready, make.execute(manifest, parameters={"ip": "10.0.0.2"}))).needs_consent
    assert (await outcome(ready, make.execute(manifest, parameters={"ip": " 10.0.0.1 "}))).output == "10.0.0.1\n"


async def test_a_policy_grant_ends_with_the_policy(ready, runner, make):
    manifest = make.manifest("true")
    await granted(ready, make, manifest)
    runner.policy('mode = "attended"\n')
    assert (await outcome(ready, make.execute(manifest))).needs_consent


async def test_the_same_attempt_never_runs_twice(ready, make, tmp_path):
    marker = tmp_path / "ran"
    manifest = make.manifest(f"echo x >> {marker}; echo fait")
    await granted(ready, make, manifest)
    request = make.execute(manifest)
    first = await outcome(ready, request)
    again = await outcome(ready, request)
    assert first == again
    assert marker.read_text() == "x\n"


async def test_a_result_is_sent_again_until_it_is_acknowledged(ready, runner, make):
    manifest = make.manifest("echo fait")
    await granted(ready, make, manifest)
    request = make.execute(manifest)
    first = await outcome(ready, request)
    await ready.control.close()
    assert replace(await ready.expect(StepResult), age=0) == replace(first, age=0)
    await ready.send(StepAck(attempt_id=request.attempt_id))
    await asyncio.sleep(0.2)
    count = ready.connections
    await ready.control.close()
    await ready.connected(count + 1)
    await asyncio.sleep(0.5)
    assert not [item for item in ready.inbox if isinstance(item, StepResult)]


async def test_an_agent_killed_in_a_step_reports_it_and_does_not_run_it_again(ready, runner, make, tmp_path):
    marker, pid = tmp_path / "ran", tmp_path / "pid"
    manifest = make.manifest(f"echo x >> {marker}; echo $$ > {pid}; sleep 60")
    await granted(ready, make, manifest)
    request = make.execute(manifest)
    await ready.send(request)
    await ready.until(lambda: pid.exists() and pid.read_text().strip())
    await runner.kill()
    with suppress(ProcessLookupError):
        os.killpg(int(pid.read_text()), signal.SIGKILL)
    await runner.start()
    result = await ready.expect(StepResult)
    assert (result.attempt_id, result.state) == (request.attempt_id, StepState.FAILED)
    assert "interrupted" in result.reason
    assert (await outcome(ready, request)).reason == result.reason
    assert marker.read_text() == "x\n"
    assert audit.verify(runner.folder)[1] is None


async def test_a_finished_result_survives_a_kill(ready, runner, make):
    manifest = make.manifest("echo fait")
    await granted(ready, make, manifest)
    request = make.execute(manifest)
    first = await outcome(ready, request)
    await runner.kill()
    await runner.start()
    assert replace(await ready.expect(StepResult), age=0) == replace(first, age=0)


async def test_time_is_limited_and_the_whole_group_dies(ready, make, tmp_path):
    pid = tmp_path / "pid"
    manifest = make.manifest(f"(sleep 300 & echo $! > {pid}); echo avant; sleep 300", timeout=1)
    await granted(ready, make, manifest)
    result = await outcome(ready, make.execute(manifest))
    assert result.state is StepState.FAILED
    assert result.reason == "stopped after 1 s"
    assert result.output == "avant\n"
    assert not Path(f"/proc/{pid.read_text().strip()}/cmdline").exists() or not _alive(int(pid.read_text()))


def _alive(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    return "State:\tZ" not in status


async def test_a_service_that_keeps_the_output_open_does_not_hold_the_step(ready, make):
    manifest = make.manifest("sleep 30 & echo parti")
    await granted(ready, make, manifest)
    async with asyncio.timeout(10):
        result = await outcome(ready, make.execute(manifest))
    assert (result.state, result.output) == (StepState.DONE, "parti\n")


async def test_the_first_failure_ends_the_step(ready, make, tmp_path):
    marker = tmp_path / "second"
    manifest = make.manifest("echo raté; exit 3", f"touch {marker}")
    await granted(ready, make, manifest)
    result = await outcome(ready, make.execute(manifest))
    assert (result.state, result.exit_code, result.output) == (StepState.FAILED, 3, "raté\n")
    assert not marker.exists()


async def test_output_keeps_its_end_within_64_kib(ready, make):
    manifest = make.manifest('i=0; while [ $i -lt 30000 ]; do echo "ligne $i é\\""; i=$((i+1)); done; echo FIN')
    await granted(ready, make, manifest)
    result = await outcome(ready, make.execute(manifest))
    assert result.state is StepState.DONE
    assert result.output.endswith("FIN\n")
    assert 20_000 < len(result.output.encode()) <= 64 * 1024


async def test_a_step_can_be_cancelled(ready, make):
    manifest = make.manifest("echo commence; sleep 60")
    await granted(ready, make, manifest)
    request = make.execute(manifest)
    await ready.send(request)
    await asyncio.sleep(0.7)
    await ready.send(Cancel(id=request.attempt_id))
    result = await ready.expect(StepResult)
    assert (result.state, result.reason) == (StepState.FAILED, "cancelled")


async def test_the_environment_is_minimal(ready, runner, make):
    manifest = make.manifest("env | cut -d= -f1 | sort | tr '\\n' ' '")
    await granted(ready, make, manifest)
    result = await outcome(ready, make.execute(manifest))
    names = set(result.output.split())
    assert not [name for name in names if "COMPAGNON" in name or "TOKEN" in name]
    assert {"PATH", "HOME", "LANG"} <= names


async def test_looking_needs_no_consent_but_command_checks_do(ready, runner, make, tmp_path):
    runner.policy('mode = "attended"\n')
    looking = make.manifest("false", checks=parse_checks({"file": {"/etc/passwd": {"exists": True}}}))
    result = await outcome(ready, make.execute(looking, "check"))
    assert result.state is StepState.DONE
    marker = tmp_path / "ran"
    commanding = make.manifest("false", checks=parse_checks({"command": {f"touch {marker}": {}}}))
    for phase in ("check", "verify"):
        result = await outcome(ready, make.execute(commanding, phase))
        assert (result.state, result.needs_consent) == (StepState.REFUSED, True)
    assert not marker.exists()


async def test_consented_command_checks_run(ready, make):
    checks = parse_checks(
        {"command": {"echo bonjour; echo aïe >&2; exit 4": {"exit-status": 4, "stdout": ["/^bon/"], "stderr": ["aïe"]}}}
    )
    manifest = make.manifest("true", checks=checks)
    await granted(ready, make, manifest)
    result = await outcome(ready, make.execute(manifest, "verify"))
    assert result.state is StepState.DONE, result
    assert result.checks[0].observed["stdout"] == "bonjour"


async def test_bad_parameters_and_steps_are_refused(ready, make):
    manifest = make.manifest("ping -c 1 {{ip}}", parameters=(Parameter(name="ip", type=ParameterType.IPV4),))
    await granted(ready, make, manifest, parameters={"ip": "1.2.3.4"})
    for fields, said in (
        ({"parameters": {"ip": "1.2.3.4; reboot"}}, "IPv4"),
        ({"parameters": {}}, "needed"),
        ({"parameters": {"ip": "1.2.3.4", "x": "y"}}, "not a parameter"),
        ({"parameters": {"ip": "1.2.3.4"}, "step_id": "s9"}, "no such step"),
    ):
        result = await outcome(ready, make.execute(manifest, **fields))
        assert result.state is StepState.REFUSED
        assert said in result.reason
        assert not result.needs_consent


async def test_withdrawing_takes_every_consent_back_and_stops_the_step(ready, runner, make):
    manifest = make.manifest("sleep 60")
    await granted(ready, make, manifest)
    request = make.execute(manifest)
    await ready.send(request)
    await asyncio.sleep(0.5)
    code, said = await runner.command("withdraw")
    assert (code, said) == (0, "Consents taken back: 1\n")
    await ready.expect(ConsentWithdrawn)
    result = await ready.expect(StepResult)
    assert result.state is StepState.FAILED
    assert (await outcome(ready, make.execute(manifest))).needs_consent


async def test_every_decision_is_in_the_local_record(ready, runner, make):
    manifest = make.manifest("true")
    await outcome(ready, make.execute(manifest))
    await granted(ready, make, manifest)
    await outcome(ready, make.execute(manifest))
    record = (runner.folder / audit.AUDIT_FILE).read_text()
    assert '"allowed":false' in record
    assert '"allowed":true' in record
    assert '"event":"consent"' in record
    code, said = await runner.command("audit")
    assert code == 0
    path = runner.folder / audit.AUDIT_FILE
    path.write_text(record.replace('"allowed":false', '"allowed":true'))
    code, said = await runner.command("audit")
    assert code == 1
    assert "changed" in said
