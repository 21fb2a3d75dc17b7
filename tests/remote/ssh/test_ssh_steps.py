"""Steps and checks of procedures on a device: under a written-down consent, begun once, nothing guessed."""

from __future__ import annotations

import uuid
from dataclasses import replace

import pytest
from remote_parts import until

from compagnon_agent.protocol.checks import Outcome, parse_checks
from compagnon_agent.protocol.manifest import Command, Manifest, ManifestStep, Shell, digest, values_digest
from compagnon_agent.protocol.messages import StepState
from compagnon_agent.protocol.parameters import Parameter, ParameterType
from procedures.ports import Phase, ReportState, StepRequest
from remote.ssh.consents import Asked
from remote.ssh.errors import Unreachable
from remote.ssh.model import How


def manifest(script: str, checks: dict | None = None, timeout: int = 30) -> Manifest:
    step = ManifestStep(
        id="s1",
        title="Essai",
        commands=(Command(shell=Shell.SH, script=script, timeout=timeout),),
        checks=parse_checks(checks or {}),
    )
    parameter = Parameter(name="mot", type=ParameterType.TEXT, required=False, label="Mot", default="x")
    return Manifest(procedure="nas-001", version=1, title="Essai", parameters=(parameter,), steps=(step,))


def request(device, ticket, member, wanted: Manifest, phase=Phase.EXECUTE, **values) -> StepRequest:
    return StepRequest(
        attempt_id=str(uuid.uuid4()), machine_id=device.machine_id, ticket_id=ticket, run_id=1, member_id=member.id,
        member_name=member.name, manifest=wanted, step_id="s1", parameters={"mot": "x", **values}, phase=phase,
    )  # fmt: skip


@pytest.fixture
def link(server):
    return server.services.remote.link


@pytest.fixture
async def agreed(server, cast, ssh, known, ticket):
    """``await agreed(manifest, mot=…)``: the client agreed, Alice wrote it down."""

    async def record(wanted: Manifest, **values) -> None:
        asked = Asked(
            machine_id=known.machine_id, ticket_id=ticket, digest=digest(wanted),
            values_digest=values_digest({"mot": "x", **values}),
        )  # fmt: skip
        await ssh.consents.record(cast.alice, asked, how=How.PHONE, person="Mme Le Goff")

    return record


async def test_a_step_waits_for_a_consent_and_runs_once_it_is_written_down(
    server, cast, ssh, known, ticket, link, agreed, sshd
):
    import asyncio

    wanted = manifest("echo fait >> fait.txt; echo bonjour {{mot}}; id -un")
    asked = request(known, ticket, cast.alice, wanted, mot="l'été; touch piege")
    running = asyncio.create_task(link.execute_step(asked))
    await until(lambda: link.consents(known.machine_id), what="it is asked for")
    (question,) = link.consents(known.machine_id)
    assert question.recorded
    assert not (sshd.home / "fait.txt").exists()
    await agreed(wanted, mot="un autre mot")  # not what is asked
    await asyncio.sleep(0.3)
    assert not running.done()
    await agreed(wanted, mot="l'été; touch piege")
    report = await running
    assert report.state is ReportState.DONE
    assert report.output.startswith("bonjour l'été; touch piege\n")
    assert not (sshd.home / "piege").exists()
    again = await link.execute_step(asked)
    assert (again.state, again.output) == (report.state, report.output)
    assert (sshd.home / "fait.txt").read_text() == "fait\n"


async def test_a_failing_step_a_long_one_and_a_broken_connection_are_told_apart(
    server, cast, ssh, known, ticket, link, agreed, sshd
):
    import asyncio

    failing = manifest("echo avant; exit 3; echo jamais")
    await agreed(failing)
    report = await link.execute_step(request(known, ticket, cast.alice, failing))
    assert (report.state, report.exit_code, report.output) == (ReportState.FAILED, 3, "avant\n")
    slow = manifest("echo debut; sleep 30", timeout=1)
    await agreed(slow)
    result = await ssh.agents.steps.attempt(known, _execute(request(known, ticket, cast.alice, slow)), cast.alice)
    assert result.state is StepState.FAILED
    assert "may still run" in result.reason
    cut = manifest("touch commence; sleep 60", timeout=90)
    await agreed(cut)
    asked = request(known, ticket, cast.alice, cut)
    running = asyncio.create_task(link.execute_step(asked))
    await until(lambda: (sshd.home / "commence").exists(), what="it runs")
    await sshd.kill_all()
    report = await asyncio.wait_for(running, 30)
    assert report.state is ReportState.FAILED
    assert "may have gone on" in report.output
    (sshd.home / "commence").unlink()
    await sshd.start()
    again = await link.execute_step(asked)
    assert again.output == report.output
    assert not (sshd.home / "commence").exists()


