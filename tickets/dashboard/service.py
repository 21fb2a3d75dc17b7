"""What waits for a member, gathered from every room for the first page."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from compagnon.auth.model import Member
from compagnon.web.feature import DashboardPanel, Panel
from tickets.escalation.model import Escalation
from tickets.escalation.service import Escalations
from tickets.listing.model import Listing, Owner, Sort, TicketFilter
from tickets.listing.service import TicketList

SHORT, MINE = 6, 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """The parts of the first page; each is short, and links to the whole list. ``panels`` are other packages'."""

    asked: Sequence[Escalation]
    mine: Listing
    helping: Listing
    unassigned: Listing
    panels: Sequence[Panel]


class Dashboards:
    def __init__(
        self,
        tickets: TicketList,
        escalations: Escalations,
        panels: Sequence[DashboardPanel],
    ) -> None:
        self._tickets = tickets
        self._escalations = escalations
        self._panels = tuple(panels)

    async def of(self, member: Member) -> Dashboard:
        """Everything at once: the parts are read side by side."""
        asked, mine, helping, unassigned, panels = await asyncio.gather(
            self._escalations.asked_of(member.id),
            self._tickets.page(TicketFilter(member_id=member.id, owner=Owner.MINE, sort=Sort.PRIORITY), size=MINE),
            self._tickets.page(TicketFilter(member_id=member.id, owner=Owner.HELPING), size=SHORT),
            self._tickets.page(TicketFilter(member_id=member.id, owner=Owner.NOBODY, sort=Sort.PRIORITY), size=SHORT),
            self._others(member),
        )
        return Dashboard(asked=asked, mine=mine, helping=helping, unassigned=unassigned, panels=panels)

    async def _others(self, member: Member) -> list[Panel]:
        found = [await panel(member) for panel in self._panels]
        return sorted((panel for panel in found if panel), key=lambda panel: panel.order)
