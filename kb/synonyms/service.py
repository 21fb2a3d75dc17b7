"""What members do with synonyms: propose, approve, refuse, take back; what the search takes from them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import psycopg

from compagnon import audit, events
from compagnon.audit import Actor
from compagnon.auth.model import Member
from compagnon.db import Connection
from compagnon.errors import Conflict, Forbidden, Invalid, NotFound
from compagnon.i18n import N_
from compagnon.kernel import Kernel
from kb.search.expanding import MAX_GROUPS
from kb.search.model import SynonymGroup
from kb.search.records import like_pattern
from kb.synonyms import store
from kb.synonyms.model import REASON_LIMIT, REASON_MINIMUM, History, State, Version, Wording
from kb.synonyms.reading import check, reading, readings

log = logging.getLogger(__name__)
TOPIC = "synonyms:list"
AGAIN = 300.0  # seconds after which the words are read again, had a change gone unheard
GONE = N_("There is no such group of synonyms.")
JUDGED = N_("This proposal was judged meanwhile.")
MOVED = N_("This group was changed meanwhile: please look at it as it is now.")
TAKEN = N_("“{word}” is in another group, or reads like one of its words: {others}. Propose a change of that one.")

FULL = N_("There are {limit} groups already, the most that the search reads. Propose the end of one that nobody needs.")


class Synonyms:
    """Implements the search's port for groups of equal meaning (``groups``) beside what members do."""

    def __init__(self, kernel: Kernel) -> None:
        self._db = kernel.db
        self._hub = kernel.hub
        self._groups: tuple[SynonymGroup, ...] = ()

    # for the search

    def groups(self) -> Sequence[SynonymGroup]:
        """The groups in force, as this process last read them: at its start, and whenever one changed anywhere."""
        return self._groups

    async def refresh(self) -> None:
        """Read the groups in force anew."""
        async with self._db.connection() as conn:
            self._groups = tuple(await store.in_force(conn))

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Keep ``groups`` up to date for as long as the block lasts (Feature.lifespan)."""
        task = asyncio.create_task(self._follow(), name="synonyms")
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _follow(self) -> None:
        with self._hub.subscribe({TOPIC}) as changes:
            while True:
                try:
                    await self.refresh()
                except Exception:  # the words of before are better than none
                    log.exception("the synonyms could not be read")
                await changes.next(timeout=AGAIN)

    # reading

    async def listed(self, *, text: str = "", locale: str = "") -> Sequence[Version]:
        """The groups in force that hold ``text`` in one of their words, at most 500."""
        like = like_pattern(text.strip()) if text.strip() else ""
        async with self._db.connection() as conn:
            return await store.listed(conn, locale=locale, like=like)

    async def proposed(self) -> Sequence[Version]:
        """Every proposal that nobody judged yet, the oldest first."""
        async with self._db.connection() as conn:
            return await store.proposed(conn)

    async def waiting_for(self, member: Member) -> Sequence[Version]:
        """The proposals that this member may judge: those of the others."""
        async with self._db.connection() as conn:
            return await store.waiting(conn, member.id)

    async def withdrawn(self) -> Sequence[Version]:
        """The versions that ended their groups, the newest first."""
        async with self._db.connection() as conn:
            return await store.withdrawn(conn)

    async def history(self, group_id: int) -> History:
        """Raises NotFound."""
        async with self._db.connection() as conn:
            return await self._history(conn, group_id)

    async def check(self, wording: Wording, *, group_id: int = 0) -> None:
        """Raises Invalid for a bad group, Conflict for one too many, or naming the group that has one of its words."""
        check(wording)
        async with self._db.connection() as conn:
            await _check_room(conn, group_id)
            await self._check_free(conn, wording, group_id)

    # changing

    async def propose(self, member: Member, wording: Wording, reason: str, *, request_key: str | None = None) -> int:
        """Propose a new group; its id. The same request (``request_key``, a UUID) sent twice proposes one.

        Raises Invalid, Conflict (a word of another group, more groups than the search reads).
        """
        check(wording)
        reason = _reason(reason)
        try:
            async with self._db.transaction() as conn:
                known = await store.requested(conn, member.id, request_key) if request_key else None
                if known:
                    return known
                await _check_room(conn, 0)
                await self._check_free(conn, wording, 0)
                group_id = await store.add_group(conn)
                await self._keep(conn, member, group_id, wording, reason, request_key=request_key)
        except psycopg.errors.UniqueViolation:  # the same request, sent twice at the same moment
            return await self.propose(member, wording, reason, request_key=request_key)
        return group_id

    async def propose_change(
        self,
        member: Member,
        group_id: int,
        wording: Wording,
        reason: str,
        *,
        seen: int,
        removes: bool = False,
        request_key: str | None = None,
    ) -> None:
        """Propose another wording of a group, or its end (``removes``). ``seen``: id of the version that was looked at.

        Raises Invalid, NotFound, Conflict: somebody else's proposal waits, the group moved on, a word of another group.
        """
        check(wording)
        reason = _reason(reason)
        async with self._db.transaction() as conn:
            if not await store.lock_group(conn, group_id):
                raise NotFound(GONE)
            if request_key and await store.requested(conn, member.id, request_key):
                return
            history = await self._history(conn, group_id)
            _check_base(history, seen, wording, removes=removes)
            if not removes:
                await _check_room(conn, group_id)
                await self._check_free(conn, wording, group_id)
            await self._keep(
                conn, member, group_id, wording, reason, removes=removes, based_on=seen, request_key=request_key
            )

    async def approve(self, member: Member, version_id: int) -> Version:
        """Put a proposal in force. Raises NotFound, Forbidden (the proposer's own), Conflict."""
        async with self._db.transaction() as conn:
            version = await self._open(conn, version_id)
            if version.author_id == member.id:
                raise Forbidden(N_("Another member has to approve what you proposed."))
            await self._publish(conn, version, member)
            await self._note(conn, member, "synonyms.withdrawn" if version.removes else "synonyms.published", version)
        await self.refresh()
        return version

    async def refuse(self, member: Member, version_id: int, remark: str) -> Version:
        """Turn a proposal down and say why. Raises NotFound, Forbidden, Invalid, Conflict."""
        remark = _reason(remark, field="remark")
        return await self._end(member, version_id, State.REFUSED, remark)

    async def take_back(self, member: Member, version_id: int) -> Version:
        """The proposer thinks better of it. Raises NotFound, Forbidden, Conflict."""
        return await self._end(member, version_id, State.TAKEN_BACK, "")

    # inside

    async def _end(self, member: Member, version_id: int, state: State, remark: str) -> Version:
        async with self._db.transaction() as conn:
            version = await self._open(conn, version_id)
            if (version.author_id == member.id) != (state is State.TAKEN_BACK):
                raise Forbidden(N_("Only the proposer takes a proposal back, and only the others refuse it."))
            if not await store.end(conn, version_id, state, member.id, remark):
                raise Conflict(JUDGED)
            await self._note(conn, member, f"synonyms.{state}", version, remark=remark)
        return version

    async def _open(self, conn: Connection, version_id: int) -> Version:
        """The proposal, its group locked, so that two who judge at once come one after the other."""
        version = await store.get(conn, version_id) if 1 <= version_id < 2**63 else None
        if version is None:
            raise NotFound(GONE)
        await store.lock_group(conn, version.group_id)
        version = await store.get(conn, version_id)
        if version is None or version.state != State.PROPOSED:
            raise Conflict(JUDGED)
        return version

    async def _publish(self, conn: Connection, version: Version, member: Member) -> None:
        words = [] if version.removes else readings(version.wording)
        if not version.removes:
            await _check_room(conn, version.group_id)
        await self._check_free(conn, version.wording, version.group_id, words)
        await store.supersede(conn, version.group_id)
        if not await store.approve(conn, version, member.id):
            raise Conflict(JUDGED)
        try:
            await store.keep_readings(conn, version.group_id, words)
        except psycopg.errors.UniqueViolation:  # another group with that word was approved at this very moment
            raise Conflict(N_("One of these words came into another group meanwhile.")) from None

    async def _history(self, conn: Connection, group_id: int) -> History:
        versions = await store.of_group(conn, group_id) if 1 <= group_id < 2**63 else []
        if not versions:
            raise NotFound(GONE)
        return History(group_id=group_id, versions=versions)

    async def _check_free(
        self, conn: Connection, wording: Wording, group_id: int, words: Sequence[tuple[str, str]] | None = None
    ) -> None:
        wanted = readings(wording) if words is None else words
        other = await store.owner(conn, wanted, group_id)
        if other is not None:
            locale, text, _, others = other
            raise Conflict(TAKEN, word=_word_of(wording, locale, text), others=others)

    async def _keep(
        self,
        conn: Connection,
        member: Member,
        group_id: int,
        wording: Wording,
        reason: str,
        *,
        removes: bool = False,
        based_on: int | None = None,
        request_key: str | None = None,
    ) -> None:
        version_id = await store.propose(
            conn,
            group_id=group_id,
            locale=wording.locale,
            words=list(wording.words),
            removes=removes,
            reason=reason,
            author_id=member.id,
            based_on=based_on,
            request_key=request_key,
        )
        version = await store.get(conn, version_id)
        assert version is not None
        await self._note(conn, member, "synonyms.proposed", version)

    async def _note(self, conn: Connection, member: Member, action: str, version: Version, **details: object) -> None:
        await events.publish(conn, TOPIC, action.partition(".")[2], {"group": version.group_id, "by": member.id})
        known = {"version": version.id, "locale": version.locale, "words": list(version.words), "ends": version.removes}
        subject = f"synonyms:{version.group_id}"
        actor = Actor.member(member.id)
        await audit.record(conn, actor=actor, action=action, subject=subject, details={**known, **details})


async def _check_room(conn: Connection, group_id: int) -> None:
    if await store.full(conn, group_id):
        raise Conflict(FULL, limit=MAX_GROUPS)


def _check_base(history: History, seen: int, wording: Wording, *, removes: bool) -> None:
    if history.proposal is not None:
        message = N_("{name} has proposed a change of this group already: it has to be judged first.")
        raise Conflict(message, name=history.proposal.author_name)
    if history.head.id != seen:
        raise Conflict(MOVED)
    if removes and history.current is None:
        raise Conflict(N_("This group is not in force."))
    if not removes and history.current and history.current.wording == wording:
        raise Invalid(N_("Nothing is different from what is in force."), field="words")


def _word_of(wording: Wording, locale: str, text: str) -> str:
    return next((word for word in wording.words if reading(word, locale) == text), text)


def _reason(reason: str, *, field: str = "reason") -> str:
    clean = " ".join(reason.replace("\x00", "").split())
    if not REASON_MINIMUM <= len(clean) <= REASON_LIMIT:
        raise Invalid(N_("Please say why, in {limit} characters at most."), field=field, limit=REASON_LIMIT)
    return clean
