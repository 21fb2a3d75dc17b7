"""A page that was let into a session is let out again when its right ends."""

from __future__ import annotations

import asyncio
import logging

import psycopg

from compagnon.auth.model import Member
from compagnon.events import EventHub
from remote.sessions.model import Session
from remote.sessions.service import Sessions
from remote.sessions.viewer import Viewer
from remote.wire import NOT_ALLOWED

log = logging.getLogger(__name__)
LOOK_EVERY = 30.0  # seconds; not every end of a right is an event (a single sign-out, an expiry)
TRY_AGAIN = 2.0  # seconds


async def watch(
    viewer: Viewer, session: Session, member: Member, sign_in_id: int, *, sessions: Sessions, hub: EventHub
) -> None:
    """Look again when the member or the ticket changes, and regularly; cut the page off once it may not stay."""
    with hub.subscribe({f"member:{member.id}", f"ticket:{session.ticket_id}"}) as changes:
        while await _may_stay(session, member, sign_in_id, sessions):
            await changes.next(timeout=LOOK_EVERY)
    log.info("session %s: the page of member %s may not stay", session.id, member.id)
    viewer.allowed = False  # what it types from now on is dropped, however long its connection takes to close
    viewer.wire.dismiss(NOT_ALLOWED, "not allowed any more")


async def _may_stay(session: Session, member: Member, sign_in_id: int, sessions: Sessions) -> bool:
    while True:
        try:
            return await sessions.may_stay(session, member, sign_in_id)
        except psycopg.Error:
            log.exception("session %s: the right of member %s could not be looked up yet", session.id, member.id)
            await asyncio.sleep(TRY_AGAIN)
