"""``Procedure`` → what the agent is sent and the client consents to."""

from __future__ import annotations

from collections.abc import Iterable

from compagnon_agent.protocol.checks import Check, parse_checks
from compagnon_agent.protocol.manifest import Command, Manifest, ManifestStep, Risk, RunOn, Shell
from procedures.format.model import CheckSpec, Code, Procedure, Step

DEFAULT_TIMEOUT = 60
"""Seconds a command may take when the fence does not say."""


def manifest(procedure: Procedure, version: int) -> Manifest:
    """The manifest of one version. CheckError or ValueError when ``procedure`` did not pass lint.

    Code in a language that is not a shell is for reading only and stays out. A risk that is not said counts as medium.
    """
    return Manifest(
        procedure=procedure.id,
        version=version,
        title=procedure.title,
        parameters=procedure.parameters,
        steps=tuple(map(_step, procedure.steps)),
        result=checks_of(procedure.result.checks),
        risk=Risk(procedure.risk) if procedure.risk else Risk.MEDIUM,
    )


def _step(step: Step) -> ManifestStep:
    return ManifestStep(
        id=step.id,
        title=step.title,
        commands=_commands(step.codes),
        checks=checks_of(step.checks),
        rollback=_commands(step.rollback.commands if step.rollback else ()),
    )


def _commands(codes: Iterable[Code]) -> tuple[Command, ...]:
    return tuple(_command(code) for code in codes if code.language in list(Shell))


def _command(code: Code) -> Command:
    return Command(
        shell=Shell(code.language),
        script=code.script,
        timeout=DEFAULT_TIMEOUT if code.timeout is None else code.timeout,
        run_on=RunOn(code.run_on),
    )


def checks_of(specs: Iterable[CheckSpec]) -> tuple[Check, ...]:
    """The checks that ``specs`` write, in order; CheckError for one that is not valid."""
    return tuple(check for spec in specs for check in parse_checks(spec.spec))
