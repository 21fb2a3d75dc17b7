"""SQL of the synonyms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from psycopg.rows import class_row

from compagnon.db import Connection
from kb.search.expanding import MAX_GROUPS
from kb.search.model import SynonymGroup
from kb.synonyms.model import Version

LIST_LIMIT = 500  # groups shown
COLUMNS = """
v.id, v.group_id, v.number, v.state, v.locale, v.words, v.removes, v.reason, v.author_id, author.name AS author_name,
v.based_on, v.decided_by, decider.name AS decided_name, v.decided_at, v.remark, v.created_at
"""
TABLES = """
FROM synonym_versions v JOIN members author ON author.id = v.author_id
LEFT JOIN members decider ON decider.id = v.decided_by
"""
SELECT = f"SELECT {COLUMNS} {TABLES}"
BY_ID = f"{SELECT} WHERE v.id = %(id)s"
OF_GROUP = f"{SELECT} WHERE v.group_id = %(group_id)s ORDER BY v.id DESC LIMIT 200"
LISTED = f"""
{SELECT} WHERE v.state = 'published' AND (%(locale)s = '' OR v.locale IN ('', %(locale)s))
AND (%(like)s = '' OR unaccent(lower(array_to_string(v.words, ' = '))) LIKE unaccent(lower(%(like)s)))
ORDER BY unaccent(lower(v.words[1])), v.group_id LIMIT %(limit)s
"""
PROPOSED = f"{SELECT} WHERE v.state = 'proposed' ORDER BY v.id LIMIT %(limit)s"
WAITING = f"{SELECT} WHERE v.state = 'proposed' AND v.author_id <> %(member)s ORDER BY v.id LIMIT %(limit)s"
WITHDRAWN = f"{SELECT} WHERE v.state = 'withdrawn' ORDER BY v.decided_at DESC LIMIT 50"
IN_FORCE = "SELECT locale, words FROM synonym_versions WHERE state = 'published' ORDER BY group_id LIMIT %(limit)s"
# Proposals count, so that what is proposed can be approved. A group in force may change however many there are.
FULL = """
SELECT count(DISTINCT group_id) FILTER (WHERE group_id <> %(group_id)s) >= %(limit)s
    AND NOT bool_or(group_id = %(group_id)s AND state = 'published')
FROM synonym_versions WHERE state IN ('published', 'proposed') AND NOT removes
"""
OWNERS = """
SELECT r.locale, r.reading, r.group_id, array_to_string(v.words, ' = ')
FROM unnest(%(locales)s::text[], %(readings)s::text[]) AS wanted (locale, reading)
JOIN synonym_readings r USING (locale, reading)
JOIN synonym_versions v ON v.group_id = r.group_id AND v.state = 'published'
WHERE r.group_id <> %(group_id)s LIMIT 1
"""
REQUESTED = "SELECT group_id FROM synonym_versions WHERE author_id = %(author_id)s AND request_key = %(request_key)s"
ADD_GROUP = "INSERT INTO synonym_groups DEFAULT VALUES RETURNING id"
LOCK_GROUP = "SELECT id FROM synonym_groups WHERE id = %(group_id)s FOR UPDATE"
PROPOSE = """
INSERT INTO synonym_versions (group_id, locale, words, removes, reason, author_id, based_on, request_key)
VALUES (%(group_id)s, %(locale)s, %(words)s, %(removes)s, %(reason)s, %(author_id)s, %(based_on)s, %(request_key)s)
RETURNING id
"""
SUPERSEDE = "UPDATE synonym_versions SET state = 'superseded' WHERE group_id = %(group_id)s AND state = 'published'"
APPROVE = """
UPDATE synonym_versions SET state = CASE WHEN removes THEN 'withdrawn' ELSE 'published' END, decided_by = %(member)s,
    decided_at = now(),
    number = (SELECT coalesce(max(number), 0) + 1 FROM synonym_versions WHERE group_id = %(group_id)s)
