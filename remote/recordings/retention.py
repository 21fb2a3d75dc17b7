"""How long recordings are kept, and their erasure with a proof in the audit log.

An erasure has two records: ``recording.erasing`` says what will be gone (chain head, SHA-256 of the bytes), and is
written in the transaction that takes its words out of the search; ``recording.erased`` follows once no file is left.
A kill in between leaves a recording in state ``erasing``, which the next start or night goes on with.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from compagnon import audit
from compagnon.audit import Actor
from compagnon.auth.model import Member, Role
from compagnon.db import Connection
from compagnon.errors import Conflict, Forbidden, Invalid
from compagnon.i18n import N_
from compagnon.kernel import Kernel
from remote.recordings import files, retention_store
from remote.recordings.model import DAYS, HOLD_REASON, Recording, Retention
from remote.recordings.service import Recordings

log = logging.getLogger(__name__)
BATCH = 50  # recordings erased at a time


class Retentions:
    """``default_days``: for clients without a number of their own; 0 keeps for ever."""

    def __init__(self, kernel: Kernel, recordings: Recordings) -> None:
        self._db = kernel.db
        self._directory = kernel.directory
        self._recordings = recordings
        self.default_days = kernel.settings.recording_days

    async def of_client(self, client_id: int) -> Retention | None:
        """The client's own rule; None where the default holds."""
        async with self._db.connection() as conn:
            return await retention_store.retention(conn, client_id)

    async def set_days(self, member: Member, client_id: int, days: int | None) -> None:
        """``None``: as everybody. It counts from the next night on. Raises Forbidden, Invalid, NotFound."""
        _administrates(member)
        await self._directory.get(client_id)
        if days is not None and not DAYS[0] <= days <= DAYS[1]:
            raise Invalid(N_("Recordings are kept from 1 to 3650 days."), field="days")
        async with self._db.transaction() as conn:
            if days is None:
                await retention_store.drop_days(conn, client_id)
            else:
                await retention_store.set_days(conn, client_id, days, member.id)
            await _record(conn, Actor.member(member.id), "retention.set", f"client:{client_id}", {"days": days})

    async def ends(self, recording: Recording) -> datetime | None:
        """When it will be erased as things stand; None while it is held, recorded or kept for ever."""
        if recording.ended_at is None or recording.held_at is not None or recording.erased:
            return None
        async with self._db.connection() as conn:
            *_, own = await retention_store.about(conn, recording.session_id)
        days = self.default_days if own is None else own
        return recording.ended_at + timedelta(days=days) if days else None

    async def hold(self, member: Member, session_id: str, reason: str) -> None:
        """Keep it whatever its age, until an administrator lets it go. Raises Invalid, Conflict (held or erased)."""
        reason = " ".join(reason.split())
        if not HOLD_REASON[0] <= len(reason) <= HOLD_REASON[1]:
            raise Invalid(N_("Say in a few words why it must be kept."), field="reason")
        async with self._db.transaction() as conn:
            if not await retention_store.hold(conn, session_id, member.id, reason):
                raise Conflict(N_("This recording is held already, or it was erased."))
            await _record(conn, Actor.member(member.id), "recording.held", f"session:{session_id}", {"reason": reason})

    async def release(self, member: Member, session_id: str) -> None:
        """Raises Forbidden, Conflict (not held)."""
        _administrates(member)
        async with self._db.transaction() as conn:
            if not await retention_store.release(conn, session_id):
                raise Conflict(N_("Nobody holds this recording."))
            await _record(conn, Actor.member(member.id), "recording.released", f"session:{session_id}", {})

    async def erase_due(self, now: datetime | None = None) -> int:
        """Erase what is past its time, and finish what a kill left half erased; how many. May run twice at once."""
        done = await self.finish_erasing()
        while True:
            async with self._db.connection() as conn:
                due = await retention_store.due(conn, days=self.default_days, now=now or datetime.now(UTC), limit=BATCH)
            erased = [await self._erase(recording) for recording in due]
            done += sum(erased)
            if not any(erased):
                return done

    async def finish_erasing(self) -> int:
        async with self._db.connection() as conn:
            begun = await retention_store.erasing(conn)
        return sum([await self._remove(recording) for recording in begun])

    async def _erase(self, recording: Recording) -> bool:
        """False when it was held meanwhile, or somebody else is at it, or the disk refuses (tried again next night)."""
        digest = await self._digest(recording)
        async with self._db.transaction() as conn:
            client_id, machine_id, ticket_id, own = await retention_store.about(conn, recording.session_id)
            days = self.default_days if own is None else own
            if not await retention_store.begin(conn, recording.session_id, digest=digest, days=days):
                return False
            about = {"client": client_id, "machine": machine_id, "ticket": ticket_id, "ended_at": recording.ended_at}
            details = {**about, "days": days, **_proof(recording, digest)}
            await _record(conn, Actor.system(), "recording.erasing", f"session:{recording.session_id}", details)
        return await self._remove(await self._recordings.get(recording.session_id))

    async def _digest(self, recording: Recording) -> str:
        """Empty when there is no readable file: what cannot be read is erased all the same, and the proof says so."""
        try:
            return await asyncio.to_thread(files.fingerprint, self._recordings.path(recording))
        except OSError as error:
            log.warning("recording %s is erased unread: %s", recording.session_id, error)
            return ""

    async def _remove(self, recording: Recording) -> bool:
        try:
            removed = await asyncio.to_thread(files.erase, self._recordings.path(recording))
        except OSError as error:
            log.error("recording %s cannot be erased yet: %s", recording.session_id, error)
            return False
        async with self._db.transaction() as conn:
            if not await retention_store.end(conn, recording.session_id):
                return False
            details = {"files": removed, **_proof(recording, recording.erased_digest)}
            await _record(conn, Actor.system(), "recording.erased", f"session:{recording.session_id}", details)
        return True


def _proof(recording: Recording, digest: str) -> Mapping[str, Any]:
    return {"chunks": recording.chunks, "bytes": recording.bytes, "head": recording.head, "sha256": digest}


def _administrates(member: Member) -> None:
    if not member.role.covers(Role.ADMINISTRATOR):
        raise Forbidden(N_("Only administrators may do this."))


async def _record(conn: Connection, actor: Actor, action: str, subject: str, details: Mapping[str, Any]) -> None:
    await audit.record(conn, actor=actor, action=action, subject=subject, details=details)
