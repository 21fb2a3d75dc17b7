"""Every way a step can fail leads somewhere, and never round in circles."""

from __future__ import annotations

from compagnon.i18n import N_
from procedures.format.model import OnFail, Procedure, Step, ending
from procedures.format.rules.case import Case, Findings, Known, warn

MAX_RETRIES = 9


def failures(case: Case) -> Findings:
    for index, step in enumerate(case.procedure.steps):
        if step.on_fail:
            yield from _goto(case.procedure, step, step.on_fail, index)
        yield from _ending(case, step)


def _goto(procedure: Procedure, step: Step, on_fail: OnFail, index: int) -> Findings:
    at = step.position("on_fail")
    if on_fail.goto is None:
        if on_fail.max is not None:
            yield warn("goto", at, N_("“max” is given without “goto”."), N_("Add goto, or remove max."), step=step.id)
        return
    targets = [number for number, other in enumerate(procedure.steps) if other.id == on_fail.goto]
    if not targets:
        yield warn(
            "goto",
            at,
            N_("The step “{goto}” does not exist."),
            N_("Go to one of: {known}."),
            step=step.id,
            goto=on_fail.goto,
            known=", ".join(other.id for other in procedure.steps),
        )
        return
    if on_fail.max is None or not 1 <= on_fail.max <= MAX_RETRIES:
        yield warn("goto", at, N_("Going back is not bounded."), N_("Add “max”, from 1 to 9."), step=step.id)
    skipped = [other.id for other in procedure.steps[index + 1 : targets[0]] if other.required]
    if skipped or (targets[0] > index and step.required):
        yield warn(
            "goto",
            at,
            N_("Going to “{goto}” would skip required steps."),
            N_("Go back to this step or an earlier one, or escalate."),
            step=step.id,
            goto=on_fail.goto,
        )


def _ending(case: Case, step: Step) -> Findings:
    procedure, known = case.procedure, case.known
    end = ending(procedure, step)
    at = step.position("on_fail")
    if step.required and end.procedure is None and end.escalate is None:
        yield warn(
            "failure-path",
            at,
            N_("Nothing says what to do when this step fails for good."),
            N_("Add “then” to on_fail with a procedure or a skill to escalate to, or fill “perskill”."),
            step=step.id,
        )
    if end.procedure == procedure.id:
        yield warn(
            "failure-path",
            at,
            N_("A failure leads back to this very procedure."),
            N_("Name another procedure, or a skill to escalate to."),
            step=step.id,
        )
    yield from _references(step, known, end.procedure, end.escalate)


def _references(step: Step, known: Known, procedure: str | None, skill: str | None) -> Findings:
    at = step.position("on_fail")
    if procedure is not None and known.procedures is not None and procedure not in known.procedures:
        yield warn(
            "reference",
            at,
            N_("The procedure “{code}” does not exist."),
            N_("Correct the code, or publish that procedure first."),
            step=step.id,
            code=procedure,
        )
    if skill is not None and known.skills is not None and skill not in known.skills:
        yield warn(
            "reference",
            at,
            N_("No member has the skill “{code}”."),
            N_("Name a skill that exists."),
            step=step.id,
            code=skill,
        )
