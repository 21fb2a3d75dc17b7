"""SQL of articles and their versions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from compagnon.db import Connection
from kb.articles.model import PAGE, Content, Query, Version, columns, digest
from kb.search.records import like_pattern

T = TypeVar("T")

SAID = """
v.title, v.condition, v.solutions, v.error_codes, v.applies_to, v.os, v.skills, v.procedures, v.known_error,
v.workaround, v.licence, v.source_name, v.source_url, v.review_every
"""
COLUMNS = f"""
{SAID}, v.id, v.article_id, a.locale, a.translates_id, v.number, v.state, v.digest, v.author_id,
    coalesce(author.name, '') AS author_name, v.editor_id, coalesce(editor.name, '') AS editor_name, v.editor_ids,
    v.based_on, v.remark, v.created_at, v.edited_at, v.submitted_at, v.published_at,
    coalesce(publisher.name, '') AS publisher_name, v.ended_at, v.end_reason,
    a.source, a.source_id, a.source_digest, a.gone_since, a.reviewed_at, a.stale
"""
TABLES = """
FROM article_versions v
JOIN articles a ON a.id = v.article_id
LEFT JOIN members author ON author.id = v.author_id
LEFT JOIN members editor ON editor.id = v.editor_id
LEFT JOIN members publisher ON publisher.id = v.published_by
"""
SELECT = f"SELECT {COLUMNS} {TABLES}"
OPEN_ONLY = "v.state IN ('draft', 'in_review')"
PUBLISHED = f"{SELECT} WHERE v.article_id = %(id)s AND v.state = 'published'"
OPEN = f"{SELECT} WHERE v.article_id = %(id)s AND {OPEN_ONLY}"
LATEST = f"{SELECT} WHERE v.article_id = %(id)s AND v.number IS NOT NULL ORDER BY v.number DESC LIMIT 1"
NUMBERED = f"{SELECT} WHERE v.article_id = %(id)s AND v.number = %(number)s"
HISTORY = f"{SELECT} WHERE v.article_id = %(id)s AND v.number IS NOT NULL ORDER BY v.number DESC LIMIT 200"
AFTER = f"{SELECT} WHERE v.state = 'published' AND v.article_id > %(after)s ORDER BY v.article_id LIMIT %(limit)s"
COUNT = "SELECT count(*) FROM article_versions WHERE state = 'published'"
WAITING = f"""
{SELECT} WHERE v.state = 'in_review' AND v.author_id IS DISTINCT FROM %(member)s AND %(member)s <> ALL (v.editor_ids)
ORDER BY v.submitted_at LIMIT 200
"""
OWN = f"""
{SELECT} WHERE {OPEN_ONLY} AND (v.author_id = %(member)s OR %(member)s = ANY (v.editor_ids))
ORDER BY v.edited_at DESC LIMIT 200
"""
SIBLINGS = """
AND coalesce(a.translates_id, a.id) = (SELECT coalesce(translates_id, id) FROM articles WHERE id = %(id)s)
"""
TRANSLATIONS = f"{SELECT} WHERE v.state = 'published' AND v.article_id <> %(id)s {SIBLINGS} ORDER BY a.id LIMIT 10"
# Not FOR UPDATE: links and feedback may be added meanwhile.
LOCK = "SELECT id FROM articles WHERE id = %(id)s FOR NO KEY UPDATE"

ADD = """
INSERT INTO articles (locale, translates_id, source, source_id, source_digest, request_key)
VALUES (%(locale)s, %(translates_id)s, %(source)s, %(source_id)s, %(source_digest)s, %(request_key)s)
ON CONFLICT DO NOTHING RETURNING id
"""
BY_KEY = "SELECT id FROM articles WHERE request_key = %(key)s"
INSERT = """
INSERT INTO article_versions (article_id, digest, title, condition, solutions, error_codes, applies_to, os, skills,
    procedures, known_error, workaround, licence, source_name, source_url, review_every, author_id, editor_id,
    editor_ids, based_on, state, submitted_at, published_at, number)
