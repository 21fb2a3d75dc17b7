"""What higher packages show on a client's page: ``Feature(client_panels=[panel])``.

A panel is ``async panel(member, client_id) -> Panel | None``. Its template is included on the page with its context as
``panel``; it is a fragment (a ``<section>``), not a page.
"""

from __future__ import annotations

from collections.abc import Sequence

from compagnon.auth.model import Member
from compagnon.web.feature import ClientPanel, Panel


class ClientPanels:
    def __init__(self, panels: Sequence[ClientPanel]) -> None:
        self._panels = tuple(panels)

    async def of(self, member: Member, client_id: int) -> list[Panel]:
        """The panels that have something to say, in their order."""
        found = [await panel(member, client_id) for panel in self._panels]
        return sorted((panel for panel in found if panel), key=lambda panel: panel.order)
