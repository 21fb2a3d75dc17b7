"""Each Debian procedure, for real: broken before, followed by the agent's own code, verified, true after, undone.

They run in the demo's disposable root. What a person does (on the phone, with their eyes) is left out.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from compagnon.app.demo_machine import DemoRoot, prepare
from compagnon_agent.protocol.manifest import to_json
from procedures.format import parse
from procedures.format.manifest import manifest
from procedures.starter import FOLDER

# Runs inside the root: the agent's steps, its journal, its one function that allows or refuses.
INSIDE = """
import asyncio, json, subprocess, sys, tempfile, uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from compagnon_agent.authorise import Grant, authorise, values_digest
from compagnon_agent.policy import LocalPolicy
from compagnon_agent import execute
from compagnon_agent.protocol.manifest import RESULT_STEP, RunOn, digest, from_json, prepare
from compagnon_agent.protocol.messages import ConsentKind, ConsentSource, Execute, Phase
from compagnon_agent.protocol.parameters import validate_all
from compagnon_agent.steps import Steps
from compagnon_agent.store import Store

given = json.loads(sys.stdin.read())
manifest = from_json(given["manifest"])
now = datetime.now(UTC)
grant = Grant(kind=ConsentKind.PROCEDURE, ticket_id=1, until=now + timedelta(hours=1), source=ConsentSource.TERMINAL,
              digest=digest(manifest), values=values_digest(validate_all(manifest.parameters, given["parameters"])),
              procedure=manifest.procedure, risk=manifest.risk)
decide = lambda request: authorise(request, policy=LocalPolicy(), grants=[grant], now=now)
steps = Steps(Store(Path(tempfile.mkdtemp())), decide)

async def attempt(step_id, phase):
    asked = Execute(attempt_id=str(uuid.uuid4()), run_id=1, ticket_id=1, member_id=1, member_name="Alice",
                    manifest=manifest, step_id=step_id, parameters=given["parameters"], phase=phase)
    result = await steps.attempt(asked)
    checks = [f"{check.check.title}: {check.outcome} {check.reason}" for check in result.checks]
    report = {"step": step_id, "phase": phase, "state": result.state, "reason": result.reason,
              "output": result.output, "checks": checks}
    print(json.dumps(report), flush=True)
    return result.state == "done"

async def follow():
    await attempt(RESULT_STEP, Phase.CHECK)
    for step in manifest.steps:
        true_already = bool(step.checks) and await attempt(step.id, Phase.CHECK)
        if not true_already and any(command.run_on is RunOn.AGENT for command in step.commands):
            await attempt(step.id, Phase.EXECUTE)
            if step.checks:
                await attempt(step.id, Phase.VERIFY)
    await attempt(RESULT_STEP, Phase.VERIFY)

async def go_back():
    values = validate_all(manifest.parameters, given["parameters"])
    for step in reversed(manifest.steps):
        for command in prepare(manifest, step.id, values).rollback:
            done = await execute.run(execute.argv(command.shell, command.script), timeout=command.timeout)
            report = {"step": step.id, "phase": "rollback", "state": "done" if done.exit_code == 0 else "failed",
                      "output": execute.plain(done.stdout)}
            print(json.dumps(report), flush=True)

async def main():
    subprocess.run(given["before"], shell=True, check=True)
    for _ in range(2):
        await follow()
        print(json.dumps({"step": "", "phase": "round"}), flush=True)
    await go_back()

asyncio.run(main())
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """``before``: what else breaks the machine. ``needs``: a program without which there is nothing to repair."""

    code: str
    locale: str = "fr"
    parameters: Mapping[str, str] = field(default_factory=dict)
    before: str = "true"
    needs: str | None = None


ARCHIVE = (
    "mkdir -p -m 700 /var/backups/postes && cd /var/backups/postes && tar -C /home -czf camille.tar.gz camille"
    " && sha256sum camille.tar.gz > camille.tar.gz.sha256"
)
TRIAL = {"nom": "poste-accueil"}
SERVICE = {"service": "depot", "verrou": "/var/lib/depot/depot.lock"}
CASES = (
    Case(code="imp-002"),
    Case(code="net-001", parameters=TRIAL),
    Case(code="net-002", parameters={"nom": "serveur.example.org", "ip": "192.0.2.10"}),
    Case(code="net-003"),
    Case(code="dsk-001"),
    Case(code="sys-001"),
    Case(code="sys-002"),
    Case(code="srv-001", parameters=SERVICE),
    Case(code="log-001", parameters={"paquet": "inventaire-poste"}, needs="dpkg-deb"),
    Case(code="log-002", parameters={"paquet": "base-files"}, needs="apt-mark"),
    Case(code="prt-001"),
    Case(code="sav-001", parameters={"utilisateur": "camille"}),
    Case(
        code="sav-002",
        parameters={"utilisateur": "camille"},
        before=f"({ARCHIVE}); rm -rf /home/camille/Documents; chmod 755 /home/camille",
    ),
    Case(code="ssh-001", needs="/usr/sbin/sshd"),
    Case(code="usr-001", parameters={"utilisateur": "ancien"}),
    Case(code="imp-002", locale="en"),
    Case(code="net-001", locale="en", parameters=TRIAL),
    Case(code="dsk-001", locale="en"),
    Case(code="ssh-001", locale="en", needs="/usr/sbin/sshd"),
)


@pytest.fixture(scope="module")
def roots() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="compagnon-starter-"))
    yield folder
    shutil.rmtree(folder)


def machine(roots: Path, locale: str) -> DemoRoot:
    """One for each language: a procedure mends its own fault only, so the others stay broken for their own tests."""
    made = prepare(roots / locale / "machine")
    if made.kind == "none":
        pytest.skip(made.note)
    return made


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.locale}-{case.code}")
def test_it_repairs_what_is_broken_and_then_finds_it_true(case: Case, roots: Path) -> None:
    if case.needs and shutil.which(case.needs) is None:
        pytest.skip(f"needs {case.needs} on this machine")
    usage = shutil.disk_usage("/")
    if case.code == "dsk-001" and usage.used > 0.88 * usage.total:
        pytest.skip("the disk of this machine really is full")
    first, second, back = follow(machine(roots, case.locale), case)

    assert result(first)[0]["state"] == "failed", "nothing was broken"
    executed = [report for report in first if report["phase"] == "execute"]
    assert executed
    for report in executed + [report for report in first if report["phase"] == "verify"]:
        assert report["state"] == "done", report

    for report in second:
        if report["phase"] in ("check", "verify"):
            assert report["state"] == "done", report
    again = {report["step"] for report in second if report["phase"] == "execute"}
    checked = {report["step"] for report in second if report["phase"] == "check"}
    assert not again & checked, "a step that is true was done again"

    for report in back:
        assert report["state"] == "done", report


def result(reports: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [report for report in reports if report["step"] == "result"]


def follow(root: DemoRoot, case: Case) -> list[list[dict[str, Any]]]:
    procedure = parse((FOLDER / case.locale / f"{case.code}.md").read_text("utf-8"))
    given = {
        "manifest": to_json(manifest(procedure, 1)),
        "parameters": dict(case.parameters),
        "before": case.before,
    }
    done = subprocess.run(
        [*root.argv_prefix, sys.executable, "-c", INSIDE],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rounds: list[list[dict[str, Any]]] = [[]]
    for line in done.stdout.splitlines():
        report = json.loads(line)
        if report["phase"] == "round":
            rounds.append([])
        else:
            rounds[-1].append(report)
    return rounds