VALUES (%(article_id)s, %(digest)s, %(title)s, %(condition)s, %(solutions)s, %(error_codes)s, %(applies_to)s, %(os)s,
    %(skills)s, %(procedures)s, %(known_error)s, %(workaround)s, %(licence)s, %(source_name)s, %(source_url)s,
    %(review_every)s, %(member)s, %(member)s, array_remove(ARRAY[%(member)s]::bigint[], NULL),
    (SELECT id FROM article_versions WHERE article_id = %(article_id)s AND state = 'published'),
    %(state)s, CASE WHEN %(state)s = 'in_review' THEN now() END, CASE WHEN %(state)s = 'published' THEN now() END,
    CASE WHEN %(state)s = 'published' THEN
        (SELECT coalesce(max(number), 0) + 1 FROM article_versions WHERE article_id = %(article_id)s) END)
RETURNING id
"""
SAVE = """
UPDATE article_versions SET digest = %(digest)s, title = %(title)s, condition = %(condition)s,
    solutions = %(solutions)s, error_codes = %(error_codes)s, applies_to = %(applies_to)s, os = %(os)s,
    skills = %(skills)s, procedures = %(procedures)s, known_error = %(known_error)s, workaround = %(workaround)s,
    licence = %(licence)s, source_name = %(source_name)s, source_url = %(source_url)s, review_every = %(review_every)s,
    editor_id = %(member)s, edited_at = now(),
    editor_ids = CASE WHEN %(member)s::bigint IS NULL THEN editor_ids
        ELSE array_remove(editor_ids, %(member)s) || %(member)s::bigint END
WHERE id = %(id)s AND digest = %(seen)s AND state IN ('draft', 'in_review')
"""
SUBMIT = """
UPDATE article_versions SET state = 'in_review', submitted_at = now()
WHERE id = %(id)s AND state = 'draft' AND digest = %(seen)s
"""
SEND_BACK = """
UPDATE article_versions SET state = 'draft', remark = %(remark)s
WHERE id = %(id)s AND state = 'in_review' AND digest = %(seen)s
"""
REBASE = """
UPDATE article_versions SET based_on = %(based_on)s
WHERE id = %(id)s AND state IN ('draft', 'in_review') AND based_on IS NOT DISTINCT FROM %(old)s
"""
SUPERSEDE = """
UPDATE article_versions SET state = 'superseded', ended_at = now(), ended_by = %(member)s
WHERE article_id = %(article_id)s AND state = 'published'
"""
PUBLISH = """
UPDATE article_versions SET state = 'published', published_at = now(), published_by = %(member)s, remark = '',
    number = (SELECT coalesce(max(number), 0) + 1 FROM article_versions WHERE article_id = %(article_id)s)
