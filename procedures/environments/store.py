"""SQL of the environments: they are versions in the library, of one kind."""

from __future__ import annotations

from datetime import datetime

from psycopg.rows import class_row

from compagnon.db import Connection
from procedures.environments.model import EnvironmentName

LIST = """
SELECT DISTINCT ON (d.code) d.code, v.title, v.number
FROM procedure_versions v JOIN procedure_documents d ON d.id = v.document_id
WHERE v.state = 'published' AND v.kind = 'environment'
ORDER BY d.code, (d.locale = %(locale)s) DESC, d.locale DESC
"""

IN_FORCE = """
SELECT d.code, max(v.published_at) FROM procedure_versions v JOIN procedure_documents d ON d.id = v.document_id
WHERE v.state = 'published' AND v.kind = 'environment' GROUP BY d.code
"""


async def listed(conn: Connection, locale: str) -> list[EnvironmentName]:
    async with conn.cursor(row_factory=class_row(EnvironmentName)) as cursor:
        return await (await cursor.execute(LIST, {"locale": locale})).fetchall()


async def in_force(conn: Connection) -> dict[str, datetime]:
    """Codes, and when the newest text in force was published."""
    return dict(await (await conn.execute(IN_FORCE)).fetchall())
