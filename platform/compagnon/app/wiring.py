"""The composition root: builds every service once and hands each what it needs from the layers above it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from litestar import Litestar

from compagnon.auth.model import Member
from compagnon.auth.service import Members
from compagnon.db import Database
from compagnon.directory.service import Directory
from compagnon.events import EventHub
from compagnon.jobs import Jobs
from compagnon.kernel import Kernel
from compagnon.settings import Settings
from compagnon.web.application import build as build_web
from compagnon.web.feature import Feature
from compagnon.web.ws_tickets import WsTickets
from kb.feature import Kb
from kb.feature import build as build_kb
from procedures.feature import Procedures
from procedures.feature import build as build_procedures
from remote.control.link import AgentLink
from remote.feature import Remote
from remote.feature import build as build_remote
from remote.machines.desk import OpenTickets
from remote.sessions.marks import StepMarks
from remote.sessions.rooms import Rooms
from tickets.desk.model import Visibility
from tickets.feature import Tickets
from tickets.feature import build as build_tickets
from tickets.gate import Gate


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything the application can do, without the web: for the CLI, the demo data and the tests."""

    kernel: Kernel
    kb: Kb
    procedures: Procedures
    remote: Remote
    tickets: Tickets

    @property
    def features(self) -> Sequence[Feature]:
        return tuple(room.feature for room in (self.kb, self.procedures, self.remote, self.tickets))


def build_services(settings: Settings, database_url: str) -> Services:
    """Build all services on one database. Nothing is opened or started yet (see ``running``)."""
    kernel = build_kernel(settings, Database(database_url, size=settings.database_pool))
    kb = build_kb(kernel)
    link, gate, rooms = AgentLink(kernel), Gate(kernel), Rooms(kernel)
    marks = StepMarks(rooms, link.nodes)
    procedures = build_procedures(
        kernel,
        search=kb.search,
        articles=kb.articles,
        learning=kb.learning,
        gateway=link,
        gate=gate,
        observers=[marks],
    )
    kb.articles.procedures = _ForArticles(procedures=procedures)
    remote = build_remote(
        kernel,
        search=kb.search,
        link=link,
        rooms=rooms,
        marks=marks,
        gate=gate,
        environments=procedures.environments,
        runs=procedures.runs,
    )
    tickets = build_tickets(
        kernel,
        search=kb.search,
        suggesting=kb.suggesting,
        gate=gate,
        library=procedures.library,
        environments=procedures.environments,
        runs=procedures.runs,
        articles=kb.articles,
        machines=remote.machines,
        sessions=remote.sessions,
        chats=remote.called.chats,
        dashboard_panels=[
            *kb.feature.dashboard_panels,
            *procedures.feature.dashboard_panels,
            *remote.feature.dashboard_panels,
        ],
    )
    remote.desk.open_tickets = _tickets_to_act_on(tickets)
    remote.called.logs.notes = _Notes(tickets=tickets)
    return Services(kernel=kernel, kb=kb, procedures=procedures, remote=remote, tickets=tickets)


@dataclass(frozen=True, slots=True, kw_only=True)
class _ForArticles:
    """What articles ask about procedures and environments."""

    procedures: Procedures

    async def titles(self, codes: Sequence[str], locale: str) -> Mapping[str, str]:
        return await self.procedures.library.titles(codes, locale)

    async def environments_in_force(self) -> Mapping[str, datetime]:
        return await self.procedures.environments.in_force()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Notes:
    """What a session's page takes along to the ticket."""

    tickets: Tickets

    async def note(self, ticket_id: int, member: Member, text: str) -> None:
        await self.tickets.desk.say(ticket_id, member, text, Visibility.INTERNAL)


def _tickets_to_act_on(tickets: Tickets) -> OpenTickets:
    """What a machine's page offers when a terminal is asked for: the client's open tickets that are the member's."""

    async def found(member: Member, client_id: int) -> list[tuple[int, str]]:
        several = await tickets.desk.of_client(client_id, only_open=True)
        return [(one.id, one.title) for one in several if await tickets.gate.may_act(one.id, member.id)]

    return found


def build_kernel(settings: Settings, db: Database) -> Kernel:
    return Kernel(
        settings=settings,
        db=db,
        hub=EventHub(db.url),
        jobs=Jobs(db),
        members=Members(db, settings),
        directory=Directory(db),
        ws_tickets=WsTickets(db),
    )


@asynccontextmanager
async def running(services: Services, *, background: bool = True) -> AsyncIterator[None]:
    """Open the database and, with ``background``, start the live events, the jobs and each feature's own work."""
    kernel = services.kernel
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(kernel.db)
        await kernel.jobs.open()
        if background:
            await _start_background(services, stack)
        yield


async def _start_background(services: Services, stack: AsyncExitStack) -> None:
    kernel = services.kernel
    await kernel.hub.start()
    stack.push_async_callback(kernel.hub.stop)
    for feature in services.features:
        if feature.tasks:
            feature.tasks(kernel.jobs)
        for lifespan in feature.lifespan:
            await stack.enter_async_context(lifespan())
    if kernel.settings.embedded_worker:
        kernel.jobs.start_worker()
        stack.push_async_callback(kernel.jobs.stop)


def build_app(services: Services) -> Litestar:
    """The web application over these services; starting it opens the database and the background work."""

    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        async with running(services):
            yield

    app = build_web(services.kernel, services.features, lifespan=lifespan)
    app.state.sockets = {path: handler for feature in services.features for path, handler in feature.sockets.items()}
    return app
