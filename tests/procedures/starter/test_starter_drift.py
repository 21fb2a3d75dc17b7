"""The demo's machine against its declared standard: it drifts, and what drifts can be repaired."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from compagnon.app.demo_machine import prepare
from compagnon_agent.protocol.checks import Check, to_mapping
from procedures.format import parse
from procedures.format.manifest import checks_of
from procedures.starter import FOLDER

INSIDE = """
import json, sys
from compagnon_agent.checks.native import evaluate
from compagnon_agent.protocol.checks import parse_checks
results = [evaluate(check) for given in json.load(sys.stdin) for check in parse_checks(given)]
print(json.dumps([[result.check.title, result.outcome, result.reason] for result in results]))
"""


def test_the_demo_machine_drifts_in_several_ways_and_holds_in_others(tmp_path: Path) -> None:
    machine = prepare(tmp_path / "data/machine")
    if machine.kind == "none":
        pytest.skip(machine.note)
    environment = parse((FOLDER / "fr/poste-debian-12.md").read_text("utf-8"))
    done = subprocess.run(
        [*machine.argv_prefix, sys.executable, "-c", INSIDE],
        input=json.dumps([to_json(check) for item in environment.conformity for check in checks_of(item.checks)]),
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    outcomes = {title: outcome for title, outcome, _ in json.loads(done.stdout)}
    failing = {title for title, outcome in outcomes.items() if outcome == "fail"}
    assert {
        "service cups",
        "service chrony",
        "file /etc/resolv.conf",
        "file /etc/apt/apt.conf.d/95proxy",
        "file /srv/partage",
        "file /etc/ssh/sshd_config.d/10-compagnon.conf",
        "package inventaire-poste",
        "file /etc/passwd",
    } <= failing
    passing = {title for title, outcome in outcomes.items() if outcome == "pass"}
    assert {"file /etc/hosts", "file /tmp", "group partage"} <= passing
    assert set(outcomes.values()) <= {"pass", "fail"}, outcomes


def to_json(check: Check) -> Any:
    return to_mapping([check])
