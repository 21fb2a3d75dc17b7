"""What must not bring an agent down: a full disk, its own memory, a server that sends rubbish."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest
from websockets.exceptions import ConnectionClosed

from compagnon_agent import audit
from compagnon_agent.audit import AuditLog
from compagnon_agent.authorise import Grant
from compagnon_agent.protocol import messages
from compagnon_agent.protocol.checks import parse_checks
from compagnon_agent.protocol.messages import (
    CheckRequest,
    CheckResults,
    ConsentAnswer,
    ConsentKind,
    ConsentSource,
    StepAck,
    StepResult,
    StepState,
)
from compagnon_agent.store import Store

MIB = 1024 * 1024


@pytest.fixture
def small_disk(folder: Path) -> Iterator[Path]:
    """The agent's folder is a disk of its own, of 1 MiB."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m,mode=0700", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("only root can mount a small disk")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Take all that is left, to the last byte."""
    filler = folder / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    with contextlib.suppress(OSError), filler.open("ab", buffering=0) as file:
        while True:
            file.write(b"x")
    return filler


async def start(runner, log: Path) -> None:
    """Like ``runner.start``, with its log on another disk."""
    with log.open("ab") as output:
        runner.process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "compagnon_agent.cli", "run", env=runner.environment,
            stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output,
        )  # fmt: skip


async def test_a_full_disk_stops_what_must_be_written_down_and_nothing_else(
    small_disk, speaking_server, runner, make, tmp_path
):
    server, log = speaking_server, tmp_path / "agent.log"
    await start(runner, log)
    await server.connected()
    manifest = make.manifest("true")
    await server.send(make.consent(manifest))
    assert (await server.expect(ConsentAnswer)).granted
    running = make.execute(make.manifest("sleep 1; echo done"))
    await server.send(make.consent(make.manifest("sleep 1; echo done")))
    assert (await server.expect(ConsentAnswer)).granted
    await server.send(running)
    with contextlib.closing(sqlite3.connect(small_disk / "agent.db")) as db:
        await server.until(lambda: db.execute("SELECT count(*) FROM attempts").fetchone()[0])
    filler = fill(small_disk)

    done = await server.expect(StepResult)  # what ran already is reported, although it cannot be written down
    assert (done.state, "done" in done.output) == (StepState.DONE, True)

    refused_step = make.execute(manifest)
    await server.send(refused_step)
    refused = await server.expect(StepResult, where=lambda item: item.attempt_id == refused_step.attempt_id)
    assert refused.state is StepState.REFUSED
    assert "cannot write down" in refused.reason
    await server.send(make.consent(manifest))
    answer = await server.expect(ConsentAnswer)
    assert not answer.granted
    assert "cannot write down" in answer.reason
    checks = parse_checks({"file": {"/etc/hostname": {"exists": True}}})
    for number in range(40):  # a few more lines fit into the last block of the record
        await server.send(CheckRequest(request_id=f"check-{number:03}", checks=checks, parameters={}, timeout=10))
        results = await server.expect(CheckResults)
        if results.results[0].reason:
            break
    assert "cannot write down" in results.results[0].reason
    status, said = await runner.command("withdraw")  # taking back works always
    assert (status, "taken back: 2" in said) == (0, True), said
    assert (server.connections, runner.process.returncode) == (1, None)

    filler.unlink()
    await server.send(StepAck(attempt_id=running.attempt_id))
    await server.send(make.execute(manifest))
    assert (await server.expect(StepResult)).needs_consent  # it stayed taken back
    await server.send(make.consent(manifest))
    assert (await server.expect(ConsentAnswer)).granted
    await server.send(make.execute(manifest))
    assert (await server.expect(StepResult)).state is StepState.DONE
    assert server.connections == 1
    assert audit.verify(small_disk)[1] is None
    events = [json.loads(line)["event"] for line in (small_disk / "audit.jsonl").read_text().splitlines()]
    assert "consent.withdrawn" in events  # written when there was room again
    await runner.stop()
    assert "Traceback" not in log.read_text()


