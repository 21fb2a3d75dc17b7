"""The lines of an agent's own record count up for ever, so that a cut or rewritten record shows."""

from __future__ import annotations

import json

import pytest

from compagnon_agent import audit
from compagnon_agent.audit import AUDIT_FILE, KEPT, OLDER, AuditLog
from compagnon_agent.protocol.wire import dumps


def written(folder, count, start=1):
    log = AuditLog(folder)
    for number in range(start, start + count):
        log.record("decision", {"number": number, "said": "x" * 20})
    return log


def lines(folder, name=AUDIT_FILE):
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


def without_numbers(folder):
    """As a version of the agent wrote it that does not count: the same chain rules, no numbers."""
    previous, kept = audit.FIRST, []
    for body in lines(folder):
        body = {name: value for name, value in body.items() if name not in ("hash", "number")} | {"previous": previous}
        previous = audit._hash(body)
        kept.append(dumps({**body, "hash": previous}))
    (folder / AUDIT_FILE).write_text("".join(line + "\n" for line in kept))


def test_numbers_go_on_after_a_restart_and_the_chain_holds(tmp_path):
    assert AuditLog(tmp_path).number == 0
    first = written(tmp_path, 3)
    again = AuditLog(tmp_path)
    assert (again.number, again.head) == (first.number, first.head) == (3, first.head)
    again.record("restart", {})
    assert [body["number"] for body in lines(tmp_path)] == [1, 2, 3, 4]
    assert audit.verify(tmp_path) == (4, None)


def test_a_line_is_what_the_file_says_now(tmp_path):
    log = written(tmp_path, 5)
    heads = {body["number"]: body["hash"] for body in lines(tmp_path)}
    assert {number: log.line(number).hash for number in heads} == heads
    assert (log.line(6).hash, log.line(6).gone) == ("", False)
    path = tmp_path / AUDIT_FILE
    path.write_text(path.read_text().replace('"number":3,"said"', '"number":33,"said"'))  # its hash stays as it was
    assert log.line(3).hash not in {"", heads[3]}, "the hash is made of what is there, not read from it"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:2]))
    assert log.line(3) == audit.Found(hash="")
    assert log.line(2).hash == heads[2]


def test_a_cut_file_begins_again_from_where_it_was_cut(tmp_path):
    log = written(tmp_path, 5)
    path = tmp_path / AUDIT_FILE
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:2]))
    cut = AuditLog(tmp_path)
    assert cut.number == 2 < log.number
    cut.record("decision", {})
    assert cut.line(3).hash not in {"", log.line(5).hash}


def test_numbers_go_on_over_files_until_the_oldest_is_dropped(tmp_path, monkeypatch):
    monkeypatch.setattr(audit, "FULL", 1000)
    log = written(tmp_path, 60)
    assert all((tmp_path / name).exists() for name in OLDER)
    oldest = lines(tmp_path, OLDER[KEPT - 1])[0]["number"]
    assert oldest > 1
    assert log.line(oldest).hash == lines(tmp_path, OLDER[KEPT - 1])[0]["hash"]
    assert log.line(oldest - 1) == audit.Found(hash="", gone=True)
    assert log.line(log.number + 1) == audit.Found(hash="", gone=False)
    assert AuditLog(tmp_path).number == log.number
    (tmp_path / OLDER[0]).unlink()
    missing = [number for number in range(oldest, log.number) if not log.line(number).hash]
    assert missing
    assert not any(log.line(number).gone for number in missing), "a file taken out of the middle is not age"


def test_an_older_version_left_lines_without_numbers(tmp_path):
    written(tmp_path, 4)
    without_numbers(tmp_path)
    log = AuditLog(tmp_path)
    assert log.number == 0, "the last line has none: nothing is told of it"
    log.record("restart", {})
    assert (log.number, audit.verify(tmp_path)) == (1, (5, None))
    assert log.line(1).hash == log.head


@pytest.mark.parametrize("count", [1, 3])
def test_back_to_an_older_version_and_forth_again(tmp_path, count):
    log = written(tmp_path, 7)
    told = log.line(7).hash
    path, previous = tmp_path / AUDIT_FILE, log.head
    for _ in range(count):
        body = {"at": "2026-01-01T00:00:00.000+00:00", "event": "old", "details": {"number": 99}, "previous": previous}
        previous = audit._hash(body)
        path.write_text(path.read_text() + dumps({**body, "hash": previous}) + "\n")
    log = AuditLog(tmp_path)
    assert (log.number, log.head) == (0, previous)
    log.record("new", {})
    assert log.number == 8, "never a number that was given out before"
    assert log.line(7).hash == told
    assert audit.verify(tmp_path)[1] is None


def test_half_a_line_after_a_power_cut(tmp_path):
    written(tmp_path, 3)
    path = tmp_path / AUDIT_FILE
    path.write_text(path.read_text() + '{"at":"2026-01-01T00')
    log = AuditLog(tmp_path)
    assert log.number == 3
    log.record("decision", {})
    assert (log.number, AuditLog(tmp_path).number) == (4, 4)
