"""Refusals that carry more than a sentence."""

from __future__ import annotations

from typing import ClassVar

from compagnon.errors import AppError, Conflict
from compagnon.i18n import N_
from procedures.format.problems import Finding
from procedures.library.model import Version


class EditConflict(Conflict):
    """Somebody saved this draft in between. ``current`` is what is there now, ``typed`` what would have been lost."""

    def __init__(self, current: Version, typed: str) -> None:
        super().__init__(N_("{name} changed this text while you were writing."), name=current.editor_name)
        self.current = current
        self.typed = typed


class NotReady(AppError):
    """The text cannot go further: ``findings`` are what has to be mended first, at least one."""

    status: ClassVar[int] = 422

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        super().__init__(N_("The text has findings that must be mended first: {count}."), count=len(findings))
        self.findings = findings
