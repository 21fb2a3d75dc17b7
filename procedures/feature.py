"""What procedures add to the application."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from compagnon.auth.model import Member
from compagnon.i18n import N_
from compagnon.jobs import Jobs
from compagnon.kernel import Kernel
from compagnon.web.feature import Action, DashboardPanel, Feature, NavItem, Panel
from kb.articles.service import Articles
from kb.learning.service import Learning
from kb.search.model import Document
from kb.search.service import Search
from procedures.environments import web as environments_web
from procedures.environments.service import Environments
from procedures.library import indexing, web_edit, web_review
from procedures.library import web as library_web
from procedures.library.preview import previewer
from procedures.library.service import Library
from procedures.ports import MachineGateway, RunObserver, TicketGate
from procedures.runs import web as runs_web
from procedures.runs import web_absent, web_help
from procedures.runs.lessons import RunLessons
from procedures.runs.service import Runs


@dataclass(frozen=True, slots=True, kw_only=True)
class Procedures:
    feature: Feature
    library: Library
    environments: Environments
    runs: Runs


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The published procedures (or environments) for the search index."""

    library: Library
    kind: str

    async def documents(self) -> AsyncIterator[Document]:
        async for document in self.library.documents(self.kind):
            yield document

    async def document(self, id: str) -> Document | None:
        return await self.library.document(self.kind, id)


def build(
    kernel: Kernel,
    *,
    search: Search,
    articles: Articles,
    learning: Learning,
    gateway: MachineGateway,
    gate: TicketGate,
    observers: Sequence[RunObserver] = (),
) -> Procedures:
    """The services and pages of procedures, environments and runs."""
    library = Library(kernel, search, articles)
    environments = Environments(kernel.db, library)
    lessons = RunLessons(kernel.db, gate, learning)
    learning.outcomes(lessons)
    runs = Runs(kernel, library, gateway, gate, (*observers, lessons))
    for kind in indexing.KINDS:
        search.library_source(kind, Source(library=library, kind=kind))
        search.preview(kind, previewer(library))
    feature = Feature(
        package="procedures",
        handlers=[
            *library_web.HANDLERS,
            *web_edit.HANDLERS,
            *web_review.HANDLERS,
            *environments_web.HANDLERS,
            *runs_web.HANDLERS,
            *web_help.HANDLERS,
            *web_absent.HANDLERS,
        ],
        dependencies={
            "library": library,
            "environments": environments,
            "runs": runs,
            "gateway": gateway,
            "gate": gate,
        },
        nav=[
            NavItem(
                href="/procedures",
                label=N_("Procedures"),
                icon="list-check",
                order=30,
                also=("/reviews", "/environments"),
            ),
            NavItem(href="/runs", label=N_("Runs"), icon="player-play", order=35),
        ],
        actions=[Action(href="/procedures/new", label=N_("Write a procedure"), icon="pencil-plus")],
        topics={"run": _any_member, "procedure": _any_member, "procedures": _any_member},
        dashboard_panels=[_dashboard(library, runs)],
        lifespan=[runs.lifespan],
        tasks=_tasks(runs),
    )
    return Procedures(feature=feature, library=library, environments=environments, runs=runs)


def _tasks(runs: Runs) -> Callable[[Jobs], None]:
    def register(jobs: Jobs) -> None:
        @jobs.periodic("procedures.expire_waiting", cron="* * * * *")
        async def expire(timestamp: int) -> None:
            await runs.expire_waiting()

    return register


async def _any_member(_member: Member, _key: str) -> bool:
    """Every member may follow every run and procedure: colleagues help each other."""
    return True


def _dashboard(library: Library, runs: Runs) -> DashboardPanel:
    async def panel(member: Member) -> Panel | None:
        held = await runs.active_for(member)
        waiting = await library.waiting_for(member)
        own, _ = await library.open_for(member)  # among them what came back from review
        if not held and not waiting and not own:
            return None
        context = {"held": held, "waiting": waiting, "own": own}
        return Panel(template="procedures/dashboard.html", context=context, order=40)

    return panel