def _execute(asked: StepRequest):
    from remote.control.steps import execute

    return execute(asked)


async def test_what_was_never_begun_may_be_asked_for_again(server, cast, ssh, known, ticket, link, agreed, sshd):
    wanted = manifest("echo fait")
    await agreed(wanted)
    asked = request(known, ticket, cast.alice, wanted)
    await sshd.kill_all()
    report = await link.execute_step(asked)
    assert report.state is ReportState.UNREACHABLE
    await sshd.start()
    report = await link.execute_step(asked)
    assert (report.state, report.output) == (ReportState.DONE, "fait\n")


async def test_an_attempt_that_a_killed_server_had_begun_is_never_made_again(
    server, cast, ssh, known, ticket, link, agreed, sshd
):
    wanted = manifest("touch encore")
    await agreed(wanted)
    asked = request(known, ticket, cast.alice, wanted)
    async with server.services.kernel.db.connection() as conn:
        query = "INSERT INTO ssh_attempts (attempt_id, machine_id, alive_at) VALUES (%s, %s, now() - interval '1 hour')"
        await conn.execute(query, [asked.attempt_id, known.machine_id])
    report = await link.execute_step(asked)
    assert report.state is ReportState.FAILED
    assert "interrupted" in report.output
    assert not (sshd.home / "encore").exists()


async def test_output_is_bounded_and_plain(server, cast, ssh, known, ticket, link, agreed):
    wanted = manifest("seq 1 300000; printf '\\033]0;titre\\007\\033[31mrouge\\033[0m'")
    await agreed(wanted)
    report = await link.execute_step(request(known, ticket, cast.alice, wanted))
    assert report.output.endswith("300000\nrouge")
    assert len(report.output.encode()) <= 64 * 1024


async def test_checks_are_looked_at_and_what_cannot_be_says_so(server, cast, ssh, known, link, sshd):
    (sshd.home / "public.txt").write_text("alpha\nbeta\n")
    (sshd.home / "secret.txt").write_text("mot de passe\n")
    (sshd.home / "secret.txt").chmod(0o600)
    for folder in (sshd.home, *sshd.home.parents):
        if str(folder).startswith("/tmp/pytest"):
            folder.chmod(0o755)
    port = sshd.port
    passing = {
        "file": {
            "/etc/passwd": {"exists": True, "owner": "root", "mode": "0644", "filetype": "file", "contains": ["root:"]},
            "/no/such/file": {"exists": False},
            "/etc": {"filetype": "directory"},
            str(sshd.home / "public.txt"): {"contents": ["beta", "!gamma"], "size": 11},
        },
        "package": {"bash": {"installed": True}, "pas-un-paquet": {"installed": False}},
        "process": {"sshd": {"running": True}, "pas-un-programme": {"running": False}},
        "port": {f"tcp:{port}": {"listening": True, "ip": ["127.0.0.1"]}, "tcp:9": {"listening": False}},
        "user": {"root": {"uid": 0, "home": "/root", "groups": ["root"]}, "personne-ici": {"exists": False}},
        "group": {"root": {"gid": 0}},
        "mount": {"/": {"exists": True}},
        "interface": {"lo": {"exists": True}, "eth99": {"exists": False}},
        "kernel-param": {"kernel.ostype": {"value": "Linux"}},
        "os": {"linux": {}},
        "service": {"pas-un-service": {"running": False, "enabled": False}},
    }
    checks = parse_checks(passing)
    results = await link.run_checks(known.machine_id, checks, parameters={}, ticket_id=None, member_id=None, timeout=60)
    assert [(r.check.title, r.outcome, r.reason) for r in results if r.outcome is not Outcome.PASSED] == []
    wrong = parse_checks({
        "file": {
            "/etc/passwd": {"contains": ["pas dans ce fichier"]},
            str(sshd.home / "secret.txt"): {"contents": ["mot"]},
        },
        "os": {"windows": {}},
        "dns": {"example.org": {}},
        "command": {"touch piege": {"exit-status": 0}},
    })  # fmt: skip
    found = await link.run_checks(known.machine_id, wrong, parameters={}, ticket_id=None, member_id=None, timeout=60)
    outcomes = [result.outcome for result in found]
    assert outcomes == [Outcome.FAILED, Outcome.ERROR, Outcome.FAILED, Outcome.UNSUPPORTED, Outcome.ERROR]
    assert "needs consent" in found[1].reason
    assert not (sshd.home / "piege").exists()


