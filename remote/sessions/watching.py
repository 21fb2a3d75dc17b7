"""A client watches one session by a link: without signing in, without typing, until it expires or is taken back.

The link's secret is in the address's fragment, which no browser sends along and no proxy writes down; the page sends it
once, as the first message of its socket. Only its SHA-256 is kept here. A link that was asked for at the machine has a
code for its secret, short enough to be typed on a phone; it is found by ``/w``.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
import time
from collections import deque
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from compagnon.audit import Actor
from compagnon.auth.model import Member
from compagnon.errors import Conflict, Invalid, NotFound, TooMany
from compagnon.i18n import N_
from compagnon.kernel import Kernel
from remote.machines.model import Machine
from remote.sessions import people_store
from remote.sessions.model import Capability, EndReason, Session, SessionState, WatchLink
from remote.sessions.people import OVER, tell
from remote.sessions.rooms import Rooms
from remote.sessions.service import Sessions
from remote.sessions.viewer import Viewer
from remote.wire import NOT_ALLOWED, Wire

log = logging.getLogger(__name__)
MINUTES = (5, 8 * 60)
LINKS = 5  # open links of a session
WATCHERS = 4  # clients watching a session at once
SECRET = 43  # characters: 256 bits, base64url without padding
CODE, GROUP = 12, 4  # characters of a code: 58 bits, for one session
SIGNS = "23456789abcdefghjkmnpqrstvwxyz"  # none looks like another
TRIES, TRIES_WITHIN = 20, 60.0  # openings from one address in so many seconds
MACHINE_TRIES, MACHINE_WITHIN = 6, 120.0  # links that one machine may ask for in so many seconds
ADDRESSES = 10_000  # remembered
LOOK_EVERY = 5.0  # seconds between two looks whether a link still holds
CLOSED = N_("This link does not open anything: it has expired, was taken back, or the session is over.")
TOLD = frozenset({"welcome", "people", "link", "frozen", "eyes", "size", "ended", "pong"})
GUEST = 0  # the member id of a watcher: nobody's


class Watcher(Viewer):
    """A client's page. It is told how the session stands and who is there, and nothing else."""

    __slots__ = ()

    def __init__(self, wire: Wire, *, key: str, name: str) -> None:
        super().__init__(wire, key=key, member_id=GUEST, name=name, offset=None)

    def tell(self, kind: str, **facts: Any) -> None:  # noqa: ANN401 - any JSON
        if kind not in TOLD:
            return
        facts.pop("step", None)
        facts.pop("typed", None)
        super().tell(kind, **facts)


class Tries:
    """How often somebody tried lately, in this process. Secrets cannot be guessed; this keeps noise down."""

    def __init__(self, most: int = TRIES, within: float = TRIES_WITHIN) -> None:
        self._most, self._within = most, within
        self._at: dict[str, deque[float]] = {}

    def note(self, address: str) -> None:
        """Raises TooMany."""
        now = time.monotonic()
        if len(self._at) >= ADDRESSES and address not in self._at:
            del self._at[next(iter(self._at))]
        tried = self._at.setdefault(address, deque(maxlen=self._most))
        if len(tried) == self._most and now - tried[0] < self._within:
            raise TooMany(N_("Too many tries from here: wait a minute."))
        tried.append(now)