WHERE id = %(id)s AND state = 'in_review' AND digest = %(seen)s RETURNING number
"""
WITHDRAW = """
UPDATE article_versions SET state = 'withdrawn', ended_at = now(), ended_by = %(member)s, end_reason = %(reason)s
WHERE article_id = %(article_id)s AND state = 'published' AND digest = %(seen)s
"""
DISCARD = """
UPDATE article_versions SET state = 'discarded', ended_at = now(), ended_by = %(member)s
WHERE id = %(id)s AND state IN ('draft', 'in_review') AND digest = %(seen)s
"""
REVIEWED = "UPDATE articles SET reviewed_at = now(), stale = '{}' WHERE id = %(id)s"

BY_SOURCE = "SELECT id FROM articles WHERE source = %(source)s AND source_id = %(source_id)s FOR NO KEY UPDATE"
IMPORTED = "SELECT source_id, source_digest FROM articles WHERE source = %(source)s AND gone_since IS NULL"
SEEN = """
UPDATE articles SET source_digest = %(digest)s, gone_since = NULL
WHERE id = %(id)s AND (source_digest <> %(digest)s OR gone_since IS NOT NULL)
"""
RELABEL = "UPDATE articles SET locale = %(locale)s WHERE id = %(id)s AND locale <> %(locale)s"
GONE = """
UPDATE articles SET gone_since = now()
WHERE source = %(source)s AND source_id = ANY(%(ids)s) AND gone_since IS NULL RETURNING id
"""

# Why articles in force are to be looked after; `ids` NULL: all of them. Environments come as two arrays: code and since
# when its version is in force. A change of the source stays until somebody has looked (REVIEWED).
STALE = """
UPDATE articles a SET stale = fresh.stale FROM (
    SELECT one.id, array_remove(ARRAY[
        CASE WHEN one.reviewed_at + make_interval(months => v.review_every) < now() THEN 'due' END,
        CASE WHEN %(codes)s::text[] IS NOT NULL AND EXISTS (
            SELECT FROM unnest(v.applies_to) code (code)
            LEFT JOIN unnest(%(codes)s::text[], %(since)s::timestamptz[]) known (code, since) ON known.code = code.code
            WHERE known.code IS NULL OR known.since > one.reviewed_at
        ) OR %(codes)s::text[] IS NULL AND 'environment' = ANY (one.stale) THEN 'environment' END,
        CASE WHEN told.words >= %(few)s AND told.solved * 2 < told.words THEN 'unhelpful' END,
        CASE WHEN one.gone_since IS NOT NULL THEN 'gone' END,
        CASE WHEN 'changed' = ANY (one.stale) THEN 'changed' END
    ], NULL) AS stale
    FROM articles one JOIN article_versions v ON v.article_id = one.id AND v.state = 'published'
    LEFT JOIN LATERAL (
        SELECT count(*) AS words, count(*) FILTER (WHERE f.solved) AS solved
        FROM article_feedback f WHERE f.article_id = one.id AND f.at > one.reviewed_at
    ) told ON true
    WHERE %(ids)s::bigint[] IS NULL OR one.id = ANY (%(ids)s)
) fresh
WHERE a.id = fresh.id AND a.stale <> fresh.stale RETURNING a.id
"""
MARK_CHANGED = (
    "UPDATE articles SET stale = array_append(stale, 'changed') WHERE id = %(id)s AND 'changed' <> ALL (stale)"
)

# Only what is asked for stands in the query, so that a list without filters is read from an index.
IN_STATE = {
    "published": "v.state = 'published'",
    "open": OPEN_ONLY,
    # The last version stands for an article, and only while nothing newer is in force.
    "withdrawn": """v.state = 'withdrawn'
        AND v.number = (SELECT max(w.number) FROM article_versions w WHERE w.article_id = v.article_id)""",
}
CONDITIONS = {
    "environment": "%(environment)s = ANY (v.applies_to)",
    "skill": "%(skill)s = ANY (v.skills)",
    "known_errors": "v.known_error",
    "look_after": "EXISTS (SELECT FROM articles a WHERE a.id = v.article_id AND a.stale <> '{}')",
    "ids": "v.article_id = ANY (%(ids)s)",
    "like": "unaccent(lower(v.title)) LIKE unaccent(lower(%(like)s))",
}
BY_TITLE, BY_RANK = "lower(v.title), v.id", "array_position(%(ids)s, v.article_id)"
PAGED = """
SELECT v.id, row_number() OVER () AS line FROM (
    SELECT v.id FROM article_versions v WHERE {where} ORDER BY {order} LIMIT %(limit)s OFFSET %(offset)s
) v
"""
LIST = f"WITH page AS ({{paged}}) {SELECT} JOIN page ON page.id = v.id ORDER BY page.line"
TOTAL = "SELECT count(*) FROM article_versions v WHERE {where}"


async def one(conn: Connection, row: type[T], query: str, /, **params: Any) -> T | None:  # noqa: ANN401
    async with conn.cursor(row_factory=class_row(row)) as cursor:
        return await (await cursor.execute(query, params)).fetchone()


async def several(conn: Connection, row: type[T], query: str, /, **params: Any) -> list[T]:  # noqa: ANN401
    async with conn.cursor(row_factory=class_row(row)) as cursor:
        return await (await cursor.execute(query, params)).fetchall()


async def _did(conn: Connection, query: str, /, **params: Any) -> bool:  # noqa: ANN401
    return (await conn.execute(query, params)).rowcount == 1


async def _ids(conn: Connection, query: str, /, **params: Any) -> list[int]:  # noqa: ANN401
    return [row[0] for row in await (await conn.execute(query, params)).fetchall()]


async def published(conn: Connection, article_id: int) -> Version | None:
    return await one(conn, Version, PUBLISHED, id=article_id)


async def opened(conn: Connection, article_id: int) -> Version | None:
    """The draft, or the version in review."""
    return await one(conn, Version, OPEN, id=article_id)


async def latest(conn: Connection, article_id: int) -> Version | None:
    """The last version that was published, whatever became of it."""
    return await one(conn, Version, LATEST, id=article_id)


async def numbered(conn: Connection, article_id: int, number: int) -> Version | None:
    return await one(conn, Version, NUMBERED, id=article_id, number=number)


async def history(conn: Connection, article_id: int) -> list[Version]:
    return await several(conn, Version, HISTORY, id=article_id)


async def translations(conn: Connection, article_id: int) -> list[Version]:
    return await several(conn, Version, TRANSLATIONS, id=article_id)


async def published_after(conn: Connection, article_id: int, limit: int) -> list[Version]:
    return await several(conn, Version, AFTER, after=article_id, limit=limit)


async def count(conn: Connection) -> int:
    return (await _ids(conn, COUNT))[0]


async def waiting(conn: Connection, member_id: int) -> list[Version]:
    return await several(conn, Version, WAITING, member=member_id)


async def own(conn: Connection, member_id: int) -> list[Version]:
    return await several(conn, Version, OWN, member=member_id)


async def lock(conn: Connection, article_id: int) -> bool:
    """Whether there is such an article; nobody else changes its versions until the end of the transaction."""
    return bool(await _ids(conn, LOCK, id=article_id))


async def add(
    conn: Connection, *, locale: str, translates_id: int | None = None, source: str = "", source_id: str = "",
    source_digest: str = "", request_key: str | None = None,
) -> int | None:  # fmt: skip
    """A new article's id; None when there is one of this source or request already."""
    params = {"locale": locale, "translates_id": translates_id, "source": source, "source_id": source_id}
    found = await _ids(conn, ADD, **params, source_digest=source_digest, request_key=request_key)
    return found[0] if found else None


