"""Write a record in the caller's transaction; verify the whole chain."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from compagnon.audit import store
from compagnon.audit.model import DETAILS_LIMIT, GENESIS, Actor, Record, chain
from compagnon.db import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """``broken`` is the first seq that does not fit (None: the chain is whole), ``records`` how many were read."""

    records: int
    broken: int | None
    reason: str = ""


async def record(
    conn: Connection, *, actor: Actor, action: str, subject: str, details: Mapping[str, Any] | None = None
) -> int:
    """Append one record and return its seq. Call it last in a transaction: it holds the chain's lock until the commit.

    ``action`` is ``noun.verb`` in the past tense, ``subject`` is ``kind:id``, ``details`` JSON up to 8 KiB.
    """
    # What PostgreSQL gives back is what is hashed, so the details are taken through JSON first.
    plain: dict[str, Any] = json.loads(json.dumps(dict(details or {}), ensure_ascii=False, default=str))
    if len(json.dumps(plain)) > DETAILS_LIMIT:
        plain = {"truncated": True, "keys": sorted(plain)}
    seq, previous, now = await store.lock_head(conn)
    digest = chain(previous, seq + 1, now, actor.name, action, subject, plain)
    await store.append(
        conn,
        Record(
            seq=seq + 1,
            at=now,
            actor=actor.name,
            action=action,
            subject=subject,
            details=plain,
            previous=previous,
            hash=digest,
        ),
    )
    return seq + 1


async def verify(conn: Connection) -> Verification:
    """Read the whole log and recompute every hash: finds a changed, missing, added or reordered record."""
    expected_seq, previous = 1, GENESIS
    async for entry in store.every(conn):
        if entry.seq != expected_seq:
            return Verification(records=expected_seq - 1, broken=expected_seq, reason="a record is missing")
        if entry.previous != previous or entry.hash != entry.expected:
            return Verification(records=expected_seq - 1, broken=entry.seq, reason="a record was changed")
        expected_seq, previous = entry.seq + 1, entry.hash
    last, digest = await store.head(conn)
    if (last, digest) != (expected_seq - 1, previous):
        return Verification(records=expected_seq - 1, broken=last, reason="the end of the log was cut off")
    return Verification(records=last, broken=None)
