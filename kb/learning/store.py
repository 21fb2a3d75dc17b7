"""SQL of what is learned."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from psycopg.rows import class_row

from compagnon.db import Connection
from kb.learning.model import REMEMBERED, RETENTION, Miss, Recent, Use

USES_READ = 400  # newest uses of one document that are looked at

ASK = """
INSERT INTO learned_questions (member_id, text, norm, results)
SELECT %(member)s, %(text)s, %(norm)s, %(results)s WHERE %(daily)s > (
    SELECT count(*) FROM learned_questions
    WHERE member_id = %(member)s AND asked_on = (now() AT TIME ZONE 'UTC')::date
)
ON CONFLICT (member_id, norm, asked_on) DO UPDATE SET
    results = coalesce(EXCLUDED.results, learned_questions.results), text = EXCLUDED.text, asked_at = now(),
    times = learned_questions.times + %(again)s
RETURNING id
"""
OPEN = """
INSERT INTO learned_uses (question_id, document) VALUES (%(question)s, %(document)s) ON CONFLICT DO NOTHING
"""
LAST_USE = """
SELECT u.id FROM learned_uses u JOIN learned_questions q ON q.id = u.question_id
WHERE u.document = %(document)s AND q.member_id = %(member)s AND u.opened_at > now() - %(remembered)s
ORDER BY u.opened_at DESC, u.id DESC LIMIT 1
"""
FOLLOW = (
    """
