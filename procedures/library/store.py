"""SQL of the library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from compagnon.db import Connection
from procedures.library.model import (
    PAGE,
    Facet,
    Query,
    Row,
    Summary,
    Version,
    VersionState,
)

T = TypeVar("T")

COLUMNS = """
v.id, v.document_id, d.code, d.locale, v.number, v.state, v.digest, v.title, v.kind, v.applies_to, v.skills, v.risk,
v.author_id, author.name AS author_name, v.editor_id, editor.name AS editor_name,
v.editor_ids, v.based_on, base.number AS based_on_number, v.reason, v.evidence, v.created_at, v.edited_at,
v.submitted_at, v.published_at, v.ended_at, v.end_reason
"""
TABLES = """
FROM procedure_versions v
JOIN procedure_documents d ON d.id = v.document_id
JOIN members author ON author.id = v.author_id
JOIN members editor ON editor.id = v.editor_id
LEFT JOIN procedure_versions base ON base.id = v.based_on
"""
SELECT = f"SELECT {COLUMNS}, v.text {TABLES}"
SUMMARY = f"SELECT {COLUMNS} {TABLES}"

BY_ID = f"{SELECT} WHERE v.id = %(id)s"
LOCKED = f"{SELECT} WHERE v.id = %(id)s FOR UPDATE OF v"
PUBLISHED = f"""
{SELECT} WHERE d.code = %(code)s AND v.state = 'published'
ORDER BY (d.locale = %(locale)s) DESC, d.locale DESC LIMIT 1
"""
PUBLISHED_EXACT = f"{SELECT} WHERE d.code = %(code)s AND d.locale = %(locale)s AND v.state = 'published'"
NUMBERED = f"""
{SELECT} WHERE d.code = %(code)s AND v.number = %(number)s
ORDER BY (d.locale = %(locale)s) DESC, d.locale DESC LIMIT 1
"""
LATEST = f"""
{SELECT} WHERE d.code = %(code)s AND v.number IS NOT NULL
ORDER BY (d.locale = %(locale)s) DESC, d.locale DESC, v.number DESC LIMIT 1
"""
HISTORY = f"""
{SUMMARY} WHERE d.code = %(code)s AND d.locale = %(locale)s AND v.number IS NOT NULL ORDER BY v.number DESC LIMIT 200
"""
OPEN_OF = f"""
{SUMMARY} WHERE d.code = %(code)s AND v.state IN ('draft', 'in_review') ORDER BY v.edited_at DESC LIMIT 50
"""
LANGUAGES = """
SELECT d.locale FROM procedure_documents d JOIN procedure_versions v ON v.document_id = d.id AND v.state = 'published'
WHERE d.code = %(code)s ORDER BY d.locale DESC
"""
TITLES = """
SELECT DISTINCT ON (d.code) d.code, v.title
FROM procedure_documents d JOIN procedure_versions v ON v.document_id = d.id AND v.state = 'published'
WHERE d.code = ANY(%(codes)s) ORDER BY d.code, (d.locale = %(locale)s) DESC
"""
# Reviewers see what is in review, is not their own, and on whose present text they have not yet decided.
DECIDED = """
SELECT 1 FROM procedure_reviews r WHERE r.version_id = v.id AND r.member_id = %(member)s AND r.digest = v.digest
"""
WAITING = f"""
{SUMMARY} WHERE v.state = 'in_review' AND v.author_id <> %(member)s
AND %(member)s <> ALL (v.editor_ids) AND NOT EXISTS ({DECIDED}) ORDER BY v.submitted_at LIMIT 200
"""
OWN_OPEN = f"""
{SUMMARY} WHERE v.state IN ('draft', 'in_review') AND v.author_id = %(member)s ORDER BY v.edited_at DESC LIMIT 200
"""
OTHER_OPEN = f"""
{SUMMARY} WHERE v.state IN ('draft', 'in_review') AND v.author_id <> %(member)s ORDER BY v.edited_at DESC LIMIT 200
"""
NAMES = """
SELECT d.code, bool_or(v.kind = 'environment')
FROM procedure_documents d JOIN procedure_versions v ON v.document_id = d.id
WHERE v.state IN ('draft', 'in_review', 'published') GROUP BY d.code
"""
PUBLISHED_AFTER = f"{SELECT} WHERE v.state = 'published' AND v.id > %(after)s ORDER BY v.id LIMIT %(limit)s"

DOCUMENT = """
INSERT INTO procedure_documents (code, locale) VALUES (%(code)s, %(locale)s)
ON CONFLICT (code, locale) DO UPDATE SET code = EXCLUDED.code RETURNING id
"""
INSERT = """
INSERT INTO procedure_versions
    (document_id, digest, text, title, kind, applies_to, skills, risk, author_id, editor_id,
    editor_ids, based_on, reason, evidence)
