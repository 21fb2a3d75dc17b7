"""Logs: pages back through files whatever their form, following over rotation, and what each kind of log says."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compagnon_agent.logs import files, following, guess, journal, reading, sources, windows
from compagnon_agent.logs.model import Line, Query, Wanted
from compagnon_agent.logs.reading import Refused

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "FOLDER", tmp_path)
    monkeypatch.setattr(sources, "has_journal", lambda: False)
    monkeypatch.setattr(reading, "path_of", lambda source: sources.path_of(source, tmp_path))
    monkeypatch.setattr(following, "path_of", lambda source: sources.path_of(source, tmp_path))
    return tmp_path


def texts(page):
    return [line.text for line in page.lines]


# what there is


def test_only_text_files_below_the_folder_are_sources(folder):
    (folder / "syslog").write_text("a\n")
    (folder / "apt").mkdir()
    (folder / "apt" / "history.log.1.gz").write_bytes(gzip.compress(b"b\n"))
    (folder / "wtmp").write_bytes(b"\0")
    (folder / "shadow").symlink_to("/etc/shadow")
    (folder / "etc").symlink_to("/etc")
    os.mkfifo(folder / "pipe")
    (folder / "line\nbreak.log").write_text("x")
    found = sources.files(folder)
    assert [source.name for source in found] == ["syslog", "apt/history.log.1.gz"]
    assert [source.rotated for source in found] == [False, True]


@pytest.mark.parametrize(
    "source",
    ["file:../../etc/passwd", "file:/etc/passwd", "file:shadow", "file:etc/passwd", "file:", "journal2", "x" * 300],
)
def test_nothing_else_can_be_read(folder, source):
    (folder / "syslog").write_text("a\n")
    (folder / "shadow").symlink_to("/etc/shadow")
    (folder / "etc").symlink_to("/etc")
    with pytest.raises(Refused) as refused:
        reading.read(Query(source=source))
    assert refused.value.code == "no_source"


def test_a_link_put_in_place_of_a_log_is_not_followed(folder):
    (folder / "syslog").symlink_to("/etc/passwd")
    with pytest.raises(OSError, match="symbolic"):
        sources.open_file(folder / "syslog")


# pages


@given(
    lines=st.lists(
        st.text(st.characters(exclude_characters="\n\r", exclude_categories=("Cs",)), max_size=50), max_size=60
    ),
    finished=st.booleans(),
    block=st.integers(1, 40),
)
def test_back_through_a_file_every_line_comes_once(tmp_path_factory, lines, finished, block):
    path = tmp_path_factory.mktemp("log") / "x.log"
    data = "\n".join(lines).encode() + (b"\n" if finished and lines else b"")
    path.write_bytes(data)
    old, files.BLOCK = files.BLOCK, block
    try:
        with path.open("rb") as file:
            found = list(files.lines_back(file, len(data)))
    finally:
        files.BLOCK = old
    expected = data.split(b"\n")
    if expected[-1] == b"":
        expected.pop()
    assert [raw for _, raw in reversed(found)] == expected
    assert all(data[offset : offset + len(raw)] == raw for offset, raw in found)


@pytest.mark.parametrize(
    ("name", "pack"),
    [("x.log", bytes), ("x.log.1.gz", gzip.compress), ("x.log.2.bz2", bz2.compress), ("x.log.3.xz", lzma.compress)],
)
def test_pages_meet_without_a_gap(folder, name, pack):
    (folder / name).write_bytes(pack("".join(f"line {n}\n" for n in range(25)).encode()))
    query, found = Query(source=f"file:{name}", limit=10), []
    for _ in range(4):
        page = reading.read(query)
        found = texts(page) + found
        if not page.older:
            break
        query = Query(source=query.source, limit=10, cursor=page.older)
    assert found == [f"line {n}" for n in range(25)]


def test_a_damaged_archive_is_told_as_such(folder):
    (folder / "x.log.1.gz").write_bytes(gzip.compress(b"a" * 10_000)[:40])
    with pytest.raises(Refused) as refused:
        reading.read(Query(source="file:x.log.1.gz"))
    assert refused.value.code == "unreadable"


def test_a_rotated_file_does_not_mix_with_its_successor(folder):
    path = folder / "x.log"
    path.write_text("".join(f"old {n}\n" for n in range(20)))
    page = reading.read(Query(source="file:x.log", limit=5))
    path.rename(folder / "x.log.1")
    path.write_text("".join(f"new {n}\n" for n in range(20)))
    with pytest.raises(Refused) as refused:
        reading.read(Query(source="file:x.log", limit=5, cursor=page.older))
    assert refused.value.code == "rotated"


def test_what_is_wanted(folder):
    (folder / "x.log").write_text(
        "2026-02-28T10:00:00Z host cupsd[1]: error: No such printer\n"
        "2026-02-28T11:00:00Z host sshd[2]: warning: slow\n"
        "2026-02-28T12:00:00Z host sshd[2]: Accepted password for marie.\n"
    )
    ask = lambda **asked: texts(reading.read(Query(source="file:x.log", **asked)))  # noqa: E731
    assert len(ask()) == 3
    assert len(ask(severity=3)) == 1
    assert len(ask(severity=4)) == 2
    assert len(ask(unit="SSHD")) == 2
    assert len(ask(text="no SUCH")) == 1
    assert ask(text="marie.") != []
    assert ask(text="marie?") == [], "a fixed text is no expression"
    assert len(ask(text=r"\b(slow|such)\b", regex=True)) == 2
    at = int(datetime(2026, 2, 28, 10, 30, tzinfo=UTC).timestamp())
    assert len(ask(since=at)) == 2
    assert len(ask(until=at)) == 1
    with pytest.raises(Refused) as refused:
        ask(text="(", regex=True)
    assert refused.value.code == "expression"


def test_a_page_fits_into_a_reply(folder):
    (folder / "x.log").write_text("".join("é" * 3000 + f" {n}\n" for n in range(300)))
    page = reading.read(Query(source="file:x.log", limit=300))
    assert 10 < len(page.lines) < 60
    assert page.older
    assert all(len(line.text) == 2000 and line.text.endswith("…") for line in page.lines)


def test_lines_hide_nothing(folder):
    (folder / "x.log").write_bytes("\x1b[31mrouge\x1b[0m \u202ecod.exe \xff".encode() + b"\xff\n")
    (line,) = reading.read(Query(source="file:x.log")).lines
    assert line.text == "<U+001B>[31mrouge<U+001B>[0m <U+202E>cod.exe ÿ\ufffd"


# following


def drained(lines):
    """What comes until there is nothing for now."""
    return [line.text for line in iter(lambda: next(lines), None)]


def test_following_over_rotation_and_cutting(folder):
    path = folder / "x.log"
    path.write_text("before\n")
    lines = files.follow(path, "", wait=lambda _: None)
    assert drained(lines) == []
    with path.open("a") as file:
        file.write("one\ntw")
    assert drained(lines) == ["one"], "half a line waits"
    with path.open("a") as file:
        file.write("o\n")
    assert drained(lines) == ["two"]
    old = path.open("a")
    path.rename(folder / "x.log.1")
    assert drained(lines) == []
    old.write("last of the old\n")
    old.close()
    path.write_text("first of the new\n")
    assert [*drained(lines), *drained(lines)] == ["last of the old", "first of the new"]
    path.write_text("cut\n")
    assert [*drained(lines), *drained(lines)] == ["cut"]


def test_following_goes_on_behind_a_cursor(folder):
    path = folder / "x.log"
    path.write_text("a\nb\nc\n")
    page = reading.read(Query(source="file:x.log", limit=10))
    with path.open("a") as file:
        file.write("d\n")
    assert drained(files.follow(path, page.newer, wait=lambda _: None)) == ["d"]


def test_a_flood_is_cut_and_counted():
    batch = following.Batch()
    for number in range(1000):
        batch.add(Line(at=0, severity=6, unit="", text=f"line {number}", cursor=str(number)))
    told = batch.as_json()
    assert len(told["lines"]) == following.A_SECOND * following.EVERY
    assert len(told["lines"]) + told["skipped"] == 1000
    assert told["newer"] == "999"


# what lines say of themselves


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("2026-02-28T10:00:00Z x", "2026-02-28T10:00:00+00:00"),
        ("2026-02-28 10:00:00,123 ERROR x", None),
        ("2026-02-28T10:00:00.123456+01:00 host x", "2026-02-28T09:00:00+00:00"),
        ('1.2.3.4 - - [28/Feb/2026:10:00:00 +0100] "GET /"', "2026-02-28T09:00:00+00:00"),
    ],
)
def test_times(line, expected):
    found = guess.moment(line, NOW)
    assert found
    if expected:
        assert datetime.fromtimestamp(found // 1000, UTC).isoformat() == expected


def test_a_time_without_a_year_is_never_to_come():
    assert datetime.fromtimestamp(guess.moment("Mar  1 10:00:00 host x", NOW) / 1000).year == 2026
    assert datetime.fromtimestamp(guess.moment("Dec 31 10:00:00 host x", NOW) / 1000).year == 2025


@pytest.mark.parametrize(
    "line", ["", "hello", "Foo 99 10:00:00", "2026-99-99 10:00:00", "Feb 30 10:00:00 x", "9999-12-31T99:00:00Z"]
)
def test_no_time(line):
    assert guess.moment(line, NOW) == 0


@given(st.text(max_size=200))
def test_no_line_breaks_the_guess(line):
    guess.moment(line, NOW)
    guess.severity(line)
    guess.who(line)


def test_journal_entries():
    entry = {
        "__CURSOR": "s=1",
        "__REALTIME_TIMESTAMP": "1700000000123456",
        "PRIORITY": "3",
        "MESSAGE": "no",
        "UNIT": "a.service",
    }
    assert journal.parse(json.dumps(entry)) == Line(
        at=1700000000123, severity=3, unit="a.service", text="no", cursor="s=1"
    )
    as_bytes = journal.parse(json.dumps({**entry, "MESSAGE": [104, 105, 255]}))
    assert as_bytes
    assert as_bytes.text == "hi\ufffd"
    too_long = journal.parse(json.dumps({**entry, "MESSAGE": None}))
    assert too_long
    assert too_long.text == "(too long to be shown)"
    for nonsense in ("", "[]", "{}", '{"__CURSOR": 5}', "-- No entries --"):
        assert journal.parse(nonsense) is None


def test_what_the_server_says_is_one_word_of_journalctl():
    query = Query(source="journal", unit="--rotate", cursor="--vacuum-size=1", severity=3, since=5)
    for command in (journal.read_command(query), journal.follow_command(query)):
        assert all(word.startswith("--") and "vacuum" not in word.partition("=")[0] for word in command[1:])
        assert "--rotate" not in command
    assert "--unit=cups.service" in journal.read_command(Query(source="journal", unit="cups.service"))


def test_windows_events():
    found = windows.parse(
        '\ufeff[{"RecordId":7,"Level":2,"ProviderName":"Print","Id":372,"Message":"failed","At":"2026-02-28T10:00:00.1234567Z"},'
        '{"RecordId":6,"Level":4,"ProviderName":"x","Id":1,"Message":null,"At":"/Date(1700000000123)/"},{"Level":1}]'
    )
    assert [(line.severity, line.text, line.cursor) for line in found] == [
        (3, "failed (372)", "7"),
        (6, "event 1 (1)", "6"),
    ]
    assert found[1].at == 1700000000123
    assert windows.parse("") == []
    assert windows.parse("Get-WinEvent : no") == []
    query = Query(source="events:System", severity=3, cursor="41", since=1, text="x'; rm")
    command = windows.command(query, "System", newer=False, limit=5)[-1]
    assert "EventRecordID<41" in command
    assert "rm" not in command
    hostile = Query(source="events:System", cursor="1]]' ; Remove-Item '")
    assert "Remove-Item" not in windows.command(hostile, "System", newer=True, limit=5)[-1]


def test_wanted_unit_and_time():
    line = Line(at=5000, severity=6, unit="cups.service", text="x", cursor="")
    assert Wanted(Query(source="s", unit="cups"))(line)
    assert not Wanted(Query(source="s", since=6))(line)
    assert Wanted(Query(source="s", since=6)).too_old(line)
    assert Wanted(Query(source="s", since=6))(Line(at=0, severity=6, unit="", text="no time", cursor=""))
