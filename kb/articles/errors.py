"""Refusals that carry more than a sentence."""

from __future__ import annotations

from typing import ClassVar

from compagnon.errors import AppError, Conflict
from compagnon.i18n import N_
from kb.articles.model import Content, Lack, Version


class EditConflict(Conflict):
    """Somebody saved this text in between. ``current`` is what is there now, ``typed`` what would have been lost."""

    def __init__(self, current: Version, typed: Content) -> None:
        super().__init__(N_("{name} changed this text while you were writing."), name=current.editor_name or "—")
        self.current = current
        self.typed = typed


class NotReady(AppError):
    """The text cannot be reviewed yet: ``lacks`` is what is missing, at least one."""

    status: ClassVar[int] = 422

    def __init__(self, lacks: tuple[Lack, ...]) -> None:
        super().__init__(N_("Something is missing before this can be reviewed."))
        self.lacks = lacks