async def by_key(conn: Connection, request_key: str) -> int | None:
    found = await _ids(conn, BY_KEY, key=request_key)
    return found[0] if found else None


async def insert(
    conn: Connection, article_id: int, content: Content, member_id: int | None, *, state: str = "draft"
) -> int:
    return (await _ids(conn, INSERT, article_id=article_id, member=member_id, state=state, **_said(content)))[0]


async def save(conn: Connection, version: Version, content: Content, member_id: int | None) -> bool:
    return await _did(conn, SAVE, id=version.id, seen=version.digest, member=member_id, **_said(content))


def _said(content: Content) -> dict[str, Any]:
    values = columns(content)
    return {**values, "solutions": Jsonb(values["solutions"]), "digest": digest(content)}


async def submit(conn: Connection, version: Version) -> bool:
    return await _did(conn, SUBMIT, id=version.id, seen=version.digest)


async def send_back(conn: Connection, version: Version, remark: str) -> bool:
    return await _did(conn, SEND_BACK, id=version.id, seen=version.digest, remark=remark)


async def rebase(conn: Connection, version: Version, based_on: int) -> bool:
    return await _did(conn, REBASE, id=version.id, old=version.based_on, based_on=based_on)


async def put_in_force(conn: Connection, article_id: int, content: Content) -> None:
    """The next version in force, from an import: whatever draft members have open stays."""
    await conn.execute(SUPERSEDE, {"article_id": article_id, "member": None})
    await insert(conn, article_id, content, None, state="published")


