"""Open connections through a tunnel: for this server's own use, and for members' computers."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import psycopg

from compagnon import audit
from compagnon.audit import Actor
from compagnon.auth.model import Member
from compagnon.auth.service import Members
from compagnon.errors import Conflict, Forbidden
from compagnon.i18n import N_
from compagnon.kernel import Kernel
from compagnon.web.ws_tickets import WsTickets
from compagnon_agent.protocol.channel import ChannelLost
from remote.recordings.recorder import Recorder
from remote.sessions.calling import Calling
from remote.sessions.model import Capability, Session, SessionState
from remote.sessions.rooms import Rooms
from remote.sessions.service import Sessions
from remote.tunnels.model import CODE_SECONDS, Connection, Pass, Passes, purpose, target_of
from remote.tunnels.room import End, TunnelRoom

log = logging.getLogger(__name__)
PIECE = 64 * 1024
LOOK_EVERY = 30.0  # seconds between two looks whether a member still may
UNKNOWN_CODE = N_("This code is not known, or was used, or is too old: take a new one from the page.")


class Tunnels:
    """Use cases of ``tunnel`` sessions. Only who drives the session may open connections."""

    def __init__(self, kernel: Kernel, *, sessions: Sessions, calling: Calling, rooms: Rooms) -> None:
        self._db = kernel.db
        self._members: Members = kernel.members
        self._tickets: WsTickets = kernel.ws_tickets
        self._sessions = sessions
        self._calling = calling
        self._rooms = rooms
        self._passes = Passes()
        self._tasks: set[asyncio.Task[None]] = set()

    def room(self, session: Session, recorder: Recorder, full: Callable[[str], None]) -> TunnelRoom:
        return TunnelRoom(session, recorder, full=full, over=self._over)

    async def connections(self, session_id: str, member: Member) -> Sequence[Connection]:
        """Raises NotFound, Forbidden."""
        session = await self._sessions.get(session_id)
        await self._sessions.require_entry(session, member)
        found = self._rooms.get(session_id)
        return found.connections if isinstance(found, TunnelRoom) else ()

    # connections

    @asynccontextmanager
    async def connection(self, session_id: str, member: Member, *, via: str) -> AsyncIterator[End]:
        """One TCP connection to the session's target, closed with the block.

        Raises what Calling.room raises, CallFailed when the target does not answer.
        """
        found = await self._calling.room(session_id, member, Capability.TUNNEL, changes=True)
        assert isinstance(found, TunnelRoom)
        details = {"target": found.target, "machine": found.machine_id, "via": via}
        async with self._db.transaction() as conn:
            subject = f"session:{session_id}"
            await audit.record(
                conn, actor=Actor.member(member.id), action="tunnel.opened", subject=subject, details=details
            )
        end = await found.connect(member.id, member.name, via)
        try:
            yield end
        finally:
            await end.close()

    def _over(self, room: TunnelRoom, connection: Connection) -> None:
        task = asyncio.create_task(self._write_down(room, connection))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _write_down(self, room: TunnelRoom, connection: Connection) -> None:
        details = {
            "target": room.target,
            "machine": room.machine_id,
            "connection": connection.number,
            "up": connection.up,
            "down": connection.down,
            "seconds": connection.seconds,
            "reason": connection.reason,
        }
        actor, subject = Actor.member(connection.member_id), f"session:{room.session_id}"
        try:
            async with self._db.transaction() as conn:
                await audit.record(conn, actor=actor, action="tunnel.closed", subject=subject, details=details)
        except psycopg.Error as error:
            log.error("session %s: the end of a connection is in its recording only: %s", room.session_id, error)

    # for this server itself

    async def open_to(self, machine_id: int, host: str, port: int, member: Member) -> Session | None:
        """The open tunnel of that machine to that host and port which the member drives, if there is one."""
        for session in await self._sessions.for_machine(machine_id, 100):
            same = session.capability is Capability.TUNNEL and session.target == target_of(host, port)
            if same and session.state is SessionState.OPEN and session.driver_id == member.id:
                return session
        return None

    async def dial(self, session_id: str, member: Member, *, via: str) -> socket.socket:
        """A connected, blocking stream socket whose other end is the target; whoever gets it closes it.

        Raises what ``connection`` raises.
        """
        ours, theirs = socket.socketpair()
        opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(self._bridge(session_id, member, via, ours, opened))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            await opened
        except BaseException:
            task.cancel()
            theirs.close()
            raise
        return theirs

    async def _bridge(
        self, session_id: str, member: Member, via: str, ours: socket.socket, opened: asyncio.Future[None]
    ) -> None:
        try:
            async with self.connection(session_id, member, via=via) as end:
                reader, writer = await asyncio.open_connection(sock=ours)
                opened.set_result(None)
                with contextlib.suppress(ChannelLost, OSError):
                    await carry(end, reader, writer)
                writer.close()
        except Exception as error:
            ours.close()
            if opened.done():
                log.exception("session %s: a connection broke", session_id)
            else:
                opened.set_exception(error)

    # for a member's computer

    async def code(self, session_id: str, member: Member, sign_in_id: int) -> str:
        """To be given to the program on the member's computer, once, within CODE_SECONDS. Raises as ``connection``."""
        await self._calling.room(session_id, member, Capability.TUNNEL, changes=True)
        ticket = await self._tickets.issue(member.id, purpose(session_id, sign_in_id), seconds=CODE_SECONDS)
        return f"{sign_in_id}.{ticket}"

    async def exchange(self, session_id: str, code: str) -> tuple[str, Session]:
        """A pass for a code. Raises NotFound, Forbidden, Conflict (the session is over)."""
        session = await self._sessions.get(session_id)
        number, _, ticket = code.strip()[:200].partition(".")
        if not (number.isascii() and number.isdecimal() and len(number) < 19):
            raise Forbidden(UNKNOWN_CODE)
        try:
            member_id = await self._tickets.redeem(ticket, purpose(session_id, int(number)))
        except Forbidden:
            raise Forbidden(UNKNOWN_CODE) from None
        if session.state is not SessionState.OPEN:
            raise Conflict(N_("This session is not open."))
        given = Pass(session_id=session_id, member_id=member_id, sign_in_id=int(number))
        await self.still_good(given)
        return self._passes.give(given), session

    async def holder(self, session_id: str, shown: str) -> tuple[Pass, Member]:
        """Whose computer this is. Raises Forbidden, NotFound."""
        known = self._passes.find(shown, session_id)
        if known is None:
            raise Forbidden(UNKNOWN_CODE)
        return known, await self.still_good(known)

    async def still_good(self, given: Pass) -> Member:
        """Raises Forbidden when the member signed out, may not enter any more, or the session is over."""
        session, member = await self._sessions.get(given.session_id), await self._members.get(given.member_id)
        if not session.live or not await self._sessions.may_stay(session, member, given.sign_in_id):
            self._passes.forget(given)
            raise Forbidden(N_("This tunnel may not be used any more."))
        return member

    async def watch(self, given: Pass) -> None:
        """Runs until it may not be used any more. Raises Forbidden then."""
        while True:
            await asyncio.sleep(LOOK_EVERY)
            try:
                await self.still_good(given)
            except psycopg.Error as error:
                log.error("session %s: a right could not be looked up yet: %s", given.session_id, error)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Started and stopped with the server."""
        try:
            yield
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)


async def carry(end: End, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Both ways, until both have finished. Raises ChannelLost, OSError."""

    async def up() -> None:
        while data := await reader.read(PIECE):
            await end.write(data)
        await end.finish()

    async def down() -> None:
        while data := await end.read():
            writer.write(data)
            await writer.drain()
        writer.write_eof()

    tasks = [asyncio.create_task(up()), asyncio.create_task(down())]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()
