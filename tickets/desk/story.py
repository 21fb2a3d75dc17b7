"""A ticket's page in one reading: the ticket, who works on it, and everything that happened as one story."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from markupsafe import Markup

from compagnon.db import Database
from compagnon.errors import NotFound
from procedures.runs.model import Run
from procedures.runs.service import Runs
from remote.chat.model import Line
from remote.chat.service import Chats
from remote.machines.model import Machine
from remote.machines.service import Machines
from remote.sessions.model import Capability, Session
from remote.sessions.service import Sessions
from tickets.closing import store as closing_store
from tickets.closing.model import Closing, Verification
from tickets.desk import store
from tickets.desk.markdown import rendered
from tickets.desk.model import Collaborator, Message, StateInterval, Ticket, TimeEntry, TimelineItem, merge
from tickets.desk.service import GONE
from tickets.escalation.service import Call, Escalations
from tickets.links import store as link_store
from tickets.links.model import Link

MESSAGES_LIMIT = 200
CHANGES_LIMIT = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """Everything the ticket's page shows. ``items`` is the merged timeline, oldest first."""

    ticket: Ticket
    machine: Machine | None
    machines: Sequence[Machine]
    collaborators: Sequence[Collaborator]
    intervals: Sequence[StateInterval]
    times: Sequence[TimeEntry]
    runs: Sequence[Run]
    run_seconds: int
    sessions: Sequence[Session]
    calls: Sequence[Call]
    closing: Closing | None
    verifications: Sequence[Verification]
    links: Sequence[Link]
    items: Sequence[TimelineItem]

    @property
    def capabilities(self) -> list[Capability]:
        """What can be asked for on one of the client's machines at least; each agent knows its own."""
        known = {name for machine in self.machines for name in machine.capabilities}
        return [capability for capability in Capability if capability in known]

    @property
    def live_sessions(self) -> list[Session]:
        return [session for session in self.sessions if session.live]

    @property
    def active_runs(self) -> list[Run]:
        return [run for run in self.runs if run.active]

    @property
    def minutes(self) -> int:
        """Minutes accounted by hand; the time of runs is counted by itself (``run_seconds``)."""
        return sum(entry.minutes for entry in self.times)

    def works_here(self, member_id: int) -> bool:
        """Whether this member may act on the ticket's machines (see ``tickets.gate``)."""
        return self.ticket.owner_id == member_id or any(item.member_id == member_id for item in self.collaborators)


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A message with its text as safe HTML."""

    message: Message
    html: Markup


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """What was written in a chat session that is over, oldest first."""

    session: Session
    lines: Sequence[Line]


class Stories:
    def __init__(
        self,
        db: Database,
        *,
        machines: Machines,
        runs: Runs,
        sessions: Sessions,
        chats: Chats,
        escalations: Escalations,
    ) -> None:
        self._db = db
        self._machines = machines
        self._runs = runs
        self._sessions = sessions
        self._chats = chats
        self._escalations = escalations

    async def of(self, ticket_id: int) -> Story:
        """Raises NotFound."""
        async with self._db.connection() as conn:
            ticket = await store.get(conn, ticket_id) if 1 <= ticket_id < 2**63 else None
            if ticket is None:
                raise NotFound(GONE, id=ticket_id)
            messages = await store.messages(conn, ticket_id, MESSAGES_LIMIT)
            changes = await store.changes(conn, ticket_id, CHANGES_LIMIT)
            intervals = await store.states(conn, ticket_id)
            times = await store.times(conn, ticket_id)
            collaborators = await store.collaborators(conn, ticket_id)
            closing = await closing_store.get(conn, ticket_id)
            verifications = await closing_store.latest_verifications(conn, ticket_id)
            links = await link_store.of(conn, ticket_id)
        machines = await self._machines.for_client(ticket.client_id)
        runs = await self._runs.for_ticket(ticket_id)
        sessions = await self._sessions.for_ticket(ticket_id)
        chats = await self._chats.of_ticket(ticket_id) if sessions else {}
        calls = await self._escalations.for_ticket(ticket_id)
        return Story(
            ticket=ticket,
            machine=next((machine for machine in machines if machine.id == ticket.machine_id), None),
            machines=machines,
            collaborators=collaborators,
            intervals=intervals,
            times=times,
            runs=runs,
            run_seconds=await self._runs.time_for_ticket(ticket_id) if runs else 0,
            sessions=sessions,
            calls=calls,
            closing=closing,
            verifications=verifications,
            links=links,
            items=merge(
                [_item(interval.entered_at, "state", interval) for interval in intervals],
                [_item(each.created_at, "change", each) for each in changes],
                [_item(each.created_at, "message", Said(message=each, html=rendered(each.body))) for each in messages],
                [_item(each.created_at, "time", each) for each in times],
                _run_items(runs),
                _session_items(sessions),
                _chat_items(sessions, chats),
                _call_items(calls),
                [_item(each.created_at, "verification", each) for each in verifications],
                [_item(closing.created_at, "closing", closing)] if closing else [],
            ),
        )


def _item(at: datetime, kind: str, data: Any) -> TimelineItem:  # noqa: ANN401 - each kind has its own type
    return TimelineItem(at=at, kind=kind, data=data)


def _run_items(runs: Sequence[Run]) -> list[TimelineItem]:
    started = [_item(run.started_at, "run_started", run) for run in runs]
    return started + [_item(run.ended_at, "run_ended", run) for run in runs if run.ended_at]


def _session_items(sessions: Sequence[Session]) -> list[TimelineItem]:
    asked = [_item(session.requested_at, "session_asked", session) for session in sessions]
    return asked + [_item(each.ended_at, "session_ended", each) for each in sessions if each.ended_at]


def _chat_items(sessions: Sequence[Session], chats: Mapping[str, Sequence[Line]]) -> list[TimelineItem]:
    return [
        _item(each.ended_at, "chat", Conversation(session=each, lines=chats[each.id]))
        for each in sessions
        if each.ended_at and each.id in chats
    ]


def _call_items(calls: Sequence[Call]) -> list[TimelineItem]:
    items = [_item(call.escalation.created_at, "call", call) for call in calls]
    for call in calls:
        answered = [offer for offer in call.offers if offer.answered_at]
        items += [_item(offer.answered_at, "answer", offer) for offer in answered if offer.answered_at]
    return items
