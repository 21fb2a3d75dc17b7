"""What this package adds to the application: machines, their agents, remote sessions and recordings."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from litestar.types import ControllerRouterHandler

from compagnon.auth.model import Member, Role
from compagnon.db import Connection, DatabaseError
from compagnon.errors import AppError, Conflict, NotFound
from compagnon.i18n import N_
from compagnon.jobs import Jobs
from compagnon.kernel import Kernel
from compagnon.web import Action, Feature, NavItem
from compagnon_agent.protocol import messages
from compagnon_agent.protocol.wire import write_record
from procedures.ports import StepReport, TicketGate
from remote.called import Called
from remote.called import build as build_called
from remote.control.lines import Reports
from remote.control.link import AgentLink
from remote.control.web import control_handler, control_socket, enrol_handler
from remote.machines import web as machine_web
from remote.machines.desk import Desk
from remote.machines.drift import Drift
from remote.machines.load import Loads
from remote.machines.model import Machine
from remote.machines.panels import client_panel, dashboard_panel
from remote.machines.preview import previewer
from remote.machines.records import Records
from remote.machines.scheduler import CheckScheduler
from remote.machines.search import MachineRecords
from remote.machines.service import Machines
from remote.policies import web as policy_web
from remote.policies.panels import agreement_panel, policy_panel
from remote.policies.service import Policies
from remote.recordings import web as recording_web
from remote.recordings.panels import retention_panel
from remote.recordings.retention import Retentions
from remote.recordings.search import RecordingRecords
from remote.recordings.service import Recordings
from remote.releases import web as release_web
from remote.releases.listening import listen_for_releases
from remote.releases.service import Releases
from remote.sessions import people_web, watch_code_web, watch_web
from remote.sessions import web as session_web
from remote.sessions.calling import Calling
from remote.sessions.marks import StepMarks
from remote.sessions.moderation import Moderation
from remote.sessions.people_web import four_eyes_panel, invitations_panel
from remote.sessions.rooms import Rooms
from remote.sessions.service import Sessions
from remote.sessions.watching import Watching
from remote.sessions.watching_agent import listen_for_watching
from remote.sessions.web import agent_session_handler
from remote.ssh import web as ssh_web
from remote.ssh import web_access as ssh_access_web
from remote.ssh.feature import Ssh
from remote.ssh.feature import build as build_ssh
from remote.ssh.panels import device_panel, devices_panel
from remote.waking import web as waking_web
from remote.waking.service import Waking

if TYPE_CHECKING:
    from kb.search.service import Search
    from procedures.environments.service import Environments
    from procedures.runs.service import Runs

log = logging.getLogger(__name__)
KEEP_TRIES = 5
PRESENCE_EVERY = 10.0  # seconds; a machine is offline 45 to 55 after its last sign of life


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """``desk.machine_panels`` and ``desk.open_tickets`` are filled by the rooms above (see ``machines.desk.Desk``)."""

    machines: Machines
    drift: Drift
    sessions: Sessions
    recordings: Recordings
    marks: StepMarks
    calling: Calling
    ssh: Ssh
    retentions: Retentions
    policies: Policies
    called: Called
    releases: Releases
    link: AgentLink
    desk: Desk
    feature: Feature


def build(
    kernel: Kernel,
    *,
    search: Search,
    link: AgentLink,
    rooms: Rooms,
    marks: StepMarks,
    gate: TicketGate,
    environments: Environments,
    runs: Runs,
) -> Remote:
    link.gate = gate
    link.reports = _reports(runs)
    drift = Drift(kernel, link.machines, environments, link, minutes=kernel.settings.check_minutes)
    sessions = Sessions(kernel, link=link, rooms=rooms, gate=gate)
    calling = Calling(sessions=sessions, rooms=rooms)
    scheduler = CheckScheduler(link, drift, environments)
    called = build_called(kernel, sessions=sessions, calling=calling, rooms=rooms, link=link)
    ssh = build_ssh(kernel, link=link, rooms=rooms, sessions=sessions, gate=gate, tunnels=called.tunnels)
    marks.on_step_ended.append(scheduler.after_step)
    link.when_back(_go_on(runs), whom=runs.awaited)
    waking = Waking(kernel, link=link, gate=gate)
    records = Records(kernel)
    _listen(link, drift, waking, records)
    releases = Releases(kernel)
    listen_for_releases(link, releases)
    desk = Desk(
        link=link,
        drift=drift,
        sessions=sessions,
        environments=environments,
        runs=runs,
        scheduler=scheduler,
        gate=gate,
        loads=Loads(kernel, link),
        waking=waking,
        records=records,
    )
    policies = Policies(kernel, link)
    desk.machine_panels.append(agreement_panel(policies, link.machines))
    desk.machine_panels.append(device_panel(ssh))
    search.record_source(MachineRecords(kernel.db))
    search.preview("machine", previewer(link.machines))
    search.record_source(RecordingRecords(kernel.db))
    return Remote(
        machines=link.machines,
        drift=drift,
        sessions=sessions,
        recordings=rooms.recordings,
        marks=marks,
        calling=calling,
        called=called,
        releases=releases,
        ssh=ssh,
        link=link,
        desk=desk,
        policies=policies,
        retentions=(retentions := Retentions(kernel, rooms.recordings)),
        feature=_feature(kernel, desk, rooms, called, scheduler, retentions, releases, policies, ssh),
    )


def _feature(
    kernel: Kernel,
    desk: Desk,
    rooms: Rooms,
    called: Called,
    scheduler: CheckScheduler,
    retentions: Retentions,
    releases: Releases,
    policies: Policies,
    ssh: Ssh,
) -> Feature:
    link, sessions = desk.link, desk.sessions
    moderation = Moderation(kernel, rooms)
    watching = Watching(kernel, sessions, rooms)
    listen_for_watching(link, watching)

    async def anyone(_: Member, __: str) -> bool:
        return True

    async def administrators(member: Member, _: str) -> bool:
        return member.role.covers(Role.ADMINISTRATOR)

    return Feature(
        package="remote",
        handlers=_handlers(kernel, rooms, link, sessions, called),
        dependencies={
            "machines": link.machines,
            "desk": desk,
            "waking": desk.waking,
            "sessions": sessions,
            "rooms": rooms,
            "recordings": rooms.recordings,
            **called.dependencies,
            "retentions": retentions,
            "policies": policies,
            "moderation": moderation,
            "watching": watching,
            "releases": releases,
            "ssh": ssh,
        },
        nav=[
            NavItem(
                href="/machines",
                label=N_("Machines"),
                icon="device-desktop",
                order=40,
                also=("/sessions", "/recordings"),
            )
        ],
        actions=[
            Action(href="/machines/new", label=N_("Enrol a machine"), icon="device-desktop-plus"),
            Action(
                href="/machines/releases", label=N_("Versions of the agent"), icon="versions", role=Role.ADMINISTRATOR
            ),
        ],
        sockets={"/agent/control": control_socket(link)},
        topics={"machine": anyone, "machines": anyone, "session": anyone, "releases": administrators},
        client_panels=[
            client_panel(link.machines),
            devices_panel(ssh),
            policy_panel(policies),
            four_eyes_panel(moderation),
            retention_panel(retentions),
        ],
        everywhere=["remote/everywhere.html"],
        dashboard_panels=[invitations_panel(sessions), dashboard_panel(link.machines, desk.records)],
        lifespan=[
            link.nodes.running,
            rooms.watching,
            sessions.running,
            *called.lifespan,
            scheduler.running,
            desk.loads.running,
            lambda: _presence(link),
            ssh.agents.running,
        ],
        tasks=_tasks(desk.drift, retentions, rooms.recordings),
    )


def _handlers(
    kernel: Kernel, rooms: Rooms, link: AgentLink, sessions: Sessions, called: Called
) -> list[ControllerRouterHandler]:
    return [
        enrol_handler(link),
        control_handler(link),
        agent_session_handler(link, rooms, sessions),
        *machine_web.handlers(),
        *waking_web.handlers(),
        *session_web.handlers(rooms),
        *recording_web.handlers(),
        *policy_web.handlers(),
        *people_web.handlers(),
        *watch_web.handlers(),
        *watch_code_web.handlers(),
        *called.handlers,
        *release_web.handlers(link, kernel.settings),
        *ssh_web.handlers(),
        *ssh_access_web.handlers(),
    ]


def _tasks(drift: Drift, retentions: Retentions, recordings: Recordings) -> Callable[[Jobs], None]:
    def tasks(jobs: Jobs) -> None:
        @jobs.periodic("remote.expire_waivers", cron="7 * * * *")
        async def expire(timestamp: int) -> None:
            await drift.expire()

        @jobs.periodic("remote.index_recordings", cron="*/5 * * * *")
        async def index_recordings(timestamp: int) -> None:
            await recordings.index_old()

        @jobs.periodic("remote.erase_recordings", cron="23 3 * * *")
        async def erase_recordings(timestamp: int) -> None:
            await retentions.erase_due()

    return tasks


def _go_on(runs: Runs) -> Callable[[Machine], Awaitable[None]]:
    async def returned(machine: Machine) -> None:
        await runs.machine_returned(machine.id)

    return returned


def _reports(runs: Runs) -> Reports:
    async def keep(machine_id: int, attempt_id: str, report: StepReport) -> bool:
        """Once, for the machine's own attempts only, whether or not anybody waits for the report."""
        for _ in range(KEEP_TRIES):
            try:
                await runs.record_report(attempt_id, report, machine_id=machine_id)
                return True
            except NotFound:
                log.warning("machine %s reports attempt %s, which is none of its own", machine_id, attempt_id)
                return True  # nothing is kept, and the agent need not say it again
            except Conflict:  # somebody acted on the step at the same moment: the next try only keeps the report
                await asyncio.sleep(0.1)
        return False

    return keep


