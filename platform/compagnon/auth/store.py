"""SQL of members and skills."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

from psycopg.rows import class_row

from compagnon.auth.model import Member, Skill, SkilledMember, SkillName
from compagnon.db import Connection

COLUMNS: LiteralString = """
m.id, m.email, m.name, m.role, m.locale, m.theme, m.departements, m.active, m.phone,
(CASE WHEN m.available_until <= now() THEN NOT m.available_said ELSE m.available_said END) AND m.active AS available,
CASE WHEN m.available_until > now() THEN m.available_until END AS available_until
"""
GET = f"SELECT {COLUMNS} FROM members m WHERE m.id = %(id)s"  # noqa: S608 - constants
BY_EMAIL = f"SELECT {COLUMNS} FROM members m WHERE m.email = %(email)s"  # noqa: S608 - constants
SEVERAL = f"SELECT {COLUMNS} FROM members m WHERE m.id = ANY(%(ids)s)"  # noqa: S608 - constants
LIST = f"""
SELECT {COLUMNS} FROM members m
WHERE (%(inactive)s OR m.active)
  AND (%(departement)s::text IS NULL OR %(departement)s = ANY(m.departements))
  AND (%(skill)s::text IS NULL OR EXISTS (
      SELECT FROM member_skills s WHERE s.member_id = m.id AND s.skill = %(skill)s AND s.level >= %(level)s))
  AND (%(fragment)s = '' OR unaccent(lower(m.name)) LIKE '%%' || unaccent(lower(%(fragment)s)) || '%%'
       OR m.email LIKE '%%' || lower(%(fragment)s) || '%%')
ORDER BY m.active DESC, available DESC, unaccent(lower(m.name)), m.id
LIMIT %(limit)s
"""  # noqa: S608 - constants
# Who may find a member: any member finds any other who is one still.
READABLE: LiteralString = "m.active AND reads_records(%(reader)s)"
FIND = f"""
SELECT {COLUMNS} FROM members m
WHERE {READABLE}
  AND (unaccent(lower(m.name)) LIKE '%%' || unaccent(lower(%(fragment)s)) || '%%'
       OR m.email LIKE '%%' || lower(%(fragment)s) || '%%'
       OR (%(digits)s <> '' AND regexp_replace(m.phone, '[^0-9]', '', 'g') LIKE '%%' || %(digits)s || '%%'))
ORDER BY available DESC, unaccent(lower(m.name)), m.id
LIMIT %(limit)s
"""  # noqa: S608 - constants
BY_SKILL = f"""
SELECT {COLUMNS}, s.level FROM member_skills s JOIN members m ON m.id = s.member_id
WHERE s.skill = %(skill)s AND s.level >= %(level)s AND m.active
ORDER BY s.level DESC, available DESC, unaccent(lower(m.name)), m.id
"""  # noqa: S608 - constants
SKILLS_OF = """
SELECT s.skill AS name, s.level, CASE %(locale)s WHEN 'fr' THEN n.label_fr ELSE n.label_en END AS label, s.member_id
FROM member_skills s JOIN skills n ON n.name = s.skill
WHERE s.member_id = ANY(%(ids)s) ORDER BY s.level DESC, s.skill
"""
ALL_SKILLS = """
SELECT name, CASE %(locale)s WHEN 'fr' THEN label_fr ELSE label_en END AS label FROM skills ORDER BY 2
"""
ADD_SKILL = """
INSERT INTO skills (name, label_fr, label_en) VALUES (%(name)s, %(label)s, %(label)s) ON CONFLICT DO NOTHING
"""
INSERT = """
INSERT INTO members (email, name, phone, password_hash, role, locale, departements)
VALUES (%(email)s, %(name)s, %(phone)s, %(password_hash)s, %(role)s, %(locale)s, %(departements)s)
RETURNING id
"""
UPDATE = """
UPDATE members SET email = %(email)s, name = %(name)s, phone = %(phone)s, role = %(role)s,
    departements = %(departements)s, updated_at = now()
WHERE id = %(id)s AND role = %(old_role)s
"""
SET_ACTIVE = "UPDATE members SET active = %(active)s, updated_at = now() WHERE id = %(id)s AND active <> %(active)s"
SET_PREFERENCES = "UPDATE members SET locale = %(locale)s, theme = %(theme)s, updated_at = now() WHERE id = %(id)s"
SET_AVAILABLE = """
UPDATE members SET available_said = %(available)s, available_until = %(until)s, updated_at = now() WHERE id = %(id)s
"""
PASSWORD_HASH = "SELECT password_hash FROM members WHERE id = %(id)s"  # noqa: S105 - a query
CHANGE_PASSWORD = """
UPDATE members SET password_hash = %(new)s, updated_at = now() WHERE id = %(id)s AND password_hash = %(old)s
"""  # noqa: S105 - a query
OTHER_ADMINISTRATORS = """
SELECT count(*) FROM (
    SELECT FROM members WHERE role = 'administrator' AND active AND id <> %(id)s FOR SHARE) AS others
