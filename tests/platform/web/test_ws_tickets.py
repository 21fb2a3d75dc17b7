from __future__ import annotations

import pytest

from compagnon.db import Database
from compagnon.errors import Forbidden
from compagnon.web.ws_tickets import WsTickets


async def test_a_ticket_opens_once_what_it_was_issued_for(db: Database, people) -> None:
    tickets = WsTickets(db)
    ticket = await tickets.issue(people.alice.id, "session:4f")
    assert await tickets.redeem(ticket, "session:4f") == people.alice.id
    with pytest.raises(Forbidden):
        await tickets.redeem(ticket, "session:4f")


async def test_another_purpose_or_member_is_refused(db: Database, people) -> None:
    tickets = WsTickets(db)
    ticket = await tickets.issue(people.alice.id, "session:4f")
    with pytest.raises(Forbidden):
        await tickets.redeem(ticket, "session:50")
    with pytest.raises(Forbidden):
        await tickets.redeem(ticket, "session:4f", member_id=people.ada.id)


async def test_a_ticket_is_too_old_after_thirty_seconds(db: Database, people) -> None:
    tickets = WsTickets(db)
    ticket = await tickets.issue(people.alice.id, "session:4f")
    async with db.connection() as conn:
        await conn.execute("UPDATE ws_tickets SET expires_at = now() - interval '1 ms'")
    with pytest.raises(Forbidden):
        await tickets.redeem(ticket, "session:4f")


async def test_the_ticket_itself_is_not_kept(db: Database, people) -> None:
    ticket = await WsTickets(db).issue(people.alice.id, "x")
    async with db.connection() as conn:
        rows = await (await conn.execute("SELECT ticket_hash FROM ws_tickets")).fetchall()
    assert ticket.encode() not in bytes(rows[0][0])


@pytest.mark.parametrize("purpose", ["", "x" * 201])
async def test_a_purpose_is_bounded(db: Database, purpose: str) -> None:
    with pytest.raises(ValueError, match="purpose"):
        await WsTickets(db).issue(1, purpose)
