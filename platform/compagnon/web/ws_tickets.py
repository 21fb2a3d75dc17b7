"""One-time tickets from a signed-in page to a WebSocket: a cookie alone must not open one (ASVS 5.0 §4.4.3)."""

from __future__ import annotations

import hashlib
import secrets

from compagnon.db import Connection, Database
from compagnon.errors import Forbidden
from compagnon.i18n import N_

SECONDS = 30
PURPOSE_LIMIT = 200

FORGET = "DELETE FROM ws_tickets WHERE expires_at < now()"
INSERT = """
INSERT INTO ws_tickets (ticket_hash, member_id, purpose, expires_at)
VALUES (%(hash)s, %(member)s, %(purpose)s, now() + make_interval(secs => %(seconds)s))
"""
TAKE = """
DELETE FROM ws_tickets WHERE ticket_hash = %(hash)s AND purpose = %(purpose)s AND expires_at >= now()
RETURNING member_id
"""


class WsTickets:
    """Issue in the page's handler; redeem once, within its seconds (30 if nothing else is said), in the WebSocket's."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def issue(self, member_id: int, purpose: str, *, seconds: int = SECONDS) -> str:
        """A ticket for one WebSocket. ``purpose`` names what it opens: ``session:4f…`` (200 characters at most)."""
        if not 0 < len(purpose) <= PURPOSE_LIMIT:
            raise ValueError("a ticket's purpose has 1 to 200 characters")
        ticket = secrets.token_urlsafe(32)
        values = {"hash": _hash(ticket), "member": member_id, "purpose": purpose, "seconds": seconds}
        async with self._db.transaction() as conn:
            await conn.execute(FORGET)
            await conn.execute(INSERT, values)
        return ticket

    async def redeem(self, ticket: str, purpose: str, *, member_id: int | None = None) -> int:
        """The member the ticket was issued to. Raises Forbidden: unknown, used, too old, other purpose or member."""
        async with self._db.transaction() as conn:
            owner = await _take(conn, ticket, purpose)
        if owner is None or member_id not in {None, owner}:
            raise Forbidden(N_("This page was open too long to connect. Reload it and try again."))
        return owner


async def _take(conn: Connection, ticket: str, purpose: str) -> int | None:
    row = await (await conn.execute(TAKE, {"hash": _hash(ticket[:200]), "purpose": purpose})).fetchone()
    return row[0] if row else None


def _hash(ticket: str) -> bytes:
    return hashlib.sha256(ticket.encode()).digest()
