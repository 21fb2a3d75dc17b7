"""Clients in the search: the directory searches itself, this says how its hits look here."""

from __future__ import annotations

from compagnon.auth.model import Member
from compagnon.directory.model import ClientHit
from compagnon.directory.service import Directory
from compagnon.i18n import N_
from compagnon.web.feature import Panel
from kb.search.model import Found, Hit, Piece
from kb.search.records import RecordQuery

MAX_DIGITS = 18  # of an id; a bigint holds more


class DirectorySource:
    """Every member may read the directory: any member helps any client."""

    kind = "client"
    label = N_("Clients")
    icon = "address-book"

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    async def search(self, member: Member, query: RecordQuery, limit: int) -> Found:
        """See RecordSource."""
        found = await self._directory.search(query.text, limit, reader=member.id)
        return Found(hits=[_hit(client, rank) for rank, client in enumerate(found)])

    async def preview(self, member: Member, id: str) -> Panel | None:
        """How to reach a client that the search finds. Raises NotFound."""
        if not (id.isascii() and id.isdigit()) or len(id) > MAX_DIGITS:
            return None
        sheet = await self._directory.sheet(int(id), reader=member.id)
        return Panel(template="kb/client_preview.html", context={"sheet": sheet})


def _hit(client: ClientHit, rank: int) -> Hit:
    about = " · ".join(part for part in (client.town, client.contact, client.phone, client.mail) if part)
    return Hit(
        kind="client",
        id=str(client.id),
        title=client.name,
        url=f"/clients/{client.id}",
        snippet=(Piece(about),) if about else (),
        score=1 / (1 + rank),
        badges=(client.departement,) if client.departement else (),
    )
