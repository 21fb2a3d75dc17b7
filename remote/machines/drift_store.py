"""All SQL about drift: the results of an environment's checks, and waivers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from compagnon.db import Connection
from remote.machines.model import CheckState, NewCheckState

STATES = """
SELECT k.key, k.label, k.procedure_code, k.environment, k.version, k.outcome, k.observed, k.reason, k.since,
       k.checked_at, w.id AS waiver_id, w.justification, w.expires_at AS waived_until
FROM machine_checks k
LEFT JOIN waivers w ON w.machine_id = k.machine_id AND w.key = k.key AND w.withdrawn_at IS NULL AND w.expires_at > now()
WHERE k.machine_id = %(machine_id)s ORDER BY k.position, k.key
"""
# One statement for all results; `since` moves only when the outcome does.
KEEP = """
INSERT INTO machine_checks (machine_id, key, environment, version, position, label, procedure_code, outcome, observed,
                            reason, since, checked_at)
VALUES (%(machine_id)s, %(key)s, %(environment)s, %(version)s, %(position)s, %(label)s, %(procedure_code)s,
        %(outcome)s, %(observed)s, %(reason)s, %(at)s, %(at)s)
ON CONFLICT (machine_id, key) DO UPDATE SET environment = excluded.environment, version = excluded.version,
    position = excluded.position, label = excluded.label, procedure_code = excluded.procedure_code,
    outcome = excluded.outcome, observed = excluded.observed, reason = excluded.reason,
    checked_at = excluded.checked_at,
    since = CASE WHEN machine_checks.outcome = excluded.outcome THEN machine_checks.since ELSE excluded.since END
"""
FORGET = "DELETE FROM machine_checks WHERE machine_id = %(machine_id)s AND NOT key = ANY(%(keys)s)"
COUNT = """
UPDATE machines SET checked_at = greatest(checked_at, %(checked)s), (failing, waived) = (
    SELECT count(*) FILTER (WHERE w.id IS NULL), count(*) FILTER (WHERE w.id IS NOT NULL)
    FROM machine_checks k LEFT JOIN waivers w
      ON w.machine_id = k.machine_id AND w.key = k.key AND w.withdrawn_at IS NULL AND w.expires_at > now()
    WHERE k.machine_id = machines.id AND k.outcome = 'fail')
WHERE id = %(machine_id)s
"""
CHECKED = "UPDATE machines SET checked_at = now() WHERE id = %(machine_id)s AND environment IS NOT NULL"
WITHDRAW_EXPIRED = """
UPDATE waivers SET withdrawn_at = expires_at
WHERE withdrawn_at IS NULL AND expires_at <= now() RETURNING machine_id, key
"""
WAIVE = """
INSERT INTO waivers (machine_id, key, justification, created_by, expires_at)
VALUES (%(machine_id)s, %(key)s, %(justification)s, %(member_id)s, %(expires_at)s) RETURNING id
"""
WITHDRAW = """
UPDATE waivers SET withdrawn_at = now()
WHERE id = %(id)s AND machine_id = %(machine_id)s AND withdrawn_at IS NULL RETURNING key
"""


async def states(conn: Connection, machine_id: int) -> list[CheckState]:
    async with conn.cursor(row_factory=class_row(CheckState)) as cursor:
        await cursor.execute(STATES, {"machine_id": machine_id})
        return await cursor.fetchall()


async def keep(
    conn: Connection,
    machine_id: int,
    environment: str,
    version: int,
    results: Sequence[NewCheckState],
    *,
    at: datetime,
    every: bool,
) -> None:
    """``at``: when they were found. ``every``: these are all there are; what is known of others is forgotten."""
    rows = [
        {
            "machine_id": machine_id,
            "environment": environment,
            "version": version,
            "key": result.key,
            "position": result.position,
            "label": result.label,
            "procedure_code": result.procedure_code,
            "outcome": result.outcome,
            "observed": Jsonb(dict(result.observed)),
            "reason": result.reason,
            "at": at,
        }
        for result in results
    ]
    if every:
        await conn.execute(FORGET, {"machine_id": machine_id, "keys": [result.key for result in results]})
    async with conn.cursor() as cursor:
        await cursor.executemany(KEEP, rows)


async def looked_at(conn: Connection, machine_id: int) -> None:
    """It was checked just now, and nothing has changed."""
    await conn.execute(CHECKED, {"machine_id": machine_id})


async def count(conn: Connection, machine_id: int, *, checked: datetime | None = None) -> None:
    """Bring the machine's counters up to date; ``checked``: when it was checked."""
    await conn.execute(COUNT, {"machine_id": machine_id, "checked": checked})


async def withdraw_expired(conn: Connection) -> list[tuple[int, str]]:
    return await (await conn.execute(WITHDRAW_EXPIRED)).fetchall()


async def waive(
    conn: Connection, machine_id: int, key: str, *, justification: str, member_id: int, expires_at: datetime
) -> int:
    """Raises psycopg UniqueViolation (waivers_one_open) when one holds already."""
    values = {"machine_id": machine_id, "key": key, "justification": justification, "member_id": member_id}
    row = await (await conn.execute(WAIVE, values | {"expires_at": expires_at})).fetchone()
    assert row is not None
    return int(row[0])


async def withdraw(conn: Connection, machine_id: int, waiver_id: int) -> str | None:
    """The check's key, or None when there is no such open waiver."""
    row = await (await conn.execute(WITHDRAW, {"id": waiver_id, "machine_id": machine_id})).fetchone()
    return row[0] if row else None


async def forget(conn: Connection, machine_id: int) -> None:
    await conn.execute(FORGET, {"machine_id": machine_id, "keys": []})
