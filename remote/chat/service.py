"""Write with the person at a machine, and keep what was written."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

import psycopg

from compagnon import audit
from compagnon.audit import Actor
from compagnon.auth.model import Member
from compagnon.errors import AppError, Invalid, TooMany, Unavailable
from compagnon.i18n import N_
from compagnon.kernel import Kernel
from compagnon_agent.protocol.spoken import CHARACTERS, name_of, spoken
from remote.chat import store
from remote.chat.model import LINES, SHOWN, Heard, Line, by_session
from remote.chat.room import ChatRoom
from remote.recordings.recorder import Recorder
from remote.sessions.call_room import Value
from remote.sessions.calling import Calling
from remote.sessions.model import LOST_AFTER, Capability, Session
from remote.sessions.service import Sessions

log = logging.getLogger(__name__)
IN_A_TICKET = 5000  # lines shown of all sessions of a ticket


class Chats:
    """Use cases of ``chat`` sessions. Everybody in the session may write; the person sees who does."""

    def __init__(self, kernel: Kernel, *, sessions: Sessions, calling: Calling) -> None:
        self._db = kernel.db
        self._sessions = sessions
        self._calling = calling
        self._bringing: dict[str, asyncio.Task[None]] = {}

    def room(self, session: Session, recorder: Recorder, full: Callable[[str], None]) -> ChatRoom:
        """What was not before the person when the server stopped is brought there now."""
        made = ChatRoom(session, recorder, full=full, chats=self)
        self._bring(made)
        return made

    async def lines(self, session_id: str, member: Member) -> Sequence[Line]:
        """The last ones, oldest first. Raises NotFound, Forbidden."""
        await self._sessions.require_entry(await self._sessions.get(session_id), member)
        async with self._db.connection() as conn:
            return await store.last(conn, session_id, SHOWN)

    async def of_ticket(self, ticket_id: int) -> Mapping[str, Sequence[Line]]:
        """By session: what was written in those that are over."""
        async with self._db.connection() as conn:
            return by_session(await store.of_ticket(conn, ticket_id, IN_A_TICKET))

    async def say(self, session_id: str, member: Member, raw: str, *, key: str) -> None:
        """``key`` is the page's own for this line: sent twice, it is said once.

        Raises Invalid, TooMany, and what Calling.room raises; Unavailable when it cannot be recorded.
        """
        if len(raw) > CHARACTERS or not (body := spoken(raw)):
            raise Invalid(N_("Write something, in at most {limit} characters."), field="text", limit=CHARACTERS)
        found = await self._calling.room(session_id, member, Capability.CHAT, changes=False)
        assert isinstance(found, ChatRoom)
        async with self._db.transaction() as conn:
            if await store.count(conn, session_id) >= LINES:
                raise TooMany(N_("This conversation is as long as it may be: open another one."))
            line = await store.add(conn, session_id, key=f"m{member.id}:{key}", body=body, member_id=member.id)
            if line is None:
                return
            details = {"line": line, "characters": len(body), "machine": found.machine_id}
            subject = f"session:{session_id}"
            await audit.record(
                conn, actor=Actor.member(member.id), action="chat.said", subject=subject, details=details
            )
            found.write(member.name, body)
        found.tell_all("chat")
        self._bring(found)

    async def heard(self, room: ChatRoom, said: Heard) -> None:
        """A line of the person at the machine: kept once. Raises Unavailable when it cannot be kept now."""
        body, person = spoken(said.text), name_of(said.person)
        if not body:
            return
        try:
            async with self._db.transaction() as conn:
                if await store.count(conn, room.session_id) >= 2 * LINES:
                    log.warning("session %s: too many lines: the rest is left out", room.session_id)
                    return
                key = f"a{said.number}"
                if await store.add(conn, room.session_id, key=key, body=body, person=person) is None:
                    return
                room.write(person or "?", body)
        except psycopg.Error as error:
            raise Unavailable(N_("The database does not answer: {error}"), error=str(error)) from None
        room.tell_all("chat")

    # to the person's screen

    def _bring(self, room: ChatRoom) -> None:
        """One line after the other, in the order in which they were written."""
        before = self._bringing.get(room.session_id)
        task = asyncio.create_task(self._bring_all(room, before), name=f"chat {room.session_id}")
        self._bringing[room.session_id] = task
        task.add_done_callback(lambda _: self._forget(room.session_id, task))

    def _forget(self, session_id: str, task: asyncio.Task[None]) -> None:
        if self._bringing.get(session_id) is task:
            del self._bringing[session_id]

    async def _bring_all(self, room: ChatRoom, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.gather(before, return_exceptions=True)
        try:
            async with self._db.connection() as conn:
                waiting = await store.waiting(conn, room.session_id)
            for line in waiting:
                await self._bring_one(room, line)
        except (AppError, psycopg.Error) as error:
            log.info("session %s: what was written is not on the person's screen: %s", room.session_id, error)

    async def _bring_one(self, room: ChatRoom, line: Line) -> None:
        arguments: Value = {"line": line.id, "name": line.name[:80], "text": line.body}
        await room.call("chat.say", arguments, member_id=line.member_id or 0, wait=LOST_AFTER)
        async with self._db.transaction() as conn:
            await store.shown(conn, line.id)
        room.tell_all("chat")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Started and stopped with the server."""
        try:
            yield
        finally:
            tasks = list(self._bringing.values())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
