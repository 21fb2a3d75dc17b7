"""SQL of the review: decisions and comments."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from psycopg.rows import class_row

from compagnon.db import Connection
from compagnon.i18n.formats import ZONE
from procedures.library.model import Comment, Decision, Review

REVIEW = """
INSERT INTO procedure_reviews (version_id, digest, member_id, decision, comment)
VALUES (%(version_id)s, %(digest)s, %(member)s, %(decision)s, %(comment)s)
"""
REVIEWS = """
SELECT r.id, r.version_id, r.digest, r.member_id, m.name AS member_name,
    (m.active AND m.role IN ('reviewer', 'administrator')) AS reviewer, r.decision, r.comment, r.created_at
FROM procedure_reviews r JOIN members m ON m.id = r.member_id WHERE r.version_id = %(id)s ORDER BY r.id
"""
APPROVED = """
SELECT r.version_id, (max(r.created_at) AT TIME ZONE %(zone)s)::date FROM procedure_reviews r
JOIN procedure_versions v ON v.id = r.version_id AND v.digest = r.digest
WHERE r.version_id = ANY(%(ids)s) AND r.decision = 'approve' GROUP BY r.version_id
"""
COMMENT = """
INSERT INTO procedure_comments (version_id, step_id, member_id, body)
VALUES (%(version_id)s, %(step_id)s, %(member)s, %(body)s) RETURNING id
"""
COMMENTS = """
SELECT c.id, c.version_id, c.step_id, c.member_id, m.name AS member_name, c.body, c.created_at,
    c.resolved_at, c.resolved_by
FROM procedure_comments c JOIN members m ON m.id = c.member_id WHERE c.version_id = %(id)s ORDER BY c.id LIMIT 500
"""
RESOLVE = """
UPDATE procedure_comments SET resolved_at = now(), resolved_by = %(member)s
WHERE id = %(id)s AND version_id = %(version_id)s AND resolved_at IS NULL
"""


async def review(
    conn: Connection, version_id: int, digest: str, member_id: int, decision: Decision, comment: str
) -> None:
    params = {"version_id": version_id, "digest": digest, "member": member_id, "decision": decision, "comment": comment}
    await conn.execute(REVIEW, params)


async def reviews(conn: Connection, version_id: int) -> list[Review]:
    async with conn.cursor(row_factory=class_row(Review)) as cursor:
        return await (await cursor.execute(REVIEWS, {"id": version_id})).fetchall()


async def approved(conn: Connection, version_ids: Sequence[int]) -> dict[int, date]:
    """The day of the last approval of each version's present text; versions without any are left out."""
    rows = await (await conn.execute(APPROVED, {"ids": list(version_ids), "zone": ZONE.key})).fetchall()
    return {int(version_id): day for version_id, day in rows}


async def comment(conn: Connection, version_id: int, step_id: str | None, member_id: int, body: str) -> int:
    params = {"version_id": version_id, "step_id": step_id, "member": member_id, "body": body}
    row = await (await conn.execute(COMMENT, params)).fetchone()
    assert row is not None
    return int(row[0])


async def comments(conn: Connection, version_id: int) -> list[Comment]:
    async with conn.cursor(row_factory=class_row(Comment)) as cursor:
        return await (await cursor.execute(COMMENTS, {"id": version_id})).fetchall()


async def resolve(conn: Connection, version_id: int, comment_id: int, member_id: int) -> bool:
    params = {"id": comment_id, "version_id": version_id, "member": member_id}
    return (await conn.execute(RESOLVE, params)).rowcount == 1
