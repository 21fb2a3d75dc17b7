"""Read, search and follow the logs of a machine; take lines of them along to the ticket."""

from __future__ import annotations

import logging
import time
from typing import Protocol, TypeVar

from compagnon.auth.model import Member
from compagnon.errors import Conflict, Invalid, Unavailable
from compagnon.i18n import N_
from compagnon_agent.protocol.wire import JSON, WireError, read_record
from remote.logs.model import NOTE_LIMIT, REFUSALS, SINCE, Batch, Page, Query, Sources
from remote.sessions.call_room import CallFailed, CallRoom, Value
from remote.sessions.calling import Calling
from remote.sessions.model import Capability

log = logging.getLogger(__name__)
T = TypeVar("T")
WAIT = 40.0  # a search may take its time


class TicketNotes(Protocol):
    """What is needed of the tickets, which are above this package."""

    async def note(self, ticket_id: int, member: Member, text: str) -> None:
        """An internal message. Raises Conflict (closed), Forbidden."""
        ...


class Logs:
    """Use cases of ``logs`` sessions. All raise what Calling.room and CallRoom.call raise.

    Whoever may enter the session may look: what they look at is recorded with their name.
    """

    def __init__(self, calling: Calling) -> None:
        self._calling = calling
        self.notes: TicketNotes | None = None  # filled while wiring

    async def sources(self, session_id: str, member: Member) -> Sources:
        room = await self._room(session_id, member)
        return _read(Sources, await _asked(room, "logs.sources", {}, member, f"logs.sources: {member.name}"))

    async def read(self, session_id: str, member: Member, query: Query) -> Page:
        """Raises also Conflict: no such log, not an expression, too slow, …"""
        room = await self._room(session_id, member)
        record = f"logs.read: {member.name}: {query.described()}"
        return _read(Page, await _asked(room, "logs.read", _arguments(query), member, record))

    async def follow(self, session_id: str, member: Member, follow: str, query: Query) -> None:
        """What is written from now on is told to the session's pages as ``log`` notes of that name."""
        room = await self._room(session_id, member)
        room.on_notice("logs.lines", lambda value: _hand_on(room, value))
        record = f"logs.follow: {member.name}: {query.described()}"
        await _asked(room, "logs.follow", {**_arguments(query), "follow": follow}, member, record)

    async def keep(self, session_id: str, member: Member, follow: str) -> None:
        """Somebody still looks: without this it ends after a minute."""
        room = await self._room(session_id, member)
        await _asked(room, "logs.keep", {"follow": follow}, member)

    async def leave(self, session_id: str, member: Member, follow: str) -> None:
        room = await self._room(session_id, member)
        await _asked(room, "logs.leave", {"follow": follow}, member)

    async def copy(self, session_id: str, member: Member, lines: str) -> int:
        """Put lines into the ticket as an internal note; gives the ticket. Raises Invalid, Conflict."""
        session = await self._calling.sessions.get(session_id)
        await self._calling.sessions.require_entry(session, member)
        if self.notes is None:
            raise Unavailable(N_("There are no tickets to copy to."))
        text = lines.replace("\r\n", "\n").strip("\n")
        if not text.strip() or len(text) > NOTE_LIMIT:
            raise Invalid(N_("Choose some lines, at most {limit} characters of them."), limit=NOTE_LIMIT)
        fence = "`" * max(3, _longest_run(text) + 1)
        about = f"{session.machine_name}:\n\n{fence}\n{text}\n{fence}"
        await self.notes.note(session.ticket_id, member, about)
        return session.ticket_id

    async def _room(self, session_id: str, member: Member) -> CallRoom:
        return await self._calling.room(session_id, member, Capability.LOGS, changes=False)


def _longest_run(text: str) -> int:
    """Of backticks: a fence must be longer (CommonMark §4.5)."""
    longest = run = 0
    for character in text:
        run = run + 1 if character == "`" else 0
        longest = max(longest, run)
    return longest


async def _hand_on(room: CallRoom, value: Value) -> None:
    """To every page of the session: each knows which of them it asked for."""
    try:
        batch = read_record(Batch, dict(value), "")
    except WireError as error:
        log.warning("session %s: nonsense instead of log lines: %s", room.session_id, error)
        return
    lines = [{"at": line.at, "severity": line.severity, "unit": line.unit, "text": line.text} for line in batch.lines]
    room.tell_all("log", follow=batch.follow, lines=lines, skipped=batch.skipped, newer=batch.newer, ended=batch.ended)


def _arguments(query: Query) -> dict[str, JSON]:
    seconds = SINCE.get(query.since, 0)
    return {
        "source": query.source,
        "unit": query.unit,
        "severity": query.severity,
        "since": int(time.time()) - seconds if seconds else 0,
        "text": query.text,
        "regex": query.regex,
        "cursor": query.cursor,
    }


async def _asked(room: CallRoom, method: str, arguments: Value, member: Member, record: str = "") -> Value:
    try:
        return await room.call(method, arguments, member_id=member.id, record=record, wait=WAIT)
    except CallFailed as error:
        if error.code in REFUSALS:
            raise Conflict(REFUSALS[error.code]) from None
        raise


def _read(kind: type[T], answer: Value) -> T:
    try:
        return read_record(kind, dict(answer), "")
    except WireError:
        raise CallFailed("malformed", "?") from None
