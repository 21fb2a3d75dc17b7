"""What a machine may be asked to do by one version of a procedure; its digest is what the client consents to."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from .checks import MAX_CHECKS, Check, bind_checks, check_codec, is_read_only
from .parameters import MAX_PARAMETERS, Parameter, substitute
from .wire import JSON, Codec, WireError, choice, dumps, integer, loads, record, sequence, text, write_record

MAX_MANIFEST = 160 * 1024
"""Bytes of canonical JSON: fits in one control message with room for its other fields."""

MAX_SCRIPT = 16 * 1024
"""Characters of one script."""


class Shell(StrEnum):
    SH = "sh"
    POWERSHELL = "powershell"
    CMD = "cmd"


class RunOn(StrEnum):
    """Who runs a command: the agent by itself, or the technician by hand."""

    AGENT = "agent"
    TECHNICIAN = "technician"


class Risk(StrEnum):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """``timeout`` in seconds."""

    shell: Annotated[Shell, choice(Shell)]
    script: Annotated[str, text(MAX_SCRIPT, minimum=1)]
    timeout: Annotated[int, integer(1, 3600)] = 60
    run_on: Annotated[RunOn, choice(RunOn)] = RunOn.AGENT


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestStep:
    """``checks`` hold when the step is done; ``rollback`` undoes it."""

    id: Annotated[str, text(60, minimum=1)]
    title: Annotated[str, text(300)]
    commands: Annotated[tuple[Command, ...], sequence(record(Command), 20)] = ()
    checks: Annotated[tuple[Check, ...], sequence(check_codec, MAX_CHECKS)] = ()
    rollback: Annotated[tuple[Command, ...], sequence(record(Command), 20)] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """``procedure`` is the code (``imp-001``); ``result`` the checks of the procedure as a whole."""

    procedure: Annotated[str, text(80, minimum=1)]
    version: Annotated[int, integer(1, 1_000_000)]
    title: Annotated[str, text(300)]
    parameters: Annotated[tuple[Parameter, ...], sequence(record(Parameter), MAX_PARAMETERS)] = ()
    steps: Annotated[tuple[ManifestStep, ...], sequence(record(ManifestStep), 100)] = ()
    result: Annotated[tuple[Check, ...], sequence(check_codec, MAX_CHECKS)] = ()
    risk: Annotated[Risk, choice(Risk)] = Risk.MEDIUM

    def step(self, step_id: str) -> ManifestStep | None:
        return next((step for step in self.steps if step.id == step_id), None)


RESULT_STEP = "result"
"""Step id under which the checks of the procedure as a whole are asked for (phases check and verify only)."""


def to_json(manifest: Manifest) -> str:
    """Canonical JSON: equal manifests give equal text, which is what :func:`digest` hashes."""
    return dumps(write_record(manifest))


def from_json(source: str | bytes) -> Manifest:
    """Raise ``WireError`` for anything that is not a well-formed manifest of at most :data:`MAX_MANIFEST` bytes."""
    return read_manifest(loads(source, limit=MAX_MANIFEST), "")


def read_manifest(value: object, path: str) -> Manifest:
    manifest = record(Manifest).read(value, path)
    identifiers = [step.id for step in manifest.steps]
    if len(set(identifiers)) != len(identifiers):
        raise WireError(f"{path}.steps" if path else "steps", "two steps have the same id")
    names = [parameter.name for parameter in manifest.parameters]
    if len(set(names)) != len(names):
        raise WireError(f"{path}.parameters" if path else "parameters", "two parameters have the same name")
    return manifest


def _write_manifest(manifest: Manifest) -> JSON:
    return write_record(manifest)


manifest_codec: Codec[Manifest] = Codec(read_manifest, _write_manifest)


def digest(manifest: Manifest) -> str:
    """SHA-256 of the canonical JSON, in hexadecimal."""
    return hashlib.sha256(to_json(manifest).encode()).hexdigest()


def values_digest(values: Mapping[str, str]) -> str:
    """SHA-256 of the validated values: what was shown when the consent was given is what may run."""
    return hashlib.sha256(dumps(dict(values)).encode()).hexdigest()


def executes(manifest: Manifest) -> bool:
    """Whether anything in it is executed by the agent: commands, rollbacks or ``command`` checks."""
    checks = [check for step in manifest.steps for check in step.checks] + list(manifest.result)
    commands = [command for step in manifest.steps for command in (*step.commands, *step.rollback)]
    return any(command.run_on is RunOn.AGENT for command in commands) or not all(map(is_read_only, checks))


def prepare(manifest: Manifest, step_id: str, values: dict[str, str], *, check_shell: Shell = Shell.SH) -> ManifestStep:
    """The step with its parameters filled in: what exactly would be run and checked.

    ``values`` are validated. Raises ``KeyError`` for no such step, ``ParameterError``/``CheckError`` as substitution
    does. :data:`RESULT_STEP` gives the procedure's result checks. ``check_shell`` runs the ``command`` checks on
    the machine that this is for.
    """
    step = manifest.step(step_id)
    if step is None and step_id == RESULT_STEP:
        step = ManifestStep(id=RESULT_STEP, title=manifest.title, checks=manifest.result)
    if step is None:
        raise KeyError(step_id)
    return ManifestStep(
        id=step.id,
        title=step.title,
        commands=_fill(step.commands, values),
        checks=bind_checks(step.checks, values, shell=check_shell),
        rollback=_fill(step.rollback, values),
    )


def _fill(commands: tuple[Command, ...], values: dict[str, str]) -> tuple[Command, ...]:
    return tuple(
        Command(
            shell=command.shell,
            script=substitute(command.script, values, shell=command.shell),
            timeout=command.timeout,
            run_on=command.run_on,
        )
        for command in commands
    )