VALUES (%(document_id)s, %(digest)s, %(text)s, %(title)s, %(kind)s, %(applies_to)s, %(skills)s, %(risk)s, %(member)s,
    %(member)s, ARRAY[%(member)s]::bigint[], %(based_on)s, %(reason)s, %(evidence)s)
RETURNING id
"""
SAVE = """
UPDATE procedure_versions SET digest = %(digest)s, text = %(text)s, title = %(title)s, kind = %(kind)s,
    applies_to = %(applies_to)s, skills = %(skills)s, risk = %(risk)s, editor_id = %(member)s, edited_at = now(),
    editor_ids = array_remove(editor_ids, %(member)s) || %(member)s::bigint, state = %(state)s
WHERE id = %(id)s AND digest = %(seen)s AND state IN ('draft', 'in_review')
"""
REASON = "UPDATE procedure_versions SET reason = %(reason)s WHERE id = %(id)s AND state IN ('draft', 'in_review')"
SUBMIT = """
UPDATE procedure_versions SET state = 'in_review', submitted_at = now()
WHERE id = %(id)s AND state = 'draft' AND digest = %(seen)s
"""
BACK_TO_DRAFT = """
UPDATE procedure_versions SET state = 'draft' WHERE id = %(id)s AND state = 'in_review' AND digest = %(seen)s
"""
SUPERSEDE = """
UPDATE procedure_versions SET state = 'superseded', ended_at = now(), ended_by = %(member)s
WHERE document_id = %(document_id)s AND state = 'published' RETURNING id
"""
PUBLISH = """
UPDATE procedure_versions SET state = 'published', published_at = now(), published_by = %(member)s,
    number = (SELECT coalesce(max(number), 0) + 1 FROM procedure_versions WHERE document_id = %(document_id)s)
