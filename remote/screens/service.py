"""Ask for mouse and keyboard of a screen, and give them back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import psycopg

from compagnon import audit
from compagnon.audit import Actor
from compagnon.auth.model import Member
from compagnon.errors import AppError, Conflict
from compagnon.i18n import N_
from compagnon.kernel import Kernel
from remote.control.link import AgentLink
from remote.recordings.recorder import Recorder
from remote.screens.model import CONTROL
from remote.screens.room import ScreenRoom
from remote.sessions.calling import Calling
from remote.sessions.model import Capability, Session, new_short_code
from remote.sessions.service import Sessions
from remote.sessions.words import question

log = logging.getLogger(__name__)


class Screens:
    """Use cases of ``screen`` sessions. Who drives may point and choose the monitor; control is asked for apart."""

    def __init__(self, kernel: Kernel, *, sessions: Sessions, calling: Calling, link: AgentLink) -> None:
        self._db = kernel.db
        self._settings = kernel.settings
        self._sessions = sessions
        self._calling = calling
        self._link = link
        self._tasks: set[asyncio.Task[None]] = set()

    def room(self, session: Session, recorder: Recorder, full: Callable[[str], None]) -> ScreenRoom:
        return ScreenRoom(session, recorder, full=full, control_lost=self._control_lost)

    async def ask_control(self, session_id: str, member: Member) -> str:
        """Ask the client, beside the caller: the room's pages hear the answer. The code to be compared by voice.

        Raises what Calling.room raises, Conflict when it is asked already or given.
        """
        found = await self._calling.room(session_id, member, Capability.SCREEN, changes=True)
        assert isinstance(found, ScreenRoom)
        if found.asking or found.controller is not None:
            raise Conflict(N_("Mouse and keyboard were asked for already."))
        found.asking = True
        code = new_short_code()
        try:
            await self._audit(found, Actor.member(member.id), "screen.control_requested", {})
            found.record(f"screen.asked: {member.name}")
        except BaseException:
            found.asking = False
            raise
        found.tell_control()
        self._begin(self._ask(found, member, code))
        return code

    async def _ask(self, room: ScreenRoom, member: Member, code: str) -> None:
        granted = False
        if room.releasing is not None:  # else it would take back what is given now
            await asyncio.gather(room.releasing, return_exceptions=True)
        try:
            session = await self._sessions.get(room.session_id)
            title = await self._link.ticket_title(session.ticket_id)
            asked = question(replace(session, short_code=code), title, self._settings)
            answer = await self._link.ask_consent(session.machine_id, replace(asked, capability=CONTROL))
            granted = answer.granted
            details = {"granted": granted, "source": answer.source.value, "person": answer.person}
            await self._audit(room, Actor.agent(session.machine_id), "screen.control_answered", details)
        except (AppError, psycopg.Error) as error:
            log.info("session %s: mouse and keyboard: %s", room.session_id, error)
        finally:
            room.asking = False
            allowed = granted and room.driver_id == member.id
            written = allowed and room.mark(f"screen.given: {member.name}")
            room.controller = member.id if written else None
            room.tell_control()
        if granted and not written:
            self._control_lost(room, "not taken")

    async def give_back(self, session_id: str, member: Member) -> None:
        """The client is asked again the next time. Raises what Calling.room raises."""
        found = await self._calling.room(session_id, member, Capability.SCREEN, changes=True)
        assert isinstance(found, ScreenRoom)
        found.lose_control("given back")

    def _control_lost(self, room: ScreenRoom, why: str) -> None:
        room.releasing = self._begin(self._after_control(room, why))

    async def _after_control(self, room: ScreenRoom, why: str) -> None:
        try:
            await self._audit(room, Actor.system(), "screen.control_ended", {"reason": why[:200]})
            await room.call("screen.release", {}, member_id=room.driver_id or 0)
        except (AppError, psycopg.Error) as error:
            log.info("session %s: mouse and keyboard: %s", room.session_id, error)

    async def _audit(self, room: ScreenRoom, actor: Actor, action: str, details: Mapping[str, object]) -> None:
        about = {"machine": room.machine_id, **details}
        async with self._db.transaction() as conn:
            await audit.record(conn, actor=actor, action=action, subject=f"session:{room.session_id}", details=about)

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Started and stopped with the server."""
        try:
            yield
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
