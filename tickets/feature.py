"""What tickets add to the application."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from compagnon.auth.model import Member
from compagnon.i18n import N_
from compagnon.jobs import Jobs
from compagnon.kernel import Kernel
from compagnon.web.feature import Action, ClientPanel, DashboardPanel, Feature, NavItem, Panel
from kb.articles.service import Articles
from kb.search.service import Search
from kb.suggestions.service import Suggesting
from procedures.environments.service import Environments
from procedures.library.service import Library
from procedures.runs.service import Runs
from remote.chat.service import Chats
from remote.machines.service import Machines
from remote.sessions.service import Sessions
from tickets.articles.service import TicketArticles
from tickets.articles.web import TicketArticlePages
from tickets.capture.service import Capture
from tickets.capture.web import CapturePages
from tickets.closing.service import Closer
from tickets.closing.web import ClosingPages
from tickets.dashboard.service import Dashboards
from tickets.dashboard.web import DashboardPages
from tickets.desk.service import Desk
from tickets.desk.story import Stories
from tickets.desk.web import TicketPages
from tickets.escalation.for_sessions import SessionExperts
from tickets.escalation.service import Escalations
from tickets.escalation.web import EscalationPages, asked
from tickets.gate import Gate
from tickets.links.service import Links
from tickets.links.web import LinkPages
from tickets.listing.preview import previewer
from tickets.listing.service import TicketList
from tickets.listing.web import TicketListPages
from tickets.listing.words import TicketWords
from tickets.search import TicketRecords
from tickets.web import words


@dataclass(frozen=True, slots=True, kw_only=True)
class Tickets:
    feature: Feature
    gate: Gate
    desk: Desk
    list: TicketList
    capture: Capture
    escalations: Escalations
    closer: Closer
    stories: Stories
    links: Links
    words: TicketWords


def build(
    kernel: Kernel,
    *,
    search: Search,
    suggesting: Suggesting,
    gate: Gate,
    library: Library,
    environments: Environments,
    runs: Runs,
    articles: Articles,
    machines: Machines,
    sessions: Sessions,
    chats: Chats,
    dashboard_panels: Sequence[DashboardPanel] = (),
) -> Tickets:
    """The services and pages of tickets, and the first page, which also shows the other packages' panels."""
    desk = Desk(kernel, machines, articles)
    ticket_list = TicketList(kernel.db)
    capture = Capture(kernel, desk, machines, suggesting)
    escalations = Escalations(kernel, desk, runs)
    sessions.experts = SessionExperts(desk, escalations, runs)
    closer = Closer(kernel, desk, runs=runs, sessions=sessions, library=library, escalations=escalations)
    stories = Stories(kernel.db, machines=machines, runs=runs, sessions=sessions, chats=chats, escalations=escalations)
    links, words_of_tickets = Links(kernel), TicketWords(kernel.db)
    search.record_source(TicketRecords(kernel.db))
    search.preview("ticket", previewer(kernel.db))
    feature = Feature(
        package="tickets",
        handlers=[
            DashboardPages,
            CapturePages,
            TicketListPages,
            TicketPages,
            asked,
            EscalationPages,
            ClosingPages,
            LinkPages,
            TicketArticlePages,
        ],
        dependencies={
            "ticket_desk": desk,
            "ticket_list": ticket_list,
            "capture": capture,
            "escalations": escalations,
            "closer": closer,
            "stories": stories,
            "links": links,
            "ticket_articles": TicketArticles(kernel.db, desk=desk, machines=machines, runs=runs, articles=articles),
            "dashboards": Dashboards(ticket_list, escalations, dashboard_panels),
        },
        nav=[
            NavItem(href="/", label=N_("Dashboard"), icon="home", order=10),
            NavItem(href="/tickets", label=N_("Tickets"), icon="ticket", order=20),
        ],
        actions=[
            Action(href="/tickets/new", label=N_("Somebody calls: new ticket"), icon="phone-incoming"),
            Action(href="/tickets?owner=mine", label=N_("My tickets"), icon="ticket"),
            Action(href="/tickets?owner=none", label=N_("Unassigned tickets"), icon="inbox"),
        ],
        topics={"ticket": _every_member, "tickets": _every_member, "viewing": _every_member},
        client_panels=[_client_panel(desk)],
        everywhere=["tickets/everywhere.html"],
        tasks=_tasks(escalations, closer, words_of_tickets),
    )
    return Tickets(
        feature=feature,
        gate=gate,
        desk=desk,
        list=ticket_list,
        capture=capture,
        escalations=escalations,
        closer=closer,
        stories=stories,
        links=links,
        words=words_of_tickets,
    )


async def _every_member(_member: Member, _key: str) -> bool:
    """Every member may follow every ticket: any member helps any client."""
    return True


def _tasks(escalations: Escalations, closer: Closer, words_of_tickets: TicketWords) -> Callable[[Jobs], None]:
    def register(jobs: Jobs) -> None:
        escalations.register(jobs)
        closer.register(jobs)
        words_of_tickets.register(jobs)

    return register


def _client_panel(desk: Desk) -> ClientPanel:
    async def panel(_member: Member, client_id: int) -> Panel:
        tickets = await desk.of_client(client_id)
        return Panel(
            template="tickets/client_panel.html",
            context={"tickets": tickets, "client_id": client_id, **words()},
            order=10,
        )

    return panel