WHERE id = %(id)s AND state = %(old)s AND digest = %(seen)s
RETURNING number
"""
WITHDRAW = """
UPDATE procedure_versions SET state = 'withdrawn', ended_at = now(), ended_by = %(member)s, end_reason = %(reason)s
WHERE id = %(id)s AND state = 'published'
"""
DISCARD = """
UPDATE procedure_versions SET state = 'discarded', ended_at = now(), ended_by = %(member)s, end_reason = %(reason)s
WHERE id = %(id)s AND state IN ('draft', 'in_review')
"""
REBASE = """
UPDATE procedure_versions SET based_on = %(based_on)s
WHERE id = %(id)s AND state = 'draft' AND based_on IS NOT DISTINCT FROM %(old)s
"""
LOCK_DOCUMENT = "SELECT id FROM procedure_documents WHERE id = %(id)s FOR UPDATE"

# One line per code, in the reader's language where there is one.
CHOSEN = """
WITH shown AS (
    SELECT v.id, d.code, d.locale, v.title, v.kind, v.applies_to, v.skills,
        array_agg(d.locale) OVER (PARTITION BY d.code) AS languages,
        row_number() OVER (PARTITION BY d.code, (CASE WHEN %(state)s = 'open' THEN v.id END)
            ORDER BY (d.locale = %(locale)s) DESC, d.locale DESC, v.id DESC) AS place
    FROM procedure_versions v JOIN procedure_documents d ON d.id = v.document_id
    WHERE v.state = ANY(%(states)s)
), chosen AS (
    SELECT * FROM shown WHERE place = 1
    AND (%(kind)s = '' OR kind = %(kind)s)
    AND (%(environment)s = '' OR %(environment)s = ANY(applies_to))
    AND (%(skill)s = '' OR %(skill)s = ANY(skills))
    AND (%(codes)s::text[] IS NULL OR code = ANY(%(codes)s))
    AND (%(like)s = '' OR unaccent(lower(code || ' ' || title)) LIKE unaccent(lower(%(like)s)))
)
"""
# The page is cut before anything else is joined to it.
PAGE_OF_CHOSEN = """, page AS (
    SELECT id, languages,
        row_number() OVER (ORDER BY array_position(%(codes)s::text[], code), unaccent(lower(title)), id) AS line
    FROM chosen ORDER BY line LIMIT %(limit)s OFFSET %(offset)s
)
"""
LIST = f"""
{CHOSEN} {PAGE_OF_CHOSEN} SELECT {COLUMNS}, page.languages {TABLES} JOIN page ON page.id = v.id ORDER BY page.line
"""
FACET_COUNTS = """
SELECT 'total' AS facet, '' AS value, count(*) AS count FROM chosen
UNION ALL SELECT 'kind', kind, count(*) FROM chosen GROUP BY kind
UNION ALL SELECT 'environment', environment, count(*) FROM chosen, unnest(applies_to) environment GROUP BY environment
UNION ALL SELECT 'skill', skill, count(*) FROM chosen, unnest(skills) skill GROUP BY skill
ORDER BY 1, 3 DESC, 2
"""
FACETS = CHOSEN + FACET_COUNTS


async def _one(conn: Connection, row: type[T], query: str, /, **params: Any) -> T | None:  # noqa: ANN401
    async with conn.cursor(row_factory=class_row(row)) as cursor:
        return await (await cursor.execute(query, params)).fetchone()


async def _all(conn: Connection, row: type[T], query: str, /, **params: Any) -> list[T]:  # noqa: ANN401
    async with conn.cursor(row_factory=class_row(row)) as cursor:
        return await (await cursor.execute(query, params)).fetchall()


async def _changed(conn: Connection, query: str, /, **params: Any) -> bool:  # noqa: ANN401
    return (await conn.execute(query, params)).rowcount == 1


async def get(conn: Connection, version_id: int) -> Version | None:
    return await _one(conn, Version, BY_ID, id=version_id)


async def lock(conn: Connection, version_id: int) -> Version | None:
    return await _one(conn, Version, LOCKED, id=version_id)


async def published(conn: Connection, code: str, locale: str, *, exact: bool = False) -> Version | None:
    """The published version in ``locale``, or in another language where this one has none (unless ``exact``)."""
    return await _one(conn, Version, PUBLISHED_EXACT if exact else PUBLISHED, code=code, locale=locale)


async def latest(conn: Connection, code: str, locale: str) -> Version | None:
    """The newest version that was ever published, whatever became of it."""
    return await _one(conn, Version, LATEST, code=code, locale=locale)


async def numbered(conn: Connection, code: str, locale: str, number: int) -> Version | None:
    return await _one(conn, Version, NUMBERED, code=code, locale=locale, number=number)


async def history(conn: Connection, code: str, locale: str) -> list[Summary]:
    return await _all(conn, Summary, HISTORY, code=code, locale=locale)


async def open_of(conn: Connection, code: str) -> list[Summary]:
    return await _all(conn, Summary, OPEN_OF, code=code)


async def languages(conn: Connection, code: str) -> tuple[str, ...]:
    return tuple(row[0] for row in await (await conn.execute(LANGUAGES, {"code": code})).fetchall())


async def titles(conn: Connection, codes: Sequence[str], locale: str) -> dict[str, str]:
    """Published titles by code; codes without a published version are left out."""
    rows = await (await conn.execute(TITLES, {"codes": list(codes), "locale": locale})).fetchall()
    return dict(rows)


async def names(conn: Connection) -> list[tuple[str, bool]]:
    """Every code in use, and whether it is an environment's."""
    return await (await conn.execute(NAMES)).fetchall()


async def waiting(conn: Connection, member_id: int) -> list[Summary]:
    return await _all(conn, Summary, WAITING, member=member_id)


async def own_open(conn: Connection, member_id: int) -> list[Summary]:
    return await _all(conn, Summary, OWN_OPEN, member=member_id)


