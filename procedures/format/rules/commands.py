"""Commands that the agent can run as written, and that say so when they are dangerous."""

from __future__ import annotations

from compagnon.i18n import N_
from procedures.format.model import Code, Risk, RunOn, Step
from procedures.format.rules.case import Case, Findings, advise, bodies, codes, warn
from procedures.format.rules.dangers import MAX_SCRIPT, danger

SHELLS = ("sh", "powershell", "cmd")
MAX_TIMEOUT = 3600


def fences(case: Case) -> Findings:
    for owner, block in bodies(case.procedure):
        if isinstance(block, Code):
            yield from _fence(owner, block)
    for step in case.procedure.steps:
        for code in step.rollback.commands if step.rollback else ():
            yield from _fence(step.id, code)
        yield from _one_command(step)
    yield from _out_of_place(case)


def _fence(owner: str | None, code: Code) -> Findings:
    if code.timeout is not None and not 1 <= code.timeout <= MAX_TIMEOUT:
        yield warn(
            "timeout", code.at, N_("The timeout must be from 1 to 3600 seconds."), N_("Correct timeout=…."), step=owner
        )
    for name, _ in code.unknown:
        yield warn(
            "fence-attribute",
            code.at,
            N_("The attribute “{name}” is not known on a code block."),
            N_("Only run_on and timeout are."),
            step=owner,
            name=name,
        )
    if code.run_on is RunOn.AGENT and code.language not in SHELLS:
        yield warn(
            "fence-language",
            code.at,
            N_("The agent cannot run “{language}”."),
            N_("Use sh, powershell or cmd, or let the technician run it."),
            step=owner,
            language=code.language,
        )
    if code.language in SHELLS and (not code.script.strip() or len(code.script) > MAX_SCRIPT):
        yield warn(
            "fence-size",
            code.at,
            N_("This code block is empty or longer than 16,384 characters."),
            N_("Write the command, or split it."),
            step=owner,
        )


def _one_command(step: Step) -> Findings:
    seen: set[str] = set()
    for code in step.codes:
        if code.run_on is not RunOn.AGENT:
            continue
        if code.language in seen:
            yield warn(
                "one-action",
                code.at,
                N_("The agent would run two code blocks in one step."),
                N_("Make one step of each, or one block of both."),
                step=step.id,
            )
        seen.add(code.language)


def _out_of_place(case: Case) -> Findings:
    inside = {id(block) for step in case.procedure.steps for block in step.body}
    for owner, block in bodies(case.procedure):
        if isinstance(block, Code) and block.run_on is RunOn.AGENT and id(block) not in inside:
            yield warn(
                "fence-attribute",
                block.at,
                N_("Only a step can ask the agent to run something."),
                N_("Move this code block into a step."),
                step=owner,
            )


def dangers(case: Case) -> Findings:
    for step in case.procedure.steps:
        for code in codes(step):
            found = danger(code.script) if code.language in (*SHELLS, "") else None
            if found:
                yield from _danger(case, step, code, found)


def _danger(case: Case, step: Step, code: Code, found: str) -> Findings:
    if case.procedure.risk is Risk.HIGH:
        yield advise(
            "dangerous",
            code.at,
            N_("“{command}” can destroy data or hand the machine over."),
            N_("Make sure that a safer command does not do."),
            step=step.id,
            command=found,
        )
        return
    yield warn(
        "dangerous",
        code.at,
        N_("“{command}” can destroy data or hand the machine over, and the risk is not “high”."),
        N_("Use a safer command, or declare “risk: high”."),
        step=step.id,
        command=found,
    )
