"""Keeping, renaming and deleting a member's own searches."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg.errors import UniqueViolation

from compagnon import audit
from compagnon.audit import Actor
from compagnon.auth.model import Member
from compagnon.db import Connection, Database
from compagnon.errors import Invalid, NotFound
from compagnon.i18n import N_
from kb.saved import store
from kb.saved.model import MAX_NAME, MAX_QUERY, MAX_SAVED, SavedSearch

GONE = N_("There is no such saved search.")


class SavedSearches:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def of(self, member: Member) -> Sequence[SavedSearch]:
        """The member's own, by name."""
        async with self._db.connection() as conn:
            return await store.of_member(conn, member.id)

    async def save(self, member: Member, name: str, query: str) -> int:
        """Keep a search; its id. Raises Invalid: no name, a name that is taken, an empty or too long search, too many.

        The same search under the same name again changes nothing (a double click).
        """
        name = _named(name)
        if not query or len(query) > MAX_QUERY:
            raise Invalid(N_("There is no search to keep yet: type something first."))
        async with self._db.transaction() as conn:
            count = await store.locked_count(conn, member.id)
            if known := _known(await store.of_member(conn, member.id), name):
                if known.query == query:
                    return known.id
                raise _taken(name)
            if count >= MAX_SAVED:
                raise Invalid(N_("You keep {limit} searches already: delete one first."), limit=MAX_SAVED)
            id = await store.add(conn, member.id, name, query)
            await _note(conn, member, "search.saved", id)
        return id

    async def rename(self, member: Member, id: int, name: str) -> None:
        """Raises Invalid (no name, or taken), NotFound (gone, or another member's)."""
        name = _named(name)
        try:
            async with self._db.transaction() as conn:
                if not await store.rename(conn, member.id, id, name):
                    raise NotFound(GONE)
                await _note(conn, member, "search.renamed", id)
        except UniqueViolation:
            raise _taken(name) from None

    async def delete(self, member: Member, id: int) -> None:
        """Raises NotFound (gone already, or another member's)."""
        async with self._db.transaction() as conn:
            if not await store.delete(conn, member.id, id):
                raise NotFound(GONE)
            await _note(conn, member, "search.unsaved", id)


def _named(raw: str) -> str:
    name = " ".join(raw.split())
    if not name:
        raise Invalid(N_("Please give the search a name."), field="name")
    if len(name) > MAX_NAME:
        raise Invalid(N_("This is too long: {limit} characters at most."), field="name", limit=MAX_NAME)
    return name


def _known(saved: Sequence[SavedSearch], name: str) -> SavedSearch | None:
    return next((one for one in saved if one.name.lower() == name.lower()), None)


def _taken(name: str) -> Invalid:
    return Invalid(N_("You keep another search under the name “{name}”."), field="name", name=name)


async def _note(conn: Connection, member: Member, action: str, id: int) -> None:
    actor, subject = Actor.member(member.id), f"member:{member.id}"
    await audit.record(conn, actor=actor, action=action, subject=subject, details={"search": id})
