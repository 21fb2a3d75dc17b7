"""``compagnon procedures import``: drafts, or, by an administrator, versions in force."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlencode

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from compagnon.app.cli import main

TEXT = Path(__file__).parents[1] / "procedures" / "conftest.py"


@pytest.fixture
def command(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one procedure, two members, and an environment in which the command line finds its database."""
    options = conninfo_to_dict(database)
    monkeypatch.setenv("COMPAGNON_DATABASE_URL", f"postgresql://localhost/{options['dbname']}?{urlencode(options)}")
    monkeypatch.setenv("COMPAGNON_DATA_DIR", str(tmp_path / "data"))
    secret = tmp_path / "password"
    secret.write_text("correct horse battery\n")
    for name, role in (("alice", "member"), ("ada", "administrator")):
        added = ["member", "add", f"{name}@example.org", "--name", name.title(), "--role", role]
        assert main([*added, "--password-file", str(secret)]) == 0
    folder = tmp_path / "texts"
    folder.mkdir()
    text = TEXT.read_text("utf-8").split('PROCEDURE = """\\\n')[1].split('"""')[0]
    (folder / "tst-001.md").write_text(text, "utf-8")
    return folder


def states(database: str) -> list[str]:
    with psycopg.connect(database) as conn:
        return [row[0] for row in conn.execute("SELECT state FROM procedure_versions ORDER BY id")]


def test_texts_become_drafts_and_an_administrator_may_publish_them(
    command: Path, database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["procedures", "import", "--author", "alice@example.org", str(command)]) == 0
    assert states(database) == ["draft"]
    assert main(["procedures", "import", "--publish", "--author", "alice@example.org", str(command)]) == 1
    assert "administrator" in capsys.readouterr().err
    assert states(database) == ["draft"]
    assert main(["procedures", "import", "--publish", "--author", "ada@example.org", str(command)]) == 0
    assert states(database) == ["draft", "published"]
    assert "version 1 in force" in capsys.readouterr().out
    with psycopg.connect(database) as conn:
        query = "SELECT count(*) FROM audit_log WHERE action = 'procedure.published' AND details->>'imported' = 'true'"
        assert conn.execute(query).fetchone() == (1,)
