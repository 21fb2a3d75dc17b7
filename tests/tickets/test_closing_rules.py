"""Pure rules of closing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tickets.closing.model import FRESH, Verdict, Verification, needs_justification, to_verify

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


def said(state: str, *, run: int = 1, age: timedelta = timedelta()) -> Verification:
    return Verification(
        id=1, ticket_id=1, run_id=run, state=state, checks=(), member_id=1, member_name="Alice", created_at=NOW - age
    )


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([], False),
        (["passed"], False),
        (["nothing"], False),
        (["failed"], True),
        (["unavailable"], True),
        (["passed", "failed"], True),
    ],
)
def test_closing_against_the_agents_word_needs_a_reason(states: list[str], expected: bool) -> None:
    assert needs_justification([said(state) for state in states]) is expected


def test_only_a_fresh_verification_counts() -> None:
    known = [said("passed", run=1, age=FRESH), said("passed", run=2, age=FRESH + timedelta(seconds=1))]
    assert to_verify([1, 2, 3], known, NOW) == [2, 3]


def test_wrong_and_missing_propose_a_change() -> None:
    assert [verdict for verdict in Verdict if verdict.proposes_change] == [Verdict.WRONG, Verdict.MISSING]