UPDATE learned_uses SET run_id = %(run)s WHERE run_id IS NULL AND id = (
"""
    + LAST_USE
    + ")"
)
FOLLOW_QUESTION = """
UPDATE learned_uses SET run_id = %(run)s
WHERE question_id = %(question)s AND document = %(document)s AND run_id IS NULL
"""
RUN_ENDED = """
UPDATE learned_uses SET ending = 'well', ended_at = now() WHERE run_id = %(run)s AND ending = '' RETURNING document
"""
END_QUESTION = """
UPDATE learned_uses SET ending = %(ending)s, ended_at = now()
WHERE question_id = %(question)s AND document = %(document)s AND ending <> %(ending)s
"""
END_LAST = (
    """
UPDATE learned_uses SET ending = %(ending)s, ended_at = now() WHERE ending <> %(ending)s AND id = (
"""
    + LAST_USE
    + ")"
)
USES = """
SELECT document, text, norm, member_id, opened_at, followed, ending FROM (
    SELECT u.document, q.text, q.norm, q.member_id, u.opened_at, u.run_id IS NOT NULL AS followed, u.ending,
        row_number() OVER (PARTITION BY u.document ORDER BY u.opened_at DESC) AS place
    FROM learned_uses u JOIN learned_questions q ON q.id = u.question_id
    WHERE u.document = ANY(%(documents)s) AND u.opened_at > now() - %(retention)s
) AS newest WHERE place <= %(read)s
"""
DOCUMENTS = "SELECT DISTINCT document FROM learned_uses"
FORGET = "DELETE FROM learned_questions WHERE asked_at < now() - %(retention)s"
OLD_DONE = "DELETE FROM learned_misses_done WHERE done_at < now() - %(retention)s"
RECENT = """
SELECT text, asked_at FROM (
    SELECT DISTINCT ON (norm) text, asked_at FROM learned_questions WHERE member_id = %(member)s
    ORDER BY norm, asked_at DESC
) AS each ORDER BY asked_at DESC LIMIT %(limit)s
"""
UNNAME = """
UPDATE learned_questions q SET member_id = NULL
WHERE member_id = %(member)s AND (%(norm)s::text IS NULL OR norm = %(norm)s)
    AND EXISTS (SELECT FROM learned_uses u WHERE u.question_id = q.id)
"""
CLEAR = """
DELETE FROM learned_questions WHERE member_id = %(member)s AND (%(norm)s::text IS NULL OR norm = %(norm)s)
"""
MISSES = """
SELECT m.norm, (array_agg(m.text ORDER BY m.asked_at DESC))[1] AS text, sum(m.times)::int AS times,
    count(DISTINCT m.member_id)::int AS members, max(m.asked_at) AS last_at
FROM learned_questions m LEFT JOIN learned_misses_done d ON d.norm = m.norm
WHERE m.results = 0 AND m.asked_at > now() - %(retention)s AND (d.norm IS NULL OR m.asked_at > d.done_at)
    AND NOT EXISTS (SELECT FROM learned_questions l
                    WHERE l.norm = m.norm AND l.results > 0 AND l.asked_at > m.asked_at)
GROUP BY m.norm ORDER BY sum(m.times) DESC, max(m.asked_at) DESC, m.norm LIMIT %(limit)s
"""
DONE = """
INSERT INTO learned_misses_done (norm, member_id)
SELECT %(norm)s, %(member)s WHERE EXISTS (SELECT FROM learned_questions WHERE norm = %(norm)s AND results = 0)
ON CONFLICT (norm) DO UPDATE SET done_at = now(), member_id = EXCLUDED.member_id
"""


async def ask(
    conn: Connection, member_id: int, text: str, norm: str, results: int | None, *, again: int, daily: int
) -> int | None:
    """Keep a question, once for each member and day; None when they asked ``daily`` others today.

    ``again``: how many more times it was asked.
    """
    params = {"member": member_id, "text": text, "norm": norm, "results": results, "again": again, "daily": daily}
    row = await (await conn.execute(ASK, params)).fetchone()
    return int(row[0]) if row else None


async def open_(conn: Connection, question_id: int, document: str) -> bool:
    """Keep that the question led to the document; False when that was known."""
    return await _changed(conn, OPEN, question=question_id, document=document)


async def follow(conn: Connection, member_id: int, document: str, run_id: int) -> bool:
    """Bind a run to the member's last use of the document, if there is a recent one that has none."""
    return await _changed(conn, FOLLOW, member=member_id, document=document, run=run_id, remembered=REMEMBERED)


async def follow_question(conn: Connection, question_id: int, document: str, run_id: int) -> bool:
    return await _changed(conn, FOLLOW_QUESTION, question=question_id, document=document, run=run_id)


async def run_ended(conn: Connection, run_id: int) -> list[str]:
    """Its uses ended well; the documents concerned. Nothing the second time."""
    rows = await (await conn.execute(RUN_ENDED, {"run": run_id})).fetchall()
    return [str(row[0]) for row in rows]


async def end_question(conn: Connection, question_id: int, document: str, ending: str) -> bool:
    return await _changed(conn, END_QUESTION, question=question_id, document=document, ending=ending)


async def end_last(conn: Connection, member_id: int, document: str, ending: str) -> bool:
    """The member's last use of the document ended so; False without a recent use, or when it was known."""
    return await _changed(conn, END_LAST, member=member_id, document=document, ending=ending, remembered=REMEMBERED)


async def uses(conn: Connection, documents: Sequence[str]) -> list[Use]:
    params = {"documents": list(documents), "retention": RETENTION, "read": USES_READ}
    async with conn.cursor(row_factory=class_row(Use)) as cursor:
        return await (await cursor.execute(USES, params)).fetchall()


async def documents(conn: Connection) -> list[str]:
    return [str(row[0]) for row in await (await conn.execute(DOCUMENTS)).fetchall()]


async def forget(conn: Connection, retention: timedelta) -> int:
    """Delete what is older; how many questions."""
    await conn.execute(OLD_DONE, {"retention": retention})
    return (await conn.execute(FORGET, {"retention": retention})).rowcount


async def recent(conn: Connection, member_id: int, limit: int) -> list[Recent]:
    async with conn.cursor(row_factory=class_row(Recent)) as cursor:
        return await (await cursor.execute(RECENT, {"member": member_id, "limit": limit})).fetchall()


async def clear(conn: Connection, member_id: int, norm: str | None) -> int:
    """Questions that led somewhere lose the member's name, the others are deleted; how many were theirs."""
    params: dict[str, Any] = {"member": member_id, "norm": norm}
    unnamed = (await conn.execute(UNNAME, params)).rowcount
    return unnamed + (await conn.execute(CLEAR, params)).rowcount


async def misses(conn: Connection, limit: int) -> list[Miss]:
    async with conn.cursor(row_factory=class_row(Miss)) as cursor:
        return await (await cursor.execute(MISSES, {"retention": RETENTION, "limit": limit})).fetchall()


async def done(conn: Connection, member_id: int, norm: str) -> bool:
    return await _changed(conn, DONE, member=member_id, norm=norm)


async def _changed(conn: Connection, statement: str, **params: object) -> bool:
    return (await conn.execute(statement, params)).rowcount > 0
