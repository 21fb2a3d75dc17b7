"""SQL of the sources and their imports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, LiteralString

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from compagnon.db import Connection
from kb.imports.model import SKIPS_LIMIT, Counts, Removed, Run, RunState, Skipped, SkipReason, Source

LOCKS = 0x696D70  # the first half of the advisory locks' keys; the second is the source's id
RUNS_KEPT = 5  # runs of a source whose skipped files are kept

COUNTED: LiteralString = """
SELECT s.id, s.name, s.format, s.locale, s.licence, s.created_at,
    count(v.id) FILTER (WHERE v.state = 'published') AS articles,
    count(v.id) FILTER (WHERE v.state = 'published' AND a.gone_since IS NOT NULL) AS gone,
    count(v.id) FILTER (WHERE v.state = 'withdrawn') AS withdrawn
FROM import_sources s
LEFT JOIN articles a ON a.source = s.name
LEFT JOIN article_versions v ON v.article_id = a.id AND v.state IN ('published', 'withdrawn')
"""
SOURCES: LiteralString = f"{COUNTED} GROUP BY s.id ORDER BY lower(s.name)"
SOURCE: LiteralString = f"{COUNTED} WHERE s.id = %(id)s GROUP BY s.id"
BY_NAME = "SELECT id FROM import_sources WHERE name = %(name)s"
ADD_SOURCE = """
INSERT INTO import_sources (name, format, locale, licence, created_by)
VALUES (%(name)s, %(format)s, %(locale)s, %(licence)s, %(member)s)
ON CONFLICT ON CONSTRAINT import_sources_name DO NOTHING RETURNING id
"""
UPDATE_SOURCE = """
UPDATE import_sources SET format = %(format)s, locale = %(locale)s, licence = %(licence)s WHERE id = %(id)s
"""
LOCK = "SELECT pg_try_advisory_lock(%(class)s, %(id)s)"
UNLOCK = "SELECT pg_advisory_unlock(%(class)s, %(id)s)"
FREE = "SELECT pg_try_advisory_xact_lock(%(class)s, %(id)s)"

RUN: LiteralString = """
SELECT r.id, r.source_id, r.kind, r.label, r.state, r.total, r.done, r.added, r.changed, r.unchanged, r.proposed,
    r.removed, r.skipped, r.problem, r.problem_params, r.started_by, m.name AS starter_name, r.started_at,
    r.touched_at, r.finished_at
FROM import_runs r JOIN members m ON m.id = r.started_by
"""
ONE_RUN: LiteralString = f"{RUN} WHERE r.id = %(id)s"
RUNS: LiteralString = f"{RUN} WHERE r.source_id = %(source)s ORDER BY r.id DESC LIMIT %(limit)s"
SEVERAL_RUNS: LiteralString = f"{RUN} WHERE r.id = ANY(%(ids)s)"
LAST = "SELECT max(id) FROM import_runs GROUP BY source_id"
ADD_RUN = """
INSERT INTO import_runs (source_id, kind, label, state, started_by)
VALUES (%(source)s, %(kind)s, %(label)s, %(state)s, %(member)s) RETURNING id
"""
START = "UPDATE import_runs SET state = 'running', touched_at = now() WHERE id = %(id)s AND state = 'queued'"
BEGIN = """
UPDATE import_runs SET state = 'running', total = %(total)s, skipped = %(skipped)s, done = 0, added = 0, changed = 0,
    unchanged = 0, proposed = 0, removed = 0, touched_at = now()
WHERE id = %(id)s AND state IN ('queued', 'running')
"""
CUT_OFF = """
UPDATE import_runs SET state = 'interrupted', finished_at = touched_at
WHERE source_id = %(source)s AND id <> %(id)s AND state = 'running'
"""
LOST = """
UPDATE import_runs SET state = 'interrupted', finished_at = now()
WHERE source_id = %(source)s AND state = 'queued' AND touched_at < now() - interval '10 minutes'
"""
PROGRESS = """
UPDATE import_runs SET done = %(done)s, added = %(added)s, changed = %(changed)s, unchanged = %(unchanged)s,
    proposed = %(proposed)s, removed = %(removed)s, touched_at = now()
WHERE id = %(id)s AND state = 'running'
"""
END = """
UPDATE import_runs SET state = %(state)s, problem = %(problem)s, problem_params = %(params)s, finished_at = now(),
    touched_at = now()
