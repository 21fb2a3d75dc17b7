"""The order of a run: pure rules, and a machine that tries every path."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from compagnon.kept_files import picture_type
from procedures.runs.model import (
    IDLE_LIMIT,
    Branch,
    Outcome,
    PlanStep,
    Position,
    is_deviation,
    position,
    time_spent,
)

DONE, FAILED, SKIPPED = Outcome.DONE, Outcome.FAILED, Outcome.SKIPPED
PLAN = (
    PlanStep(id="s1"),
    PlanStep(id="s2", on_fail=Branch(goto="s1", max=1, procedure="net-003", escalate="reseau")),
    PlanStep(id="s3", required=False),
)


def test_a_run_starts_at_the_first_step_and_ends_after_the_last():
    assert position(PLAN, []).step == "s1"
    assert position(PLAN, [("s1", DONE), ("s2", Outcome.ALREADY_TRUE), ("s3", SKIPPED)]) == Position(step=None)


def test_a_failed_step_goes_back_as_often_as_it_may_then_waits_for_a_decision():
    history = [("s1", DONE), ("s2", FAILED)]
    assert position(PLAN, history) == Position(step="s1")
    history += [("s1", DONE), ("s2", FAILED)]
    assert position(PLAN, history) == Position(step="s2", blocked=True, branch=PLAN[1].on_fail)
    assert position(PLAN, [*history, ("s2", DONE)]) == Position(step="s3")


def test_a_step_that_fails_without_a_branch_waits_there():
    assert position(PLAN, [("s1", FAILED)]) == Position(step="s1", blocked=True, branch=None)


@pytest.mark.parametrize("history", [[("s2", DONE)], [("s1", DONE), ("s3", DONE)], [("s1", DONE), ("s1", DONE)]])
def test_a_history_out_of_order_is_refused(history):
    with pytest.raises(ValueError, match="was current"):
        position(PLAN, history)


def test_nothing_comes_after_the_end():
    with pytest.raises(ValueError, match="None was current"):
        position(PLAN, [("s1", DONE), ("s2", DONE), ("s3", DONE), ("s1", DONE)])


def test_deviations():
    assert is_deviation(PLAN[0], SKIPPED)
    assert not is_deviation(PLAN[2], SKIPPED)
    assert is_deviation(PLAN[0], DONE, contradicted=True)
    assert not is_deviation(PLAN[0], DONE)
    assert not is_deviation(PLAN[0], FAILED, contradicted=True)


def test_time_between_two_acts_is_bounded():
    then = datetime(2026, 1, 5, 9, tzinfo=UTC)
    assert time_spent(then, then + timedelta(seconds=61)) == 61
    assert time_spent(then, then + timedelta(hours=3)) == IDLE_LIMIT.total_seconds()
    assert time_spent(then, then - timedelta(seconds=5)) == 0


def test_pictures_are_known_by_their_bytes():
    assert picture_type(b"\x89PNG\r\n\x1a\n....") == "image/png"
    assert picture_type(b"\xff\xd8\xff\xe0....") == "image/jpeg"
    assert picture_type(b"RIFF\x00\x00\x00\x00WEBPVP8 ") == "image/webp"
    for other in (b"", b"<svg xmlns=...>", b"GIF89a", b"RIFF\x00\x00\x00\x00WAVE", b"%PDF-1.7"):
        assert picture_type(other) is None


@st.composite
def plans(draw):
    ids = [f"s{number}" for number in range(1, draw(st.integers(1, 6)) + 1)]
    branches = st.none() | st.builds(
        Branch, goto=st.none() | st.sampled_from(ids), max=st.integers(1, 3), escalate=st.none() | st.just("reseau")
    )
    return tuple(PlanStep(id=step, required=draw(st.booleans()), on_fail=draw(branches)) for step in ids)


class AnyRun(RuleBasedStateMachine):
    """Acts at random on a random plan; whatever is done, order holds and there is always a way on."""

    @initialize(plan=plans())
    def begin(self, plan):
        self.plan = plan
        self.history = []

    @property
    def here(self):
        return position(self.plan, self.history)

    @precondition(lambda self: self.here.step is not None)
    @rule(outcome=st.sampled_from(Outcome))
    def act(self, outcome):
        before = self.here
        self.history.append((before.step, outcome))
        ids = [step.id for step in self.plan]
        following = ids.index(before.step) + 1
        next_one = ids[following] if following < len(ids) else None
        if outcome is not FAILED:
            assert self.here == Position(step=next_one)
            return
        branch = self.plan[following - 1].on_fail
        allowed = {before.step} | ({branch.goto} if branch and branch.goto else set())
        assert self.here.step in allowed

    @precondition(lambda self: self.here.step is not None)
    @rule(data=st.data())
    def acting_elsewhere_is_refused(self, data):
        others = [step.id for step in self.plan if step.id != self.here.step]
        if others:
            with pytest.raises(ValueError, match="was current"):
                position(self.plan, [*self.history, (data.draw(st.sampled_from(others)), DONE)])

    @precondition(lambda self: self.here.step is None)
    @rule(step=st.sampled_from(["s1", "s2"]))
    def nothing_comes_after_the_end(self, step):
        with pytest.raises(ValueError, match="None was current"):
            position(self.plan, [*self.history, (step, DONE)])

    @invariant()
    def going_back_is_bounded(self):
        """Failing for ever ends at a decision, and succeeding for ever ends the run: nothing loops by itself."""
        failing = list(self.history)
        bound = sum(step.on_fail.max if step.on_fail else 0 for step in self.plan) + 1
        for _ in range(bound):
            here = position(self.plan, failing)
            if here.step is None or here.blocked:
                break
            failing.append((here.step, FAILED))
        here = position(self.plan, failing)
        assert here.step is None or here.blocked

    @invariant()
    def there_is_always_a_way_to_the_end(self):
        going = list(self.history)
        for _ in range(len(self.plan)):
            here = position(self.plan, going)
            if here.step is None:
                return
            going.append((here.step, SKIPPED))
        assert position(self.plan, going).step is None

    @invariant()
    def no_step_before_the_current_one_was_passed_over(self):
        """Without a jump forward, every step before the current one has been acted on."""
        ids = [step.id for step in self.plan]
        forward = any(
            step.on_fail and step.on_fail.goto and ids.index(step.on_fail.goto) > ids.index(step.id)
            for step in self.plan
        )
        here = self.here.step
        reached = ids if here is None else ids[: ids.index(here)]
        if not forward:
            assert set(reached) <= {step for step, _ in self.history}


TestAnyRun = AnyRun.TestCase
TestAnyRun.settings = settings(max_examples=150, stateful_step_count=20, deadline=None)