class Watching:
    def __init__(self, kernel: Kernel, sessions: Sessions, rooms: Rooms) -> None:
        self._db = kernel.db
        self._settings = kernel.settings
        self._sessions = sessions
        self._rooms = rooms
        self._tries = Tries()
        self._machine_tries = Tries(MACHINE_TRIES, MACHINE_WITHIN)

    async def make(self, member: Member, session_id: str, minutes: int) -> str:
        """The address to give to the client; it is shown once.

        Raises Forbidden, Invalid, Conflict (not an open terminal, or too many links).
        """
        session = await self._sessions.get(session_id)
        await self._sessions.require_entry(session, member)
        if not MINUTES[0] <= minutes <= MINUTES[1]:
            raise Invalid(N_("A link holds from 5 minutes to 8 hours."), field="minutes")
        if session.state is not SessionState.OPEN or session.capability is not Capability.TERMINAL:
            raise Conflict(N_("Only an open terminal can be watched by link."))
        secret = secrets.token_urlsafe(32)
        expires = datetime.now(UTC) + timedelta(minutes=minutes)
        async with self._db.transaction() as conn:
            if len(await people_store.links(conn, session_id)) >= LINKS:
                raise Conflict(N_("This session has enough links: take one back first."))
            link_id = await people_store.add_link(conn, session_id, _digest(secret), member.id, expires)
            details = {"link": link_id, "until": expires}
            await tell(conn, session, "link_made", Actor.member(member.id), details)
        return f"{self._settings.public_url}/watch/{session_id}#{secret}"

    async def make_at_machine(self, machine: Machine, session_id: str) -> tuple[str, int]:
        """The address that a machine's own banner shows, and for how many seconds it holds: until the consent ends.

        There is one for a session: an earlier one opens nothing any more. Raises TooMany, NotFound (no such session,
        or another machine's), Conflict (it is not an open terminal).
        """
        self._machine_tries.note(str(machine.id))
        session = await self._sessions.get(session_id)
        if session.machine_id != machine.id:
            log.warning("machine %s asks for a link to session %s of another machine", machine.id, session_id)
            raise NotFound(CLOSED)
        if session.state is not SessionState.OPEN or session.capability is not Capability.TERMINAL:
            raise Conflict(N_("Only an open terminal can be watched by link."))
        code, longest = new_code(), datetime.now(UTC) + timedelta(minutes=MINUTES[1])
        expires = min(session.granted_until or longest, longest)
        if expires <= datetime.now(UTC):
            raise Conflict(OVER)
        async with self._db.transaction() as conn:
            if not await people_store.still_open(conn, session_id):
                raise Conflict(OVER)
            await people_store.revoke_all(conn, session_id, of_machine=True)
            link_id = await people_store.add_link(conn, session_id, _digest(code), None, expires)
            details = {"link": link_id, "until": expires}
            await tell(conn, session, "link_made", Actor.agent(machine.id), details)
        left = int((expires - datetime.now(UTC)).total_seconds())
        return f"{self._settings.public_url}/w#{written(code)}", left

    async def find(self, code: str, address: str) -> str:
        """Where a code leads now. Raises TooMany, NotFound."""
        self._tries.note(address)
        link = await self._found(code)
        if link is None:
            log.info("a code from %s opens nothing", address)
            raise NotFound(CLOSED)
        return f"/watch/{link.session_id}#{_readable(code)}"

    async def revoke(self, member: Member, session_id: str, link_id: int) -> None:
        """Whoever watches by it is out within seconds. Raises Forbidden, Conflict."""
        session = await self._sessions.get(session_id)
        await self._sessions.require_entry(session, member)
        async with self._db.transaction() as conn:
            if not await people_store.revoke(conn, session_id, link_id):
                raise Conflict(N_("This link was taken back already."))
            await tell(conn, session, "link_revoked", Actor.member(member.id), {"link": link_id})

    async def open(self, session_id: str, secret: object, address: str) -> tuple[Session, WatchLink]:
        """What a secret opens now. Raises TooMany, NotFound (the same for everything that does not open)."""
        self._tries.note(address)
        link = await self._found(secret)
        if link is None or link.session_id != session_id:
            log.info("a watch link from %s opens nothing", address)
            raise NotFound(CLOSED)
        session = await self._sessions.get(session_id)
        room = self._rooms.get(session_id)
        if room is not None and sum(isinstance(one, Watcher) for one in room.viewers) >= WATCHERS:
            raise TooMany(N_("Enough people watch this session already."))
        await self._record(session, "link_opened", {"link": link.id, "address": address})
        return session, link

    async def _found(self, secret: object) -> WatchLink | None:
        secret = _readable(secret)
        if not secret:
            return None
        async with self._db.connection() as conn:
            return await people_store.link(conn, _digest(secret))

    async def left(self, session: Session, link: WatchLink, address: str) -> None:
        await self._record(session, "link_left", {"link": link.id, "address": address})

    async def stop(self, session: Session, link: WatchLink, address: str) -> None:
        """The client ends the session from their page. Raises Conflict when it is over."""
        await self._record(session, "link_stopped", {"link": link.id, "address": address})
        if not await self._sessions.end(session.id, EndReason.CLIENT, actor=Actor.anonymous(), detail="watch link"):
            raise Conflict(OVER)

    async def _record(self, session: Session, verb: str, details: dict[str, object]) -> None:
        async with self._db.transaction() as conn:
            await tell(conn, session, verb, Actor.anonymous(), details)

    async def until_closed(self, viewer: Viewer, session: Session, secret: str) -> None:
        """Cut the page off once its link holds no more."""
        with self._rooms.hub.subscribe({f"session:{session.id}"}) as changes:
            while await self._holds(secret):
                await changes.next(timeout=LOOK_EVERY)
        viewer.allowed = False
        viewer.wire.dismiss(NOT_ALLOWED, "the link holds no more")

    async def _holds(self, secret: str) -> bool:
        while True:
            try:
                return await self._found(secret) is not None
            except psycopg.Error:
                log.exception("a watch link could not be looked up yet")
                await asyncio.sleep(2.0)


def new_code() -> str:
    return "".join(secrets.choice(SIGNS) for _ in range(CODE))


def written(code: str) -> str:
    """In groups, as it is read and typed."""
    return "-".join(code[start : start + GROUP] for start in range(0, len(code), GROUP))


def _readable(secret: object) -> str:
    """A long secret as it is, a code however it was typed, or nothing."""
    if not isinstance(secret, str) or len(secret) > SECRET:
        return ""
    if len(secret) == SECRET:
        return secret
    code = "".join(sign for sign in secret.lower() if sign not in " -")
    return code if len(code) == CODE and set(code) <= set(SIGNS) else ""


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()