async def test_a_key_of_a_check_is_never_a_command(server, cast, ssh, known, link, sshd):
    keys = ["/tmp/$(touch piege)", "/tmp/`touch piege`", "/tmp/'; touch piege; '", '/tmp/"; touch piege', "/tmp/-rf"]
    checks = parse_checks({"file": {key: {"exists": False} for key in keys}, "process": {"$(touch piege)": {}}})
    await link.run_checks(known.machine_id, checks, parameters={}, ticket_id=None, member_id=None, timeout=60)
    assert not (sshd.home / "piege").exists()


async def test_a_consented_procedure_may_check_with_commands(server, cast, ssh, known, ticket, link, agreed, sshd):
    wanted = manifest("touch pret", {"command": {"test -e pret && echo oui": {"stdout": ["oui"]}}})
    await agreed(wanted)
    before = await link.execute_step(request(known, ticket, cast.alice, wanted, Phase.CHECK))
    assert before.checks[0].outcome is Outcome.FAILED
    assert (await link.execute_step(request(known, ticket, cast.alice, wanted))).state is ReportState.DONE
    after = await link.execute_step(request(known, ticket, cast.alice, wanted, Phase.VERIFY))
    assert after.state is ReportState.DONE


async def test_a_shell_that_is_none_is_noticed(server, cast, ssh, known, link, sshd):
    (sshd.folder / "shell").write_text("#!/bin/sh\necho '% Unknown command'\n")
    (result,) = await link.run_checks(
        known.machine_id,
        parse_checks({"file": {"/etc": {}}}),
        parameters={},
        ticket_id=None,
        member_id=None,
        timeout=30,
    )
    assert result.outcome is Outcome.ERROR
    assert "POSIX" in result.reason


async def test_a_device_that_cannot_be_reached_keeps_what_was_known(server, cast, ssh, known, link, sshd):
    await sshd.kill_all()
    with pytest.raises(Unreachable):
        await link.run_checks(
            known.machine_id, parse_checks({"os": {"linux": {}}}), parameters={}, ticket_id=None, member_id=None,
            timeout=30,
        )  # fmt: skip


def test_a_consent_covers_what_it_names_and_nothing_else():
    from datetime import UTC, datetime, timedelta

    from remote.ssh.consents import granted
    from remote.ssh.model import Consent

    now = datetime.now(UTC)
    given = Consent(
        id=1, machine_id=1, ticket_id=2, kind="procedure", session_id=None, digest="d" * 64, values_digest="v" * 64,
        how=How.PHONE, person="Mme Le Goff", member_id=1, until=now + timedelta(hours=1),
    )  # fmt: skip
    asked = Asked(machine_id=1, ticket_id=2, digest="d" * 64, values_digest="v" * 64)
    assert granted(asked, [given], now) is given
    others = (
        {"machine_id": 9}, {"ticket_id": 9}, {"digest": "e" * 64}, {"values_digest": "e" * 64}, {"session_id": "s"},
    )  # fmt: skip
    assert all(granted(replace(asked, **other), [given], now) is None for other in others)
    assert granted(asked, [given], now + timedelta(hours=2)) is None
    assert (
        granted(replace(asked, digest="", values_digest=""), [replace(given, digest="", values_digest="")], now) is None
    )
