"""Real parts for every test: PostgreSQL, the wired application, a server on a free port, a browser, an agent."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from argon2 import PasswordHasher
from shell_parts import TOOLS

from compagnon.auth import passwords
from compagnon.db import Database
from compagnon.db.embedded import EmbeddedPostgres
from compagnon.settings import Settings

pytest_plugins = ["wired_fixtures"]  # not "fixtures": pytest takes that name for its own module
# In the background of a shell Ctrl-C is ignored, and would be by every server that a test starts and stops with it.
signal.signal(signal.SIGINT, signal.default_int_handler)
os.environ["PATH"] = f"{TOOLS}:{os.environ['PATH']}"
PACKAGES = ("compagnon", "kb", "procedures", "remote", "tickets")


@pytest.fixture(autouse=True)
def quick_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Real argon2id, with the least work it allows; ``test_sign_ins.py`` looks at the parameters of production."""
    monkeypatch.setattr(passwords, "HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of a real server: COMPAGNON_TEST_DATABASE_URL, else an embedded one for this session."""
    given = os.environ.get("COMPAGNON_TEST_DATABASE_URL")
    if given:
        yield given
        return
    folder = Path(tempfile.mkdtemp(prefix="compagnon-pg-"))
    folder.chmod(0o711)
    server = EmbeddedPostgres(folder / "pg")
    server.start()
    _forget_the_disk(server.url)
    try:
        yield server.url
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _forget_the_disk(url: str) -> None:
    """Hundreds of databases are made and dropped; none of them has to survive a power cut."""
    with psycopg.connect(url, autocommit=True) as conn:
        for name in ("fsync", "full_page_writes", "synchronous_commit"):
            conn.execute(f"ALTER SYSTEM SET {name} = off")
        conn.execute("SELECT pg_reload_conf()")


def database_url(server: str, name: str) -> str:
    return psycopg.conninfo.make_conninfo(server, dbname=name)


@pytest.fixture(scope="session")
def template(postgres: str) -> Iterator[str]:
    """The name of a migrated database that each test's own is cloned from."""
    import asyncio

    from compagnon.app.database import prepare

    name = f"template_{secrets.token_hex(4)}"
    with psycopg.connect(postgres, autocommit=True) as conn:
        conn.execute(f"CREATE DATABASE {name}")
        asyncio.run(prepare(database_url(postgres, name)))
        yield name
        conn.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def database(postgres: str, template: str) -> Iterator[str]:
    """The address of an empty, migrated database."""
    name = f"test_{secrets.token_hex(4)}"
    with psycopg.connect(postgres, autocommit=True) as conn:
        conn.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        yield database_url(postgres, name)
        conn.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def db(database: str) -> AsyncIterator[Database]:
    async with Database(database, size=10) as opened:
        yield opened


@pytest.fixture
def settings(database: str, tmp_path: Path) -> Settings:
    """A test server's settings: its own database and data folder, loopback, any free port."""
    base = Settings.load({}, data_dir=tmp_path / "data", secret_key="k" * 40, port=0)
    (tmp_path / "data").mkdir(exist_ok=True)
    return replace(base, database_url=database, database_pool=10)
