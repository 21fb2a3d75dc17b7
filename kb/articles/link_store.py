"""SQL of what belongs to an article: tickets, procedures, texts that name it."""

from __future__ import annotations

from collections.abc import Sequence

from compagnon.db import Connection
from kb.articles.model import Link, Version
from kb.articles.store import SELECT, one, several

ADD = """
INSERT INTO article_links (article_id, kind, ref, why, label, url)
VALUES (%(article_id)s, %(kind)s, %(ref)s, %(why)s, %(label)s, %(url)s)
ON CONFLICT (article_id, kind, ref, why) DO NOTHING
"""
MENTION = """
INSERT INTO article_links (article_id, kind, ref, why, label, url)
SELECT id, %(kind)s, %(ref)s, 'mention', %(label)s, %(url)s FROM articles WHERE id = ANY(%(ids)s)
ON CONFLICT (article_id, kind, ref, why) DO UPDATE SET label = EXCLUDED.label, url = EXCLUDED.url
"""
FORGET = "DELETE FROM article_links WHERE kind = %(kind)s AND ref = %(ref)s AND why = 'mention'"
OF = """
SELECT kind, ref, why, label, url FROM article_links WHERE article_id = %(id)s ORDER BY at LIMIT 500
"""
LINKED = """
JOIN (SELECT DISTINCT article_id FROM article_links WHERE kind = %(kind)s AND ref = %(ref)s) l
    ON l.article_id = v.article_id
WHERE v.state IN ('published', 'draft', 'in_review') ORDER BY lower(v.title), (v.state = 'published') DESC LIMIT 200
"""
NAMED_BY = f"{SELECT} {LINKED}"
DRAFT_FROM = f"""
{SELECT} JOIN article_links l ON l.article_id = v.article_id AND l.why = 'origin'
WHERE l.kind = %(kind)s AND l.ref = %(ref)s AND v.state IN ('draft', 'in_review') AND v.based_on IS NULL
ORDER BY v.id LIMIT 1
"""
# An article that nobody can read any more, because its only draft was discarded, is from nowhere.
FROM = f"""
{SELECT} JOIN article_links l ON l.article_id = v.article_id AND l.why = 'origin'
WHERE v.article_id = %(id)s AND l.kind = %(kind)s AND l.ref = %(ref)s
    AND (v.state IN ('draft', 'in_review') OR v.number IS NOT NULL)
ORDER BY v.number DESC NULLS FIRST LIMIT 1
"""
LOCK_ORIGIN = "SELECT pg_advisory_xact_lock(hashtextextended('article from ' || %(kind)s || ' ' || %(ref)s, 0))"


async def add(conn: Connection, article_id: int, link: Link) -> bool:
    """Whether it is new."""
    params = {"kind": link.kind, "ref": link.ref, "why": link.why, "label": link.label, "url": link.url}
    return (await conn.execute(ADD, {"article_id": article_id, **params})).rowcount == 1


async def mention(conn: Connection, ids: Sequence[int], *, kind: str, ref: str, label: str, url: str) -> None:
    if ids:
        await conn.execute(MENTION, {"ids": list(ids), "kind": kind, "ref": ref, "label": label, "url": url})


async def forget_mentions(conn: Connection, kind: str, ref: str) -> None:
    await conn.execute(FORGET, {"kind": kind, "ref": ref})


async def of(conn: Connection, article_id: int) -> list[Link]:
    return await several(conn, Link, OF, id=article_id)


async def named_by(conn: Connection, kind: str, ref: str) -> list[Version]:
    """The articles that belong to a ticket or procedure: in force, or the draft where nothing is in force yet."""
    found: dict[int, Version] = {}
    for version in await several(conn, Version, NAMED_BY, kind=kind, ref=ref):
        known = found.get(version.article_id)
        if known is None or known.open:
            found[version.article_id] = version
    return list(found.values())


async def draft_from(conn: Connection, kind: str, ref: str) -> Version | None:
    return await one(conn, Version, DRAFT_FROM, kind=kind, ref=ref)


async def written_from(conn: Connection, article_id: int, kind: str, ref: str) -> Version | None:
    """What is open of an article, else what is or was in force; None unless it was written from this ticket."""
    return await one(conn, Version, FROM, id=article_id, kind=kind, ref=ref)


async def lock_origin(conn: Connection, origin: Link) -> None:
    """Until the end of the transaction nobody else begins an article from the same ticket."""
    await conn.execute(LOCK_ORIGIN, {"kind": origin.kind, "ref": origin.ref})