async def other_open(conn: Connection, member_id: int) -> list[Summary]:
    return await _all(conn, Summary, OTHER_OPEN, member=member_id)


async def published_after(conn: Connection, version_id: int, limit: int) -> list[Version]:
    """The next published versions in the order of their ids."""
    return await _all(conn, Version, PUBLISHED_AFTER, after=version_id, limit=limit)


async def document(conn: Connection, code: str, locale: str) -> int:
    """The id of a document, made when it is new."""
    row = await (await conn.execute(DOCUMENT, {"code": code, "locale": locale})).fetchone()
    assert row is not None
    return int(row[0])


async def insert(
    conn: Connection,
    document_id: int,
    *,
    facts: Mapping[str, Any],
    member_id: int,
    based_on: int | None,
    reason: str,
    evidence: Mapping[str, Any],
) -> int:
    """A new draft. ``facts``: digest, text, title, kind, applies_to, skills, risk."""
    params = {
        **facts,
        "document_id": document_id,
        "member": member_id,
        "based_on": based_on,
        "reason": reason,
        "evidence": Jsonb(dict(evidence)),
    }
    row = await (await conn.execute(INSERT, params)).fetchone()
    assert row is not None
    return int(row[0])


async def save(
    conn: Connection, version_id: int, *, facts: Mapping[str, Any], member_id: int, seen: str, state: VersionState
) -> bool:
    """Replace the text of an open version whose digest is still ``seen``."""
    return await _changed(conn, SAVE, **facts, id=version_id, member=member_id, seen=seen, state=state)


async def set_reason(conn: Connection, version_id: int, reason: str) -> bool:
    return await _changed(conn, REASON, id=version_id, reason=reason)


async def submit(conn: Connection, version_id: int, seen: str) -> bool:
    return await _changed(conn, SUBMIT, id=version_id, seen=seen)


async def back_to_draft(conn: Connection, version_id: int, seen: str) -> bool:
    return await _changed(conn, BACK_TO_DRAFT, id=version_id, seen=seen)


async def publish(conn: Connection, version: Summary, member_id: int, *, old: VersionState) -> int | None:
    """Make this the published version in place of the one before; its number, or None when it is no longer ``old``."""
    await conn.execute(LOCK_DOCUMENT, {"id": version.document_id})
    await conn.execute(SUPERSEDE, {"document_id": version.document_id, "member": member_id})
    params = {"id": version.id, "document_id": version.document_id, "member": member_id, "old": old}
    row = await (await conn.execute(PUBLISH, {**params, "seen": version.digest})).fetchone()
    return int(row[0]) if row else None


async def withdraw(conn: Connection, version_id: int, member_id: int, reason: str) -> bool:
    return await _changed(conn, WITHDRAW, id=version_id, member=member_id, reason=reason)


async def discard(conn: Connection, version_id: int, member_id: int, reason: str) -> bool:
    return await _changed(conn, DISCARD, id=version_id, member=member_id, reason=reason)


async def rebase(conn: Connection, version_id: int, *, old: int | None, based_on: int) -> bool:
    return await _changed(conn, REBASE, id=version_id, old=old, based_on=based_on)


async def listing(
    conn: Connection, query: Query, codes: Sequence[str] | None
) -> tuple[list[Row], dict[str, list[Facet]], int]:
    """A page of the list, the facets of the whole list, and how many there are. ``codes`` restricts and orders it."""
    params: dict[str, Any] = {
        "state": query.state,
        "states": ["draft", "in_review"] if query.state == "open" else [query.state],
        "locale": query.locale,
        "kind": query.kind,
        "environment": query.environment,
        "skill": query.skill,
        "codes": None if codes is None else list(codes),
        "like": "" if codes is not None or not query.text else f"%{_escaped(query.text)}%",
        "limit": PAGE,
        "offset": (query.page - 1) * PAGE,
    }
    rows = await _all(conn, Row, LIST, **params)
    facets: dict[str, list[Facet]] = {"kind": [], "environment": [], "skill": []}
    total = 0
    for facet, value, count in await (await conn.execute(FACETS, params)).fetchall():
        if facet == "total":
            total = count
        else:
            facets[facet].append(Facet(value=value, count=count))
    return rows, facets, total


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