WHERE id = %(id)s AND state IN ('queued', 'running')
"""
FORGET_SKIPS = """
DELETE FROM import_skips WHERE run_id = %(id)s OR run_id IN (
    SELECT id FROM import_runs WHERE source_id = %(source)s ORDER BY id DESC OFFSET %(kept)s)
"""
ADD_SKIP = "INSERT INTO import_skips (run_id, path, reason, detail) VALUES (%(id)s, %(path)s, %(reason)s, %(detail)s)"
SKIPS = "SELECT path, reason, detail FROM import_skips WHERE run_id = %(id)s ORDER BY path LIMIT %(limit)s"
ADD_REFUSED = "UPDATE import_runs SET skipped = skipped + %(count)s WHERE id = %(id)s"
ADD_UPLOAD = "INSERT INTO import_uploads (run_id, content) VALUES (%(id)s, %(content)s)"
UPLOAD = "SELECT content FROM import_uploads WHERE run_id = %(id)s"
FORGET_UPLOADS = """
DELETE FROM import_uploads u USING import_runs r
WHERE u.run_id = r.id AND r.source_id = %(source)s AND r.state NOT IN ('queued', 'running')
"""
REMOVED = """
SELECT a.id AS article_id, v.title, a.source_id AS path, a.gone_since
FROM import_sources s
JOIN articles a ON a.source = s.name AND a.gone_since IS NOT NULL
JOIN article_versions v ON v.article_id = a.id AND v.state = 'published'
WHERE s.id = %(id)s ORDER BY a.gone_since DESC, v.title LIMIT %(limit)s
"""
IN_FORCE = """
SELECT a.id FROM import_sources s
JOIN articles a ON a.source = s.name
JOIN article_versions v ON v.article_id = a.id AND v.state = 'published'
WHERE s.id = %(id)s ORDER BY a.id
"""
PATHS = "SELECT a.source_id FROM import_sources s JOIN articles a ON a.source = s.name WHERE s.id = %(id)s"
ARTICLE = """
SELECT a.id FROM import_sources s JOIN articles a ON a.source = s.name
WHERE s.id = %(id)s AND a.source_id = %(path)s
"""


async def _column(conn: Connection, query: LiteralString, **params: object) -> list[Any]:
    """The first value of every row."""
    return [row[0] for row in await (await conn.execute(query, params)).fetchall()]


async def _number(conn: Connection, query: LiteralString, **params: object) -> int | None:
    return next(iter(await _column(conn, query, **params)), None)


async def sources(conn: Connection) -> list[Source]:
    async with conn.cursor(row_factory=class_row(Source)) as cursor:
        return await (await cursor.execute(SOURCES)).fetchall()


async def source(conn: Connection, source_id: int) -> Source | None:
    async with conn.cursor(row_factory=class_row(Source)) as cursor:
        return await (await cursor.execute(SOURCE, {"id": source_id})).fetchone()


async def source_named(conn: Connection, name: str) -> Source | None:
    found = await _number(conn, BY_NAME, name=name)
    return await source(conn, found) if found is not None else None


async def add_source(conn: Connection, name: str, *, format: str, locale: str, licence: str, member_id: int) -> int:
    """The id of the source of this name, which is added when there is none."""
    values = {"format": format, "locale": locale, "licence": licence}
    added = await _number(conn, ADD_SOURCE, name=name, member=member_id, **values)
    if added is not None:
        return added
    (known,) = await _column(conn, BY_NAME, name=name)
    return int(known)


async def update_source(conn: Connection, source_id: int, *, format: str, locale: str, licence: str) -> None:
    values = {"format": format, "locale": locale, "licence": licence}
    await conn.execute(UPDATE_SOURCE, {"id": source_id, **values})


async def lock(conn: Connection, source_id: int) -> bool:
    """Become the only import of a source, until ``unlock`` or the end of this connection."""
    return (await _column(conn, LOCK, **{"class": LOCKS, "id": source_id})) == [True]


async def unlock(conn: Connection, source_id: int) -> None:
    await conn.execute(UNLOCK, {"class": LOCKS, "id": source_id})


async def is_free(conn: Connection, source_id: int) -> bool:
    """Whether no import of the source is at work; keeps others away until this transaction ends."""
    return (await _column(conn, FREE, **{"class": LOCKS, "id": source_id})) == [True]


async def run(conn: Connection, run_id: int) -> Run | None:
    async with conn.cursor(row_factory=class_row(Run)) as cursor:
        return await (await cursor.execute(ONE_RUN, {"id": run_id})).fetchone()


async def runs(conn: Connection, source_id: int, limit: int) -> list[Run]:
    """The last runs of a source, newest first."""
    async with conn.cursor(row_factory=class_row(Run)) as cursor:
        return await (await cursor.execute(RUNS, {"source": source_id, "limit": limit})).fetchall()


async def last_runs(conn: Connection) -> dict[int, Run]:
    """The last run of each source."""
    ids = await _column(conn, LAST)
    async with conn.cursor(row_factory=class_row(Run)) as cursor:
        return {run.source_id: run for run in await (await cursor.execute(SEVERAL_RUNS, {"ids": ids})).fetchall()}


async def add_run(conn: Connection, source_id: int, *, kind: str, label: str, state: RunState, member_id: int) -> int:
    values = {"source": source_id, "kind": kind, "label": label, "state": state, "member": member_id}
    (added,) = await _column(conn, ADD_RUN, **values)
    return int(added)


async def forget_lost(conn: Connection, source_id: int) -> None:
    """A run that nobody began for ten minutes was lost, and holds up no other."""
    await conn.execute(LOST, {"source": source_id})


async def start(conn: Connection, run_id: int) -> None:
    """Say that a queued run is being read."""
    await conn.execute(START, {"id": run_id})


async def begin(conn: Connection, run: Run, *, total: int, skipped: Sequence[Skipped]) -> bool:
    """Start (or start again) a run under the source's lock; runs that were cut off are marked as such."""
    await conn.execute(CUT_OFF, {"source": run.source_id, "id": run.id})
    values = {"id": run.id, "total": total, "skipped": len(skipped)}
    if (await conn.execute(BEGIN, values)).rowcount != 1:
        return False
    await conn.execute(FORGET_SKIPS, {"id": run.id, "source": run.source_id, "kept": RUNS_KEPT})
    await add_skips(conn, run.id, skipped[:SKIPS_LIMIT])
    return True


