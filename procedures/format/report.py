"""Collects what the parser cannot read, so that one pass names every problem and still gives a partial procedure."""

from __future__ import annotations

from procedures.format.model import Position
from procedures.format.problems import Finding, Severity
from procedures.format.yamls import Node, YamlError, load

MAX_PROBLEMS = 200


class Report:
    """At most ``MAX_PROBLEMS`` findings of severity error; ``step`` is the id of the step being read."""

    def __init__(self) -> None:
        self.step: str | None = None
        self._findings: list[Finding] = []

    def error(self, rule: str, at: Position, message: str, mend: str, **params: str) -> None:
        if len(self._findings) >= MAX_PROBLEMS:
            return
        short = {name: value[:120] for name, value in params.items()}
        self._findings.append(
            Finding(rule=rule, severity=Severity.ERROR, at=at, message=message, mend=mend, params=short, step=self.step)
        )

    def yaml(self, text: str, first_line: int, mend: str, *, example: str) -> Node | None:
        try:
            return load(text, first_line=first_line)
        except YamlError as error:
            self.error("yaml", error.at, error.message, mend, **error.params, example=example)
            return None

    @property
    def findings(self) -> tuple[Finding, ...]:
        return tuple(sorted(self._findings, key=lambda finding: finding.at))