"""
CLEAR_SKILLS = "DELETE FROM member_skills WHERE member_id = %(id)s"
INSERT_SKILL = "INSERT INTO member_skills (member_id, skill, level) VALUES (%(id)s, %(skill)s, %(level)s)"
DEPARTEMENTS = "SELECT DISTINCT unnest(departements) AS code FROM members WHERE active ORDER BY 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class _SkillRow:
    name: str
    level: int
    label: str
    member_id: int


async def get(conn: Connection, member_id: int) -> Member | None:
    return await _one(conn, GET, {"id": member_id})


async def by_email(conn: Connection, email: str) -> Member | None:
    return await _one(conn, BY_EMAIL, {"email": email})


async def several(conn: Connection, ids: Sequence[int]) -> list[Member]:
    return await _all(conn, SEVERAL, {"ids": list(ids)})


async def listed(
    conn: Connection,
    *,
    fragment: str,
    skill: str | None,
    level: int,
    departement: str | None,
    inactive: bool,
    limit: int,
) -> list[Member]:
    values = {
        "fragment": _literal(fragment),
        "skill": skill,
        "level": level,
        "departement": departement,
        "inactive": inactive,
        "limit": limit,
    }
    return await _all(conn, LIST, values)


async def find(conn: Connection, fragment: str, *, reader: int, limit: int) -> list[Member]:
    digits = "".join(c for c in fragment if c.isascii() and c.isdigit())
    only = not any(c.isalpha() for c in fragment) and len(digits) >= 3
    values = {"fragment": _literal(fragment), "digits": digits if only else "", "reader": reader, "limit": limit}
    return await _all(conn, FIND, values)


def _literal(fragment: str) -> str:
    return fragment.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


async def by_skill(conn: Connection, skill: str, level: int) -> list[SkilledMember]:
    cursor = conn.cursor()
    await cursor.execute(BY_SKILL, {"skill": skill, "level": level})
    names = [column.name for column in cursor.description or ()]
    rows = [dict(zip(names, row, strict=True)) for row in await cursor.fetchall()]
    return [SkilledMember(level=row.pop("level"), member=Member(**row)) for row in rows]


async def skills_of(conn: Connection, ids: Sequence[int], locale: str) -> dict[int, tuple[Skill, ...]]:
    cursor = conn.cursor(row_factory=class_row(_SkillRow))
    found: dict[int, tuple[Skill, ...]] = {}
    for row in await (await cursor.execute(SKILLS_OF, {"ids": list(ids), "locale": locale})).fetchall():
        skill = Skill(name=row.name, level=row.level, label=row.label)
        found[row.member_id] = (*found.get(row.member_id, ()), skill)
    return found


async def all_skills(conn: Connection, locale: str) -> list[SkillName]:
    cursor = conn.cursor(row_factory=class_row(SkillName))
    return await (await cursor.execute(ALL_SKILLS, {"locale": locale})).fetchall()


async def departements(conn: Connection) -> list[str]:
    return [row[0] for row in await (await conn.execute(DEPARTEMENTS)).fetchall()]


async def insert(conn: Connection, values: Mapping[str, Any]) -> int:
    row = await (await conn.execute(INSERT, values)).fetchone()
    assert row is not None, "INSERT … RETURNING gives a row"
    return int(row[0])


async def update(conn: Connection, values: Mapping[str, Any]) -> bool:
    return (await conn.execute(UPDATE, values)).rowcount == 1


async def set_active(conn: Connection, member_id: int, active: bool) -> bool:
    return (await conn.execute(SET_ACTIVE, {"id": member_id, "active": active})).rowcount == 1


async def set_preferences(conn: Connection, member_id: int, locale: str, theme: str) -> None:
    await conn.execute(SET_PREFERENCES, {"id": member_id, "locale": locale, "theme": theme})


async def set_available(conn: Connection, member_id: int, available: bool, until: datetime | None) -> None:
    await conn.execute(SET_AVAILABLE, {"id": member_id, "available": available, "until": until})


async def password_hash(conn: Connection, member_id: int) -> str | None:
    row = await (await conn.execute(PASSWORD_HASH, {"id": member_id})).fetchone()
    return row[0] if row else None


async def change_password(conn: Connection, member_id: int, old: str, new: str) -> bool:
    return (await conn.execute(CHANGE_PASSWORD, {"id": member_id, "old": old, "new": new})).rowcount == 1


async def other_administrators(conn: Connection, member_id: int) -> int:
    row = await (await conn.execute(OTHER_ADMINISTRATORS, {"id": member_id})).fetchone()
    return int(row[0]) if row else 0


async def replace_skills(conn: Connection, member_id: int, skills: Mapping[str, int]) -> None:
    await conn.execute(CLEAR_SKILLS, {"id": member_id})
    for name, level in sorted(skills.items()):
        await conn.execute(ADD_SKILL, {"name": name, "label": name.replace("-", " ").capitalize()})
        await conn.execute(INSERT_SKILL, {"id": member_id, "skill": name, "level": level})


async def _one(conn: Connection, query: LiteralString, values: Mapping[str, Any]) -> Member | None:
    cursor = conn.cursor(row_factory=class_row(Member))
    return await (await cursor.execute(query, values)).fetchone()


async def _all(conn: Connection, query: LiteralString, values: Mapping[str, Any]) -> list[Member]:
    cursor = conn.cursor(row_factory=class_row(Member))
    return await (await cursor.execute(query, values)).fetchall()