async def add_skips(conn: Connection, run_id: int, skipped: Sequence[Skipped]) -> None:
    rows = [{"id": run_id, "path": one.path, "reason": one.reason, "detail": one.detail} for one in skipped]
    async with conn.cursor() as cursor:
        await cursor.executemany(ADD_SKIP, rows)


async def add_refused(conn: Connection, run_id: int, refused: Sequence[Skipped]) -> None:
    """Documents that were refused on the way, on top of those that were skipped before."""
    if refused:
        await conn.execute(ADD_REFUSED, {"id": run_id, "count": len(refused)})
        await add_skips(conn, run_id, refused)


async def progress(conn: Connection, run_id: int, counts: Counts) -> bool:
    return (await conn.execute(PROGRESS, {"id": run_id, **asdict(counts)})).rowcount == 1


async def end(
    conn: Connection, run: Run, state: RunState, *, problem: str = "", params: Mapping[str, object] | None = None
) -> bool:
    values = {"id": run.id, "state": state, "problem": problem, "params": Jsonb(dict(params or {}))}
    ended = (await conn.execute(END, values)).rowcount == 1
    await conn.execute(FORGET_UPLOADS, {"source": run.source_id})
    return ended


async def skips(conn: Connection, run_id: int, limit: int) -> list[Skipped]:
    rows = await (await conn.execute(SKIPS, {"id": run_id, "limit": limit})).fetchall()
    return [Skipped(path=path, reason=SkipReason(reason), detail=detail) for path, reason, detail in rows]


async def add_upload(conn: Connection, run_id: int, content: bytes) -> None:
    await conn.execute(ADD_UPLOAD, {"id": run_id, "content": content})


async def upload(conn: Connection, run_id: int) -> bytes | None:
    found = await _column(conn, UPLOAD, id=run_id)
    return bytes(found[0]) if found else None


async def removed(conn: Connection, source_id: int, limit: int) -> list[Removed]:
    async with conn.cursor(row_factory=class_row(Removed)) as cursor:
        return await (await cursor.execute(REMOVED, {"id": source_id, "limit": limit})).fetchall()


async def in_force(conn: Connection, source_id: int) -> list[int]:
    """The ids of the source's articles in force."""
    return await _column(conn, IN_FORCE, id=source_id)


async def paths(conn: Connection, source_id: int) -> list[str]:
    """Every document that ever came from a source."""
    return await _column(conn, PATHS, id=source_id)


async def article(conn: Connection, source_id: int, path: str) -> int | None:
    """The id of the article that a document gave."""
    return await _number(conn, ARTICLE, id=source_id, path=path)
