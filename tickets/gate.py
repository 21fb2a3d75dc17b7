"""The tickets' say in who may act on a machine, for the rooms below (implements ``procedures.ports.TicketGate``)."""

from __future__ import annotations

from compagnon.db import Connection
from compagnon.errors import Conflict, NotFound
from compagnon.i18n import N_
from compagnon.kernel import Kernel
from procedures.ports import TicketRef
from tickets.desk import store
from tickets.desk.model import State

GONE = N_("There is no ticket number {id}.")
CLOSED = N_("Ticket {id} is closed. Open a follow-up ticket to go on.")


class Gate:
    def __init__(self, kernel: Kernel) -> None:
        self._db = kernel.db

    async def require_open(self, ticket_id: int, *, conn: Connection | None = None) -> TicketRef:
        """Raises NotFound for no such ticket, Conflict for a closed one.

        With ``conn`` nobody closes the ticket before that transaction's end.
        """
        async with self._db.using(conn) as used:
            ticket = await (store.get if conn is None else store.share)(used, ticket_id)
        if ticket is None:
            raise NotFound(GONE, id=ticket_id)
        if ticket.state is State.CLOSED:
            raise Conflict(CLOSED, id=ticket_id)
        return TicketRef(
            id=ticket.id,
            title=ticket.title,
            client_id=ticket.client_id,
            owner_id=ticket.owner_id,
            state=ticket.state.value,
        )

    async def may_act(self, ticket_id: int, member_id: int, *, conn: Connection | None = None) -> bool:
        """Whether the member owns the ticket or is an accepted collaborator of it; ``conn``: in this transaction."""
        async with self._db.using(conn) as used:
            return await store.may_act(used, ticket_id, member_id)
