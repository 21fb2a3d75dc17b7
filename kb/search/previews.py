"""What is shown of a hit beside the list: each package renders its own small template."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from compagnon.auth.model import Member
from compagnon.errors import NotFound
from compagnon.web.feature import Panel

Preview = Callable[[Member, str], Awaitable[Panel | None]]
"""``async preview(member, id) -> Panel | None``: None (or NotFound) for what there is not, or may not be read."""


class Previews:
    """One per kind of document or record, registered while wiring."""

    def __init__(self) -> None:
        self._known: dict[str, Preview] = {}

    def register(self, kind: str, preview: Preview) -> None:
        self._known[kind] = preview

    def has(self, kind: str) -> bool:
        return kind in self._known

    async def show(self, member: Member, kind: str, id: str) -> Panel | None:
        """The panel to show; None where there is none, or where ``member`` may not read it."""
        preview = self._known.get(kind)
        if preview is None or not 0 < len(id) <= 200:
            return None
        try:
            return await preview(member, id)
        except NotFound:
            return None
