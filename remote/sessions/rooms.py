"""The rooms of this process: which sessions have their agent and their pages here."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import TYPE_CHECKING, Any

import psycopg

from compagnon.errors import Conflict, Unavailable
from compagnon.i18n import N_
from compagnon.kernel import Kernel
from remote.recordings.model import ChainError
from remote.recordings.recorder import Recorder
from remote.recordings.service import Recordings
from remote.sessions import people_store, store
from remote.sessions.call_room import CallRoom
from remote.sessions.model import LOST_AFTER, Capability, EndReason, Session, SessionState
from remote.sessions.room import Room
from remote.sessions.terminal_room import TerminalRoom
from remote.wire import RESTART, SILENT

if TYPE_CHECKING:
    from remote.sessions.service import Sessions

log = logging.getLogger(__name__)
TICK = 1.0  # seconds
FINISHED_SOON = 3.0  # seconds that the end of a session waits for its recording
ANCHOR_EVERY = 10.0
FOLLOW_EVERY = 30.0  # should an event have been lost
VIEWER_SILENCE = 45.0  # seconds; a page pings every 10
SIZE = (100, 30)


Maker = Callable[[Session, Recorder, Callable[[str], None]], CallRoom]


def _called(session: Session, recorder: Recorder, full: Callable[[str], None]) -> CallRoom:
    return CallRoom(session, recorder, full=full)


class Rooms:
    """One task watches all of them."""

    def __init__(self, kernel: Kernel) -> None:
        self.recordings = Recordings(kernel)
        self.sessions: Sessions | None = None  # attached while wiring
        self.hub = kernel.hub
        self._db = kernel.db
        self.makers: dict[Capability, Maker] = {}  # capabilities that have a room of their own kind
        self.on_made: list[Callable[[Session, Room], None]] = []  # called for each room that this process takes up
        self._rooms: dict[str, Room] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._anchored: dict[str, int] = {}
        self._started = time.monotonic()

    def get(self, session_id: str) -> Room | None:
        return self._rooms.get(session_id)

    async def room(self, session: Session) -> Room:
        """The session's room, taken up from its recording when this process does not have it yet.

        Raises OSError when the recording cannot be written, ChainError when it is damaged.
        """
        lock = self._locks.setdefault(session.id, asyncio.Lock())
        async with lock:
            found = self._rooms.get(session.id)
            if found is None:
                found = self._rooms[session.id] = await self._made(session)
                self._later(self._follow(session.id, found))
                for react in self.on_made:
                    react(session, found)
        return found

    async def _follow(self, session_id: str, room: Room) -> None:
        """Close the room when the session was ended by another server process."""
        with self.hub.subscribe({f"session:{session_id}"}) as changes:
            while self._rooms.get(session_id) is room:
                with contextlib.suppress(psycopg.Error):  # asked again in a moment
                    async with self._db.connection() as conn:
                        session = await store.get(conn, session_id)
                    if session is not None and session.end_reason is not None:
                        self.close(session_id, session.end_reason)
                        await self.finish(session_id)
                        return
                await changes.next(timeout=FOLLOW_EVERY)

    async def _made(self, session: Session) -> Room:
        title = f"{session.machine_name} ({session.ticket_id})"
        recorder, restored = await self.recordings.begin(session.id, title=title, columns=SIZE[0], rows=SIZE[1])
        room: Room
        if session.capability is Capability.TERMINAL:
            room = TerminalRoom(session, recorder, restored, exited=self._exited, full=self._full)
        else:
            room = self.makers.get(session.capability, _called)(session, recorder, self._full)
        async with self._db.connection() as conn:
            room.moderated = session.client_id in await people_store.moderated(conn)
            room.lookers = await store.only_observers(conn, session.id)
        room.look_around()
        return room

    async def moderate(self) -> None:
        """Read anew which clients ask for four eyes, and let it count in their sessions."""
        async with self._db.connection() as conn:
            clients = await people_store.moderated(conn)
        for room in list(self._rooms.values()):
            room.moderated = room.client_id in clients
            room.look_around()

    async def calls(self, session: Session) -> CallRoom:
        """The room of a session that the server calls. Raises Conflict (not open), Unavailable (cannot be recorded)."""
        if session.state is not SessionState.OPEN:
            raise Conflict(N_("This session is not open."))
        try:
            found = await self.room(session)
        except (OSError, ChainError) as error:
            log.error("session %s: %s", session.id, error)
            raise Unavailable(N_("The recording cannot be written: nothing is done until it can.")) from None
        if not isinstance(found, CallRoom):
            raise Conflict(N_("This session is a terminal."))
        return found

    def _exited(self, session_id: str, code: int) -> None:
        log.info("session %s: the shell ended with %d", session_id, code)
        self._later(self._end(session_id, EndReason.EXIT))

    def _full(self, session_id: str) -> None:
        log.warning("session %s: its recording is as long as it may be: it is ended", session_id)
        self._later(self._end(session_id, EndReason.FULL))

    async def _end(self, session_id: str, reason: EndReason) -> None:
        try:
            if self.sessions is not None:
                await self.sessions.end(session_id, reason)
        except Exception:
            log.exception("session %s could not be ended", session_id)

    def _later(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def close(self, session_id: str, reason: EndReason) -> None:
        """The session is over: everybody here is told. Idempotent."""
        room = self._rooms.pop(session_id, None)
        self._locks.pop(session_id, None)
        self._anchored.pop(session_id, None)
        if room is not None:
            room.end(reason.value)

    async def finish(self, session_id: str) -> None:
        """Finish the recording of a closed session: read through and compressed, which for a long one takes many
        seconds. It is waited for only a moment; it goes on by itself, after a restart of the server too.
        """
        finishing = self._later(self._finish(session_id))
        await asyncio.wait([finishing], timeout=FINISHED_SOON)

    async def _finish(self, session_id: str) -> None:
        try:
            await self.recordings.finish(session_id)
        except Exception:
            log.exception("the recording of session %s is finished at the next start", session_id)

    def at(self, machine_id: int, ticket_id: int) -> list[Room]:
        """The live rooms of one visit that are here."""
        return [room for room in self._rooms.values() if room.ticket_id == ticket_id and room.machine_id == machine_id]

    # watching

    @contextlib.asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self._watch(), name="rooms")
        try:
            yield
        finally:
            for each in (task, *self._tasks):
                each.cancel()
            await asyncio.gather(task, *self._tasks, return_exceptions=True)
            await self._leave_all()

    async def _leave_all(self) -> None:
        """The server stops: the shells live on, the next start takes the sessions up again."""
        for session_id, room in self._rooms.items():
            with contextlib.suppress(Exception):
                await self.recordings.anchor(session_id, room.recorder)
            room.recorder.close()
        wires = [wire for room in self._rooms.values() for wire in room.wires]
        self._rooms.clear()
        await asyncio.gather(*(wire.close(RESTART, "restart") for wire in wires))

    async def _watch(self) -> None:
        anchored = time.monotonic()
        while True:
            await asyncio.sleep(TICK)
            try:
                self._look_after_rooms()
                if time.monotonic() - anchored >= ANCHOR_EVERY:
                    anchored = time.monotonic()
                    await self._anchor_all()
                    await self._note_held()
                    await self.moderate()
                    await self._give_up_lost()
            except Exception:
                log.exception("looking after the sessions failed; again in a second")

    def _look_after_rooms(self) -> None:
        """Waits for nobody: one page or agent that does not read must not hold up the others' rooms."""
        for room in list(self._rooms.values()):
            room.look_around()
            room.look_at_link()
            if room.frozen:
                room.retry()
                if not room.pumping:
                    self._later(room.pump())
            if room.silent() and room.agent is not None:
                room.agent.dismiss(SILENT, "silent")
            for viewer in [viewer for viewer in room.viewers if time.monotonic() - viewer.heard > VIEWER_SILENCE]:
                viewer.wire.dismiss(SILENT, "silent")

    async def _anchor_all(self) -> None:
        for session_id, room in list(self._rooms.items()):
            if self._anchored.get(session_id) != room.recorder.chunks:
                chunks = room.recorder.chunks
                await self.recordings.anchor(session_id, room.recorder)
                self._anchored[session_id] = chunks  # only what was kept: a failure is tried again

    async def _note_held(self) -> None:
        """Say for all server processes which sessions have their agent here."""
        held = [session_id for session_id, room in self._rooms.items() if room.agent is not None]
        if held:
            async with self._db.transaction() as conn:
                await store.held(conn, held)

    async def _give_up_lost(self) -> None:
        """End the sessions whose agent stayed away from every server process longer than it keeps a shell."""
        if time.monotonic() - self._started < LOST_AFTER:
            return
        async with self._db.connection() as conn:
            lost = await store.lost(conn, LOST_AFTER)
        for session_id in lost:
            await self._end(session_id, EndReason.LOST)


__all__ = ["ChainError", "Rooms"]
