"""How the format tells an author what is wrong: an English msgid with its parameters, at a place in the text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from procedures.format.model import Position


class Severity(StrEnum):
    ERROR = "error"  # the text cannot be read as a procedure
    WARNING = "warning"  # fine in a draft, blocks publication
    ADVICE = "advice"  # never blocks


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing to mend. ``message`` and ``mend`` are English msgids with ``{named}`` fields filled from ``params``."""

    rule: str
    severity: Severity
    at: Position
    message: str
    mend: str
    params: Mapping[str, str] = field(default_factory=dict)
    step: str | None = None

    @property
    def line(self) -> int:
        return self.at.line

    @property
    def column(self) -> int:
        return self.at.column

    @property
    def blocks(self) -> bool:
        """Does it block publication?"""
        return self.severity is not Severity.ADVICE

    def say(self, translate: Callable[[str], str] = str) -> str:
        return fill(translate(self.message), self._translated(translate))

    def how_to_mend(self, translate: Callable[[str], str] = str) -> str:
        return fill(translate(self.mend), self._translated(translate))

    def _translated(self, translate: Callable[[str], str]) -> Mapping[str, str]:
        """A ``reason`` is a msgid itself (the protocol's), filled from the same parameters."""
        reason = self.params.get("reason")
        return self.params if reason is None else {"reason": translate(reason), **_without_reason(self.params)}


def _without_reason(params: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in params.items() if name != "reason"}


def fill(template: str, params: Mapping[str, str]) -> str:
    """Replace ``{name}`` by its parameter; anything else in braces stays as written."""
    for name, value in params.items():
        template = template.replace("{" + name + "}", value)
    return template


class FormatError(ValueError):
    """The text is not a procedure; ``problems`` says where and why, in the order of the text, at least one."""

    def __init__(self, problems: Sequence[Finding]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(f"line {problem.line}: {problem.say()}" for problem in self.problems))