async def publish(conn: Connection, version: Version, member_id: int | None) -> int | None:
    """Its number; None when it was no longer in review with this text. What was in force is superseded."""
    await conn.execute(SUPERSEDE, {"article_id": version.article_id, "member": member_id})
    params = {"id": version.id, "article_id": version.article_id, "member": member_id, "seen": version.digest}
    numbers = await _ids(conn, PUBLISH, **params)
    return numbers[0] if numbers else None


async def withdraw(conn: Connection, version: Version, member_id: int, reason: str) -> bool:
    params = {"article_id": version.article_id, "member": member_id, "reason": reason, "seen": version.digest}
    return await _did(conn, WITHDRAW, **params)


async def discard(conn: Connection, version: Version, member_id: int | None) -> bool:
    return await _did(conn, DISCARD, id=version.id, member=member_id, seen=version.digest)


async def reviewed(conn: Connection, article_id: int) -> None:
    await conn.execute(REVIEWED, {"id": article_id})


async def by_source(conn: Connection, source: str, source_id: str) -> int | None:
    found = await _ids(conn, BY_SOURCE, source=source, source_id=source_id)
    return found[0] if found else None


async def imported(conn: Connection, source: str) -> dict[str, str]:
    return dict(await (await conn.execute(IMPORTED, {"source": source})).fetchall())


async def seen(conn: Connection, article_id: int, source_digest: str) -> bool:
    """Note what the source says now; whether that is news."""
    return await _did(conn, SEEN, id=article_id, digest=source_digest)


async def relabel(conn: Connection, article_id: int, locale: str) -> bool:
    """Correct the language of an article; whether it was another."""
    return await _did(conn, RELABEL, id=article_id, locale=locale)


async def gone(conn: Connection, source: str, source_ids: Sequence[str]) -> list[int]:
    return await _ids(conn, GONE, source=source, ids=list(source_ids))


async def mark_changed(conn: Connection, article_id: int) -> None:
    await conn.execute(MARK_CHANGED, {"id": article_id})


async def refresh_stale(
    conn: Connection, environments: Mapping[str, datetime] | None, few: int, ids: Sequence[int] | None = None
) -> list[int]:
    """Judge anew which articles in force (None: all) are to be looked after; the ids of those that changed.

    ``environments`` are those in force and since when; None: nobody knows, so none is held against an article.
    """
    known = environments is not None
    arrays = {"codes": list(environments or ()) if known else None, "since": list((environments or {}).values())}
    return await _ids(conn, STALE, few=few, ids=None if ids is None else list(ids), **arrays)


async def listing(conn: Connection, query: Query, ids: Sequence[int] | None) -> tuple[list[Version], int]:
    """A page and how many there are in all; ``ids``: only these, in this order (None: all, by title)."""
    asked = {
        "environment": query.environment,
        "skill": query.skill,
        "known_errors": query.known_errors,
        "look_after": query.look_after,
        "ids": None if ids is None else list(ids),
        "like": like_pattern(query.text) if query.text and ids is None else "",
    }
    wanted = [CONDITIONS[name] for name, value in asked.items() if value or (name == "ids" and value is not None)]
    where = " AND ".join((IN_STATE[query.state], *wanted))
    paged = PAGED.format(where=where, order=BY_TITLE if ids is None else BY_RANK)
    page = {"limit": PAGE, "offset": (query.page - 1) * PAGE}
    rows = await several(conn, Version, LIST.format(paged=paged), **asked, **page)
    return rows, (await _ids(conn, TOTAL.format(where=where), **asked))[0]
