"""Numbered SQL files, package by package, applied once and in order.

Packages are given lowest layer first: a package's files never name a higher package's table, so the whole of a
lower package can always be applied before the next. An applied file is frozen: a changed one is refused.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from psycopg import sql

from compagnon.db.pool import Connection, Database, DatabaseError

LOCK = 0x636F6D70  # "comp": one migrating process at a time
NAME = re.compile(r"^(\d{4})_[a-z0-9_]+\.sql$")

CREATE = """
CREATE TABLE IF NOT EXISTS migrations (
    package text NOT NULL,
    name text NOT NULL,
    digest text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (package, name)
)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    package: str
    name: str
    text: str

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


def collect(packages: Sequence[str]) -> list[Migration]:
    """The migrations of these packages, in the order in which they are applied."""
    return [migration for package in packages for migration in _of(package)]


def _of(package: str) -> list[Migration]:
    folder = files(package).joinpath("migrations")
    if not folder.is_dir():
        return []
    found = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".sql")), key=lambda entry: entry.name)
    for entry in found:
        if not NAME.match(entry.name):
            raise DatabaseError(f"{package}/migrations/{entry.name}: expected a name such as 0001_tickets.sql")
    return [Migration(package=package, name=entry.name, text=entry.read_text("utf-8")) for entry in found]


async def migrate(db: Database, packages: Sequence[str]) -> list[Migration]:
    """Apply what is missing, each file in its own transaction. Returns what was applied.

    Raises DatabaseError when an applied file has changed, or one fails (nothing of it is then kept).
    """
    async with db.connection() as conn:
        await conn.execute("SELECT pg_advisory_lock(%s)", (LOCK,))
        try:
            return await _apply_missing(conn, collect(packages))
        finally:
            await conn.execute("SELECT pg_advisory_unlock(%s)", (LOCK,))


async def _apply_missing(conn: Connection, migrations: Sequence[Migration]) -> list[Migration]:
    await conn.execute(CREATE)
    rows = await (await conn.execute("SELECT package, name, digest FROM migrations")).fetchall()
    applied = {(package, name): digest for package, name, digest in rows}
    missing: list[Migration] = []
    for migration in migrations:
        digest = applied.get((migration.package, migration.name))
        if digest is None:
            missing.append(migration)
        elif digest != migration.digest:
            raise DatabaseError(f"{migration.package}/migrations/{migration.name} was changed after it was applied")
    for migration in missing:
        await _apply(conn, migration)
    return missing


async def _apply(conn: Connection, migration: Migration) -> None:
    async with conn.transaction():
        await conn.execute(sql.SQL(migration.text))
        await conn.execute(
            "INSERT INTO migrations (package, name, digest) VALUES (%s, %s, %s)",
            (migration.package, migration.name, migration.digest),
        )
