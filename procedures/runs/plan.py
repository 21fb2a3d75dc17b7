"""A procedure as a run follows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from compagnon_agent.protocol.checks import CheckError
from compagnon_agent.protocol.manifest import Manifest, ManifestStep, RunOn, prepare
from compagnon_agent.protocol.parameters import ParameterError
from procedures import format as procedure_format
from procedures.format.model import Procedure, Step, ending
from procedures.library import texts
from procedures.runs.model import Branch, Outcome, PlanStep, Position, position


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One version's procedure, the steps in order, and what a machine may be asked to do by it."""

    procedure: Procedure
    steps: Sequence[PlanStep]
    manifest: Manifest

    def position(self, history: Sequence[tuple[str, Outcome]]) -> Position:
        return position(self.steps, history)

    def step(self, step_id: str) -> Step:
        step = self.procedure.step(step_id)
        if step is None:
            raise KeyError(step_id)
        return step

    def rule(self, step_id: str) -> PlanStep:
        return next(step for step in self.steps if step.id == step_id)

    def asked(self, step_id: str) -> ManifestStep:
        step = self.manifest.step(step_id)
        if step is None:
            raise KeyError(step_id)
        return step

    def executes(self, step_id: str) -> bool:
        """Whether the agent has something to do in a step, beyond looking."""
        return any(command.run_on is RunOn.AGENT for command in self.asked(step_id).commands)

    def checks(self, step_id: str) -> bool:
        return bool(self.asked(step_id).checks)

    def filled(self, step_id: str, values: Mapping[str, str]) -> ManifestStep:
        """The step with the run's parameters in its commands and checks, as it would be run."""
        try:
            return prepare(self.manifest, step_id, dict(values))
        except (ParameterError, CheckError):
            return self.asked(step_id)


def plan_of(procedure: Procedure, number: int) -> Plan:
    return Plan(
        procedure=procedure,
        steps=tuple(_step(procedure, step) for step in procedure.steps),
        manifest=procedure_format.manifest(procedure, number),
    )


@lru_cache(maxsize=256)
def read_plan(text: str, number: int) -> Plan:
    """The plan of a published version's text; cached, because versions never change and every page needs theirs."""
    return plan_of(texts.parsed(text), number)


def _step(procedure: Procedure, step: Step) -> PlanStep:
    way_out = ending(procedure, step)
    goto = step.on_fail.goto if step.on_fail else None
    branch = Branch(
        goto=goto,
        max=(step.on_fail.max if step.on_fail else None) or 1,
        procedure=way_out.procedure,
        escalate=way_out.escalate,
    )
    return PlanStep(id=step.id, required=step.required, on_fail=branch)