WHERE id = %(id)s AND state = 'proposed' AND author_id <> %(member)s
"""
END = """
UPDATE synonym_versions SET state = %(state)s, decided_by = %(member)s, decided_at = now(), remark = %(remark)s
WHERE id = %(id)s AND state = 'proposed'
"""
FORGET_READINGS = "DELETE FROM synonym_readings WHERE group_id = %(group_id)s"
KEEP_READINGS = """
INSERT INTO synonym_readings (locale, reading, group_id)
SELECT locale, reading, %(group_id)s FROM unnest(%(locales)s::text[], %(readings)s::text[]) AS r (locale, reading)
"""


async def _versions(conn: Connection, query: str, /, **params: Any) -> list[Version]:  # noqa: ANN401
    async with conn.cursor(row_factory=class_row(Version)) as cursor:
        return await (await cursor.execute(query, params)).fetchall()


async def get(conn: Connection, version_id: int) -> Version | None:
    found = await _versions(conn, BY_ID, id=version_id)
    return found[0] if found else None


async def of_group(conn: Connection, group_id: int) -> list[Version]:
    return await _versions(conn, OF_GROUP, group_id=group_id)


async def listed(conn: Connection, *, locale: str, like: str) -> list[Version]:
    return await _versions(conn, LISTED, locale=locale, like=like, limit=LIST_LIMIT)


async def proposed(conn: Connection) -> list[Version]:
    return await _versions(conn, PROPOSED, limit=LIST_LIMIT)


async def waiting(conn: Connection, member_id: int) -> list[Version]:
    return await _versions(conn, WAITING, member=member_id, limit=LIST_LIMIT)


async def withdrawn(conn: Connection) -> list[Version]:
    return await _versions(conn, WITHDRAWN)


async def in_force(conn: Connection) -> list[SynonymGroup]:
    rows = await (await conn.execute(IN_FORCE, {"limit": MAX_GROUPS})).fetchall()
    return [SynonymGroup(locale=locale, words=tuple(words)) for locale, words in rows]


async def full(conn: Connection, group_id: int) -> bool:
    """Whether there are already as many groups as the search reads, so that this one would never act."""
    row = await (await conn.execute(FULL, {"group_id": group_id, "limit": MAX_GROUPS})).fetchone()
    return bool(row and row[0])


async def owner(
    conn: Connection, readings: Sequence[tuple[str, str]], group_id: int
) -> tuple[str, str, int, str] | None:
    """Another group that has one of these (locale, reading): locale, reading, its id, its words."""
    locales, texts = [locale for locale, _ in readings], [text for _, text in readings]
    values = {"locales": locales, "readings": texts, "group_id": group_id}
    return await (await conn.execute(OWNERS, values)).fetchone()


async def requested(conn: Connection, author_id: int, request_key: str) -> int | None:
    """The group that a request sent before has led to."""
    values = {"author_id": author_id, "request_key": request_key}
    row = await (await conn.execute(REQUESTED, values)).fetchone()
    return int(row[0]) if row else None


async def add_group(conn: Connection) -> int:
    row = await (await conn.execute(ADD_GROUP)).fetchone()
    assert row is not None
    return int(row[0])


async def lock_group(conn: Connection, group_id: int) -> bool:
    return await (await conn.execute(LOCK_GROUP, {"group_id": group_id})).fetchone() is not None


async def propose(conn: Connection, **values: object) -> int:
    row = await (await conn.execute(PROPOSE, values)).fetchone()
    assert row is not None
    return int(row[0])


async def supersede(conn: Connection, group_id: int) -> None:
    await conn.execute(SUPERSEDE, {"group_id": group_id})


async def approve(conn: Connection, version: Version, member_id: int) -> bool:
    values = {"id": version.id, "group_id": version.group_id, "member": member_id}
    return (await conn.execute(APPROVE, values)).rowcount == 1


async def end(conn: Connection, version_id: int, state: str, member_id: int, remark: str) -> bool:
    values = {"id": version_id, "state": state, "member": member_id, "remark": remark}
    return (await conn.execute(END, values)).rowcount == 1


async def keep_readings(conn: Connection, group_id: int, readings: Sequence[tuple[str, str]]) -> None:
    """These are the group's readings now, and no others."""
    await conn.execute(FORGET_READINGS, {"group_id": group_id})
    locales, texts = [locale for locale, _ in readings], [text for _, text in readings]
    await conn.execute(KEEP_READINGS, {"group_id": group_id, "locales": locales, "readings": texts})
