"""Which failure a run's page asks the library about, and in which words."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from procedures.ports import Phase
from procedures.runs.board import RunView
from procedures.runs.failures import failure
from procedures.runs.model import Attempt, Evidence, EvidenceKind, Outcome, Position, Run, Visit

NOW = datetime(2024, 3, 12, 8, 0, tzinfo=UTC)
FAILING = {"outcome": "fail", "resource": "service", "key": "cups", "reason": "expected running"}


class Plan:
    """Only what the rule looks at: a step by its id."""

    def step(self, step_id: str) -> Any:
        return type("Step", (), {"id": step_id, "title": f"Titre de {step_id}"})()


def visit(id: int, step: str, outcome: str | None = None) -> Visit:
    return Visit(
        id=id, run_id=1, ordinal=id, step_id=step, outcome=outcome, deviation=False, justification="",  # type: ignore[arg-type]
        attested_by=1, attested_name="Alice", verified_by=None, seconds=0, started_at=NOW, ended_at=None,
    )  # fmt: skip


def attempt(visit_id: int, phase: Phase = Phase.EXECUTE, state: str = "done", **more: Any) -> Attempt:
    values: dict[str, Any] = {"output": "", "exit_code": 0, "checks": (), **more}
    return Attempt(
        id=f"a{visit_id}", run_id=1, run_step_id=visit_id, step_id="s1", phase=phase, member_id=1, machine_id=1,
        state=state, requested_at=NOW, started_at=NOW, ended_at=NOW, **values,
    )  # fmt: skip


def seen(visits: list[Visit], attempts: list[Attempt] = [], evidence: list[Evidence] = []) -> RunView:  # noqa: B006 - read only
    run = Run(
        id=1, version_id=1, code="tst-001", locale="fr", number=1, digest="", title="", machine_id=1, ticket_id=1,
        parent_id=None, parent_step=None, started_by=1, member_id=1, member_name="Alice", parameters={}, state="active",  # type: ignore[arg-type]
        current_step="s1", revision=1, started_at=NOW, touched_at=NOW, ended_at=None, end_reason="", result=None,
    )  # fmt: skip
    return RunView(
        run=run, plan=Plan(), position=Position(step="s1"), visits=visits, attempts=attempts, evidence=evidence,  # type: ignore[arg-type]
        handovers=(), children=(),
    )  # fmt: skip


@pytest.mark.parametrize(
    "last",
    [
        attempt(1, state="failed", output="boum"),
        attempt(1, exit_code=3, output="boum"),
        attempt(1, Phase.VERIFY, output="boum", checks=(FAILING,)),
    ],
)
def test_what_the_agent_could_not_do_or_found_undone_is_a_failure(last: Attempt) -> None:
    found = failure(seen([visit(1, "s1")], [last]))
    assert found is not None
    assert (found.visit_id, found.step.title) == (1, "Titre de s1")
    assert "boum" in found.text


@pytest.mark.parametrize(
    "attempts",
    [
        [],
        [attempt(1, state="open")],
        [attempt(1)],
        [attempt(1, Phase.CHECK, checks=(FAILING,))],
        [attempt(1, state="failed"), attempt(1)],
        [attempt(1, state="refused", exit_code=None)],
    ],
)
def test_what_is_open_done_or_only_looked_at_is_none(attempts: list[Attempt]) -> None:
    assert failure(seen([visit(1, "s1")], attempts)) is None


def test_a_step_called_failed_is_told_until_something_is_done() -> None:
    visits = [visit(1, "s1", "failed"), visit(2, "s1")]
    before = failure(seen(visits, [attempt(1, exit_code=3, output="boum")]))
    assert before is not None
    assert (before.visit_id, "boum" in before.text) == (1, True)
    assert failure(seen(visits, [attempt(1, exit_code=3), attempt(2)])) is None
    assert failure(seen([visit(1, "s1", "done"), visit(2, "s2")])) is None
    assert failure(seen([visit(1, "s1", "failed")])) is None, "the run is over"


def test_checks_and_what_members_wrote_are_part_of_the_text() -> None:
    note = Evidence(
        id=1, run_id=1, run_step_id=1, step_id="s1", member_id=1, member_name="Alice", kind=EvidenceKind.OUTPUT,
        body="copié du poste", sha256=None, media_type=None, bytes=None, created_at=NOW,
    )  # fmt: skip
    last = attempt(1, Phase.VERIFY, output="sortie", checks=(FAILING, {**FAILING, "outcome": "pass", "key": "autre"}))
    found = failure(seen([visit(1, "s1")], [last], [note]))
    assert found is not None
    assert found.text.index("copié du poste") < found.text.index("sortie") < found.text.index('service "cups" failed')
    assert "autre" not in found.text
    assert Outcome.FAILED == "failed", "rows hold plain text"
