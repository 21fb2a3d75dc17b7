"""All SQL about recordings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, LiteralString

from psycopg.rows import class_row

from compagnon.db import Connection
from kb.search.analysis import VERSION
from remote.recordings.model import Excerpt, Recording, RecordingState, Spoken

COLUMNS = """
r.session_id, r.file, r.started_at, r.ended_at, r.chunks, r.bytes, r.head, r.state,
(SELECT name FROM members WHERE id = r.held_by) AS held_by, r.held_at, r.hold_reason,
r.erased_at, r.erased_after, r.erased_digest
"""
ADD = "INSERT INTO recordings (session_id, file) VALUES (%(session_id)s, %(file)s)"
GET = f"SELECT {COLUMNS} FROM recordings r WHERE r.session_id = %(session_id)s"  # noqa: S608 - constant
ALL = f"SELECT {COLUMNS} FROM recordings r ORDER BY r.started_at"  # noqa: S608 - constant
RENAME = """
UPDATE recordings SET file = %(new)s WHERE session_id = %(session_id)s AND file = %(old)s AND state = 'complete'
"""
ANCHOR = """
UPDATE recordings SET chunks = %(chunks)s, bytes = %(bytes)s, head = %(head)s
WHERE session_id = %(session_id)s AND state = 'recording' AND chunks <= %(chunks)s
"""
FINISH = """
UPDATE recordings SET state = %(state)s, ended_at = now(), chunks = %(chunks)s, bytes = %(bytes)s, head = %(head)s,
       transcript = %(transcript)s, words = %(words)s::tsvector, words_version = %(version)s, moments = %(moments)s
WHERE session_id = %(session_id)s AND state = 'recording'
"""
OTHER_VERSION = f"""
SELECT {COLUMNS} FROM recordings r WHERE r.words_version < %(version)s AND r.state IN ('complete', 'failed')
ORDER BY r.words_version, r.session_id LIMIT %(limit)s
"""  # noqa: S608 - constant
INDEX = """
UPDATE recordings SET words = %(words)s::tsvector, words_version = %(version)s, moments = %(moments)s
WHERE session_id = %(session_id)s AND state IN ('complete', 'failed')
"""
UNFINISHED = """
SELECT r.session_id FROM recordings r JOIN remote_sessions s ON s.id = r.session_id
WHERE r.state = 'recording' AND s.state = 'ended' ORDER BY r.started_at
"""
COMPLETE = (
    "SELECT session_id FROM recordings WHERE state = 'complete' AND session_id = ANY(%(ids)s) ORDER BY started_at"
)
SPOKEN = "SELECT transcript AS text, moments FROM recordings WHERE session_id = %(session_id)s"

# Who may find a recording and its words: every member, as every member may watch it. Not while it is being made: only
# the ticket's people may enter a live session, and its words are not there yet.
READABLE: LiteralString = "reads_records(%(reader)s) AND r.state <> 'recording'"
SEARCH = f"""
WITH matched AS MATERIALIZED (
    SELECT r.session_id, r.started_at FROM recordings r WHERE r.words @@ %(tsquery)s::tsquery AND {READABLE}
), best AS MATERIALIZED (
    SELECT * FROM matched ORDER BY started_at DESC, session_id LIMIT %(limit)s
)
SELECT r.session_id, m.name AS machine_name, c.name AS client_name, s.ticket_id, s.reason,
    substring(r.transcript FROM greatest(1, coalesce(found.at, 1) - %(around)s) FOR 4 * %(around)s) AS text,
    r.moments[1 + length(left(r.transcript, found.at)) - length(replace(left(r.transcript, found.at), E'\n', ''))]
        AS second
FROM best JOIN recordings r ON r.session_id = best.session_id JOIN remote_sessions s ON s.id = r.session_id
JOIN machines m ON m.id = s.machine_id JOIN clients c ON c.id = m.client_id
LEFT JOIN LATERAL (
    SELECT strpos(low.text, needle) AS at FROM (SELECT lower(r.transcript) AS text) low,
        unnest(%(needles)s::text[]) WITH ORDINALITY AS asked(needle, place)
    WHERE strpos(low.text, needle) > 0 ORDER BY place LIMIT 1
) found ON true
ORDER BY best.started_at DESC, best.session_id
"""  # noqa: S608 - constants
AROUND = 400  # characters before the words, thrice as many from them on


async def search(conn: Connection, reader: int, tsquery: str, needles: Sequence[str], limit: int) -> list[Excerpt]:
    """The newest recordings that hold the words. Common words cost a look at each of their recordings' short rows."""
    values = {"reader": reader, "tsquery": tsquery, "needles": list(needles), "limit": limit, "around": AROUND}
    async with conn.cursor(row_factory=class_row(Excerpt)) as cursor:
        await cursor.execute(SEARCH, values)
        return await cursor.fetchall()


async def add(conn: Connection, session_id: str, file: str) -> None:
    await conn.execute(ADD, {"session_id": session_id, "file": file})


async def get(conn: Connection, session_id: str) -> Recording | None:
    async with conn.cursor(row_factory=class_row(Recording)) as cursor:
        await cursor.execute(GET, {"session_id": session_id})
        return await cursor.fetchone()


async def everything(conn: Connection) -> list[Recording]:
    async with conn.cursor(row_factory=class_row(Recording)) as cursor:
        await cursor.execute(ALL)
        return await cursor.fetchall()


async def anchor(conn: Connection, session_id: str, *, chunks: int, size: int, head: str) -> None:
    await conn.execute(ANCHOR, {"session_id": session_id, "chunks": chunks, "bytes": size, "head": head})


async def finish(
    conn: Connection, session_id: str, *, state: RecordingState, chunks: int, size: int, head: str, spoken: Spoken
) -> bool:
    """False when it was finished before."""
    values = {"state": state, "chunks": chunks, "bytes": size, "head": head, "transcript": spoken.text}
    return (await conn.execute(FINISH, values | _indexed(session_id, spoken))).rowcount == 1


async def other_version(conn: Connection, version: int, limit: int) -> list[Recording]:
    """Finished recordings whose words were written by another analysis than ``version``, or not at all."""
    async with conn.cursor(row_factory=class_row(Recording)) as cursor:
        await cursor.execute(OTHER_VERSION, {"version": version, "limit": limit})
        return await cursor.fetchall()


async def index(conn: Connection, session_id: str, spoken: Spoken) -> None:
    await conn.execute(INDEX, _indexed(session_id, spoken))


def _indexed(session_id: str, spoken: Spoken) -> dict[str, Any]:
    return {
        "session_id": session_id,
        "words": spoken.words,
        "version": VERSION,
        "moments": list(spoken.moments),
    }


async def unfinished(conn: Connection) -> list[str]:
    """The sessions that are over and whose recording was not finished."""
    return [row[0] for row in await (await conn.execute(UNFINISHED)).fetchall()]


async def complete(conn: Connection, session_ids: Sequence[str]) -> list[str]:
    """Those of them whose recording is complete."""
    return [row[0] for row in await (await conn.execute(COMPLETE, {"ids": list(session_ids)})).fetchall()]


async def spoken(conn: Connection, session_id: str) -> Spoken:
    row = await (await conn.execute(SPOKEN, {"session_id": session_id})).fetchone()
    return Spoken(text=row[0], moments=tuple(row[1]), words="") if row else Spoken(text="", moments=(), words="")


async def rename(conn: Connection, session_id: str, old: str, new: str) -> bool:
    """Compare-and-set of the file that counts; False when it was erased meanwhile."""
    return (await conn.execute(RENAME, {"session_id": session_id, "old": old, "new": new})).rowcount == 1