def test_half_a_line_on_a_full_disk_breaks_no_chain(tmp_path, monkeypatch):
    log = AuditLog(tmp_path)
    log.record("one", {})
    real, full = os.fsync, True

    def fsync(descriptor: int) -> None:
        if full:
            raise OSError(28, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match="No space"):
        log.record("two", {})
    for number in range(audit.UNSAID + 50):
        log.note("happened", {"number": number})
    assert audit.verify(tmp_path) == (1, None)
    full = False
    log.record("three", {})
    events = [json.loads(line)["event"] for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    assert events[0] == "one"
    assert events[-1] == "three"
    assert events.count("happened") == audit.UNSAID - 1
    assert events[-2] == "audit.lost"
    assert audit.verify(tmp_path)[1] is None


def test_what_is_taken_back_stays_taken_back_on_a_full_disk(tmp_path):
    store = Store(tmp_path)
    now = datetime.now(UTC)

    def grant(session: str) -> Grant:
        return Grant(
            kind=ConsentKind.SESSION,
            ticket_id=1,
            until=now + timedelta(hours=1),
            source=ConsentSource.DIALOG,
            session_id=session,
            capability="terminal",
        )

    store.add_grant(grant("a" * 32))
    store.add_grant(grant("b" * 32))
    store.db.execute("PRAGMA query_only = ON")  # every write fails, as on a full disk
    store.withdraw_session("a" * 32)
    assert [found.session_id for found in store.grants(now)] == ["b" * 32]
    assert store.withdraw_all() == 1
    assert store.grants(now) == []
    with pytest.raises(sqlite3.Error):
        store.add_grant(grant("c" * 32))
    store.db.execute("PRAGMA query_only = OFF")
    store.add_grant(grant("c" * 32))
    assert [found.session_id for found in store.grants(now)] == ["c" * 32]
    store.close()
    again = Store(tmp_path)
    assert [found.session_id for found in again.grants(now)] == ["c" * 32]
    again.close()


def test_a_result_that_cannot_be_written_is_told_and_written_later(tmp_path):
    store = Store(tmp_path)
    now = datetime.now(UTC)
    assert store.start("attempt-1", now)
    store.db.execute("PRAGMA query_only = ON")
    result = StepResult(attempt_id="attempt-1", state=StepState.DONE, started=now, ended=now)
    store.finish(result)
    assert store.attempt("attempt-1").result == result
    assert [found.attempt_id for found in store.pending()] == ["attempt-1"]
    store.db.execute("PRAGMA query_only = OFF")
    assert len(store.pending()) == 1
    store.acknowledge("attempt-1")
    assert store.pending() == []
    store.close()
    again = Store(tmp_path)
    assert again.close_interrupted(now) == []
    again.close()


async def test_an_agent_that_grows_starts_itself_again(speaking_server, runner, folder):
    runner.extra |= {"COMPAGNON_AGENT_MEMORY_CAP": "1", "COMPAGNON_AGENT_MEMORY_EVERY": "0.1"}
    await runner.start()
    pid = runner.process.pid
    await speaking_server.connected(3)
    assert (runner.process.pid, runner.process.returncode) == (pid, None)
    assert "MiB of memory, 1 are allowed" in (folder / "audit.jsonl").read_text()
    assert await runner.stop() == 0


RUBBISH: tuple[str | bytes, ...] = (
    b"\x00\xff" * 1000,
    " ",
    "{",
    "null",
    '{"v": 1}',
    '{"v": 99, "type": "welcome"}',
    '{"v": 1, "type": "execute"}',
    '{"v": 1, "type": "release_offer", "manifest": "{", "signature": "AA=="}',
    '{"v": 1, "type": "welcome", "signature": "AAAA"}',
    '{"v": 1, "type": "consent_request", "request_id": {}}',
    "[" * 100_000,
    json.dumps({"v": 1, "type": "check_request", "checks": [[]] * 5000}),
    "x" * (2 * MIB),
)


async def test_rubbish_from_the_server_costs_connections_and_nothing_else(speaking_server, runner, make, folder):
    server = speaking_server
    await runner.start()
    await server.connected()
    for number, rubbish in enumerate(RUBBISH, 1):
        control = server.control
        with contextlib.suppress(ConnectionClosed):
            await control.send(rubbish)
        await server.connected(number + 1)
    assert runner.process.returncode is None

    # ... and much that is well formed: unknown, doubled, too many at once, about nothing.
    checks = parse_checks({"file": {"/etc/hostname": {"exists": True}}})
    step = make.execute(make.manifest("echo once"))
    await server.send(make.consent(make.manifest("echo once")))
    assert (await server.expect(ConsentAnswer)).granted
    for number in range(400):
        await server.control.send(json.dumps({"v": 1, "type": f"from the future {number}", "x": "y" * 1000}))
        await server.send(CheckRequest(request_id=f"check-{number:06}", checks=checks, parameters={}, timeout=10))
        await server.send(messages.Cancel(id=f"nothing-{number:06}"))
        await server.send(step)
    results = await server.until(lambda: [item for item in server.inbox if isinstance(item, StepResult)])
    assert {item.output for item in results} == {"once\n"}
    await server.until(lambda: any(isinstance(item, messages.Problem) for item in server.inbox))
    last = make.execute(make.manifest("echo once"))
    await server.send(last)
    await server.expect(StepResult, where=lambda item: item.attempt_id == last.attempt_id)
    assert psutil.Process(runner.process.pid).memory_info().rss < 80 * MIB
    with contextlib.closing(sqlite3.connect(folder / "agent.db")) as db:
        assert db.execute("SELECT count(*) FROM attempts").fetchone()[0] == 2