def _listen(link: AgentLink, drift: Drift, waking: Waking, records: Records) -> None:
    machines = link.machines

    async def facts(conn: Connection, machine: Machine, message: messages.Facts, at: datetime) -> None:
        await machines.keep_facts(conn, machine, message.facts, at)
        await waking.keep_lans(conn, machine, message.facts)

    async def policy(conn: Connection, machine: Machine, message: messages.Policy, at: datetime) -> None:
        raw = {
            "mode": message.mode,
            "note": message.note,
            "automatic": message.automatic,
            "sheet": message.sheet,
            "source": message.source,
            "agreement": write_record(message.agreement) if message.agreement else None,
        }
        await machines.keep_policy(conn, machine, raw)

    async def withdrawn(conn: Connection, machine: Machine, message: messages.ConsentWithdrawn, at: datetime) -> None:
        about = f"{message.ticket_id} {message.session_id} {message.digest}"
        await machines.consent_withdrawn(conn, machine, message.reason, about=about)

    async def dropped(conn: Connection, machine: Machine, message: messages.Dropped, at: datetime) -> None:
        await machines.dropped(conn, machine, message.counts)

    async def reads_standard(machine: Machine, message: messages.CheckReport) -> None:
        await drift.expected(machine)

    async def problem(machine: Machine, message: messages.Problem) -> None:
        log.warning("machine %s has a problem with %r: %r", machine.id, message.about, message.reason)

    link.inbox.inside(messages.Facts, facts)
    link.inbox.inside(messages.Policy, policy)
    link.inbox.inside(messages.ConsentWithdrawn, withdrawn)
    link.inbox.inside(messages.Dropped, dropped)
    records.listen(link)
    link.inbox.before(messages.CheckReport, reads_standard)
    link.inbox.inside(messages.CheckReport, drift.report)
    link.handle(messages.Checked, drift.nothing_new)
    link.handle(messages.Problem, problem)


@asynccontextmanager
async def _presence(link: AgentLink) -> AsyncIterator[None]:
    async def keep() -> None:
        while True:
            try:
                await link.keep_present()
            except Exception:
                log.exception("presence could not be noted; again in %s seconds", PRESENCE_EVERY)
            await asyncio.sleep(PRESENCE_EVERY)

    await link.machines.alive()
    task = asyncio.create_task(keep(), name="presence")
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        with suppress(AppError, DatabaseError):
            await link.machines.gone()
