"""SQL of whether articles helped, and of the files that belong to them."""

from __future__ import annotations

from collections.abc import Sequence

from compagnon.db import Connection
from kb.articles.model import Feedback, File
from kb.articles.store import one, several

TELL = """
INSERT INTO article_feedback (article_id, member_id, ticket_id, number, solved, note)
VALUES (%(article_id)s, %(member)s, %(ticket)s, %(number)s, %(solved)s, %(note)s)
ON CONFLICT ON CONSTRAINT article_feedback_one DO UPDATE
SET number = EXCLUDED.number, solved = EXCLUDED.solved, note = EXCLUDED.note, at = now()
WHERE (article_feedback.number, article_feedback.solved, article_feedback.note)
    IS DISTINCT FROM (EXCLUDED.number, EXCLUDED.solved, EXCLUDED.note)
"""
TOLD = """
SELECT f.member_id, m.name AS member_name, f.ticket_id, f.number, f.solved, f.note, f.at
FROM article_feedback f JOIN members m ON m.id = f.member_id WHERE f.article_id = %(id)s ORDER BY f.at DESC LIMIT 500
"""

FILE = """
SELECT f.id, f.article_id, f.sha256, f.name, f.media_type, f.bytes, f.member_id, m.name AS member_name, f.added_at
FROM article_files f JOIN members m ON m.id = f.member_id WHERE f.article_id = %(article_id)s
"""
FILES = f"{FILE} AND f.removed_at IS NULL ORDER BY f.id LIMIT 100"
ONE_FILE = f"{FILE} AND f.id = %(id)s"
ADD_FILE = """
INSERT INTO article_files (article_id, sha256, name, media_type, bytes, member_id)
VALUES (%(article_id)s, %(sha256)s, %(name)s, %(media_type)s, %(bytes)s, %(member)s)
ON CONFLICT (article_id, sha256) WHERE removed_at IS NULL DO NOTHING
"""
REMOVE_FILE = """
UPDATE article_files SET removed_at = now() WHERE article_id = %(article_id)s AND id = %(id)s AND removed_at IS NULL
"""


async def tell(
    conn: Connection, article_id: int, member_id: int, ticket_id: int | None, *, number: int, solved: bool, note: str
) -> bool:
    """Whether that is news."""
    params = {"article_id": article_id, "member": member_id, "ticket": ticket_id, "number": number}
    return (await conn.execute(TELL, {**params, "solved": solved, "note": note})).rowcount == 1


async def told(conn: Connection, article_id: int) -> list[Feedback]:
    """The newest first."""
    return await several(conn, Feedback, TOLD, id=article_id)


async def files(conn: Connection, article_id: int) -> Sequence[File]:
    return await several(conn, File, FILES, article_id=article_id)


async def file(conn: Connection, article_id: int, file_id: int) -> File | None:
    """Also one that is no longer listed: older versions show it."""
    return await one(conn, File, ONE_FILE, article_id=article_id, id=file_id)


async def add_file(
    conn: Connection, article_id: int, *, sha256: str, name: str, media_type: str, size: int, member_id: int
) -> bool:
    params = {"article_id": article_id, "sha256": sha256, "name": name, "media_type": media_type}
    return (await conn.execute(ADD_FILE, {**params, "bytes": size, "member": member_id})).rowcount == 1


async def remove_file(conn: Connection, article_id: int, file_id: int) -> bool:
    return (await conn.execute(REMOVE_FILE, {"article_id": article_id, "id": file_id})).rowcount == 1
