"""Members in the search: who is called what, and whether they can be reached."""

from __future__ import annotations

from compagnon.auth.model import Member
from compagnon.auth.service import Members
from compagnon.i18n import N_
from kb.search.model import Found, Hit, Piece
from kb.search.records import RecordQuery


class MembersSource:
    """Every member may see who the others are."""

    kind = "member"
    label = N_("Members")
    icon = "users"

    def __init__(self, members: Members) -> None:
        self._members = members

    async def search(self, member: Member, query: RecordQuery, limit: int) -> Found:
        """See RecordSource."""
        found = await self._members.find(query.text, limit, reader=member.id)
        return Found(hits=[_hit(each, rank) for rank, each in enumerate(found)])


def _hit(member: Member, rank: int) -> Hit:
    about = " · ".join(part for part in (member.email, member.phone) if part)
    return Hit(
        kind="member",
        id=str(member.id),
        title=member.name,
        url=f"/members/{member.id}",
        snippet=(Piece(about),),
        score=1 / (1 + rank),
        badges=member.departements,
    )
