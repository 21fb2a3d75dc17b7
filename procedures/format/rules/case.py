"""What the rules look at, and how they speak."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from procedures.format.model import Block, Code, Note, Position, Procedure, Step, Text
from procedures.format.problems import Finding, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What exists outside the text; None means "not known here", and the rule that needs it stays silent."""

    procedures: Collection[str] | None = None
    skills: Collection[str] | None = None
    environments: Collection[str] | None = None
    elements: Collection[str] | None = None
    """Ids of the desktop manifests' elements."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    procedure: Procedure
    known: Known = field(default_factory=Known)


Findings = Iterator[Finding]


def warn(rule: str, at: Position, message: str, mend: str, step: str | None = None, **params: str) -> Finding:
    """Fine in a draft, blocks publication."""
    return _finding(Severity.WARNING, rule, at, message, mend, step, params)


def advise(rule: str, at: Position, message: str, mend: str, step: str | None = None, **params: str) -> Finding:
    return _finding(Severity.ADVICE, rule, at, message, mend, step, params)


def _finding(
    severity: Severity, rule: str, at: Position, message: str, mend: str, step: str | None, params: dict[str, str]
) -> Finding:
    short = {name: value if len(value) <= 160 else value[:159] + "…" for name, value in params.items()}
    return Finding(rule=rule, severity=severity, at=at, message=message, mend=mend, step=step, params=short)


def bodies(procedure: Procedure) -> Iterator[tuple[str | None, Block]]:
    """Every block of the document with the id of its step or conformity item."""
    yield from ((None, block) for block in procedure.context)
    for owner in procedure.owners:
        yield from ((owner.id, block) for block in owner.body)
    yield from ((None, block) for block in (*procedure.result.body, *procedure.after))
    yield from ((None, block) for section in procedure.others for block in section.body)


def prose(procedure: Procedure) -> Iterator[tuple[str | None, Text | Note]]:
    yield from ((step, block) for step, block in bodies(procedure) if not isinstance(block, Code))


def codes(step: Step) -> Iterator[Code]:
    """The commands of a step, then those that undo it."""
    yield from step.codes
    yield from step.rollback.commands if step.rollback else ()
