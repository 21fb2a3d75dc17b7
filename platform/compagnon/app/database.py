"""The database of this installation: given, or embedded in the data folder; and its tables."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from compagnon.db import Database
from compagnon.db.embedded import EmbeddedPostgres
from compagnon.db.migrate import Migration, migrate
from compagnon.jobs import install_schema
from compagnon.settings import Settings

# Lowest layer first: a package's migrations never name a higher package's tables.
PACKAGES = ("compagnon", "kb", "procedures", "remote", "tickets")


@contextmanager
def database_address(settings: Settings, *, keep_running: bool = False) -> Iterator[str]:
    """The address of the database; the embedded server runs inside the block.

    It is left running when it already ran (another Compagnon process uses it), unless this process is the one that owns
    it (``keep_running=False`` of ``compagnon up``).
    """
    if settings.database_url:
        yield settings.database_url
        return
    server = EmbeddedPostgres(settings.data_dir / "pg")
    attached = server.running()
    try:
        server.start()  # inside: Ctrl-C while it starts must not leave it behind
        yield server.url
    finally:
        if not (attached and keep_running):
            server.stop()


async def prepare(url: str) -> list[Migration]:
    """Bring the tables up to date. Returns the migrations that were applied."""
    async with Database(url, size=2) as db:
        await install_schema(db)
        return await migrate(db, PACKAGES)
