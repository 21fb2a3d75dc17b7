"""``compagnon articles import``: the summary, what it refuses, and going on after it was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlencode

import psycopg
import pytest
from imports_parts import folder, notes
from psycopg.conninfo import conninfo_to_dict

from compagnon.app.cli import main

LICENCE = ("--licence", "La coopérative")
ADA = ("--author", "ada@example.org")


@pytest.fixture
def command(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to fill, two members, and an environment in which the command line finds its database."""
    options = conninfo_to_dict(database)
    monkeypatch.setenv("COMPAGNON_DATABASE_URL", f"postgresql://localhost/{options['dbname']}?{urlencode(options)}")
    monkeypatch.setenv("COMPAGNON_DATA_DIR", str(tmp_path / "data"))
    secret = tmp_path / "password"
    secret.write_text("correct horse battery\n")
    for name, role in (("alice", "member"), ("ada", "administrator")):
        added = ["member", "add", f"{name}@example.org", "--name", name.title(), "--role", role]
        assert main([*added, "--password-file", str(secret)]) == 0
    return tmp_path / "notes"


def load(where: Path, *more: str) -> int:
    return main(["articles", "import", str(where), *(more or (*ADA, *LICENCE))])


def ask(database: str, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(database) as conn:
        return conn.execute(query).fetchall()  # type: ignore[arg-type]


def test_the_summary_names_what_was_left_out_and_why(command: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder(command, {**notes(12), "bad.md": b"\xff\xfe", "README.md": "# x\n\ny\n"})
    assert load(command) == 0
    said = capsys.readouterr()
    assert "\r12 of 12 documents" in said.out
    assert (
        "notes: 12 new, 0 changed, 0 unchanged, 0 to be reviewed, 0 gone from the source, 2 files left out." in said.out
    )
    assert "bad.md: not in UTF-8" in said.err
    assert "README.md" not in said.err, "left out on purpose"
    assert load(command, *ADA) == 0, "the licence is remembered"
    assert "0 new, 0 changed, 12 unchanged" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("texts", "more", "message"),
    [
        (None, (*ADA, *LICENCE), "There is no folder"),
        ({}, (*ADA, *LICENCE), "There is nothing to import here"),
        ({"a.md": "# a\n\nb\n"}, ADA, "under which licence"),
        ({"a.md": "# a\n\nb\n"}, (*ADA, *LICENCE, "--format", "word"), "There is no format word"),
        ({"a.md": "# a\n\nb\n"}, ("--author", "alice@example.org", *LICENCE), "Only administrators"),
        ({"a.md": "# a\n\nb\n"}, ("--author", "nobody@example.org", *LICENCE), "No member has the address"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_sentence(
    command: Path,
    capsys: pytest.CaptureFixture[str],
    texts: dict[str, str] | None,
    more: tuple[str, ...],
    message: str,
) -> None:
    if texts is not None:
        folder(command, texts)
    assert load(command, *more) == 1
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


def test_an_import_that_was_killed_goes_on(command: Path, database: str) -> None:
    folder(command, notes(600))
    arguments = [sys.executable, "-m", "compagnon.app.cli", "articles", "import", str(command), *ADA, *LICENCE]
    process = subprocess.Popen(arguments, env=os.environ, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while not ask(database, "SELECT FROM import_runs WHERE done BETWEEN 1 AND 500"):
            assert time.monotonic() < deadline
            assert process.poll() is None, "it ended before it could be killed"
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    taken = int(str(ask(database, "SELECT count(*) FROM articles")[0][0]))
    assert 0 < taken < 600
    assert load(command) == 0
    first, second = ask(database, "SELECT state, added, unchanged FROM import_runs ORDER BY id")
    assert first[0] == "interrupted"
    assert second == ("done", 600 - taken, taken)
    assert ask(database, "SELECT count(*), count(DISTINCT source_id) FROM articles") == [(600, 600)]
    assert ask(database, "SELECT count(*), max(number) FROM article_versions") == [(600, 1)]
    assert main(["audit", "verify"]) == 0
