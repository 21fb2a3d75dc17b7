"""The table of processes: shares, what is masked and cut, and who is left alone."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import psutil
import pytest

from compagnon_agent.processes import ending, listing
from compagnon_agent.processes.ending import Trouble, Which
from compagnon_agent.processes.listing import Look, Row
from compagnon_agent.processes.secrets import HIDDEN, masked
from compagnon_agent.protocol.processes import Turn


def which(process: subprocess.Popen) -> Which:
    return Which(pid=process.pid, started=int(psutil.Process(process.pid).create_time()))


@pytest.fixture
def run():
    started = []

    def begin(*words: str) -> subprocess.Popen:
        started.append(subprocess.Popen(words, stdout=subprocess.PIPE))
        while not psutil.Process(started[-1].pid).cmdline():  # it is still becoming the program
            time.sleep(0.01)
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def test_who_works_has_a_share_and_who_sleeps_has_none(run):
    busy = run(sys.executable, "-c", "while True: pass")
    idle = run("sleep", "300")
    look = Look()
    look.table()
    time.sleep(1.0)
    rows = {row.pid: row for row in look.table().rows}
    assert rows[busy.pid].cpu > 0
    assert rows[idle.pid].cpu == 0
    assert rows[busy.pid].parent == os.getpid()
    assert rows[busy.pid].command == f"{sys.executable} -c 'while True: pass'"


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["curl", "--password", "hunter2", "https://x"], ["curl", "--password", HIDDEN, "https://x"]),
        (["tool", "--api-key=abc", "-v"], ["tool", f"--api-key={HIDDEN}", "-v"]),
        (["tool", "--db-password=abc"], ["tool", f"--db-password={HIDDEN}"]),
        (["/usr/bin/mysql", "-uroot", "-phunter2"], ["/usr/bin/mysql", "-uroot", f"-p{HIDDEN}"]),
        (["sshpass", "-p", "hunter2", "ssh"], ["sshpass", "-p", HIDDEN, "ssh"]),
        (["env", "PGPASSWORD=hunter2"], ["env", f"PGPASSWORD={HIDDEN}"]),
        (["git", "clone", "https://u:tok3n@host/x"], ["git", "clone", f"https://u:{HIDDEN}@host/x"]),
        (["curl", "-H", "Authorization: Bearer abc"], ["curl", "-H", f"Authorization: Bearer {HIDDEN}"]),
        (["ssh", "-p", "22", "host"], ["ssh", "-p", "22", "host"]),
        (["tool", "--password", "--verbose"], ["tool", "--password", "--verbose"]),
        (["passwd", "marie"], ["passwd", "marie"]),
        ([], []),
    ],
)
def test_secrets_of_a_command_line(words, shown):
    assert masked(words) == shown


def test_a_command_line_hides_nothing_and_moves_nothing():
    assert listing.command_line(["a", "b c", "\u202egnp.exe", "x\ny", ""]) == "a 'b c' <U+202E>gnp.exe x<U+000A>y"
    assert listing.command_line(["mysql", "-phunter2"]) == f"mysql -p{HIDDEN}"


def test_the_table_fits_into_a_reply(monkeypatch):
    rows = [
        Row(
            pid=n, parent=1, name="n" * 80, user="u" * 80, cpu=n % 7, memory=n, started=1, status="s", command="é" * 200
        )
        for n in range(1, 2000)
    ]
    kept = listing.fitting(rows)
    assert 100 < len(kept) < 1000
    assert kept[0].cpu == 6, "those that use most stay"
    assert len(listing.fitting(rows[:50])) == 50


def test_asked_to_end_it_ends(run):
    assert ending.end(which(run("sleep", "300"))) is True


def test_who_does_not_want_to_end_is_killed_only_when_told(run, monkeypatch):
    monkeypatch.setattr(ending, "PATIENCE", 0.3)
    stubborn = run("sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done")
    assert stubborn.stdout.readline() == b"ready\n"
    assert ending.end(which(stubborn)) is False
    assert stubborn.poll() is None
    assert ending.kill(which(stubborn)) is True


def test_another_process_with_the_number_is_left_alone(run):
    sleeper = run("sleep", "300")
    meant = Which(pid=sleeper.pid, started=which(sleeper).started - 5)
    for act in (ending.end, ending.kill, ending.closely):
        with pytest.raises(Trouble) as refused:
            act(meant)
        assert refused.value.code == "reused"
    assert sleeper.poll() is None


@pytest.mark.parametrize(("pid", "code"), [(1, "first"), (os.getpid(), "agent")], ids=["first", "agent"])
def test_what_keeps_the_machine_and_the_session_alive_is_left_alone(pid, code):
    meant = Which(pid=pid, started=int(psutil.Process(pid).create_time()))
    for act in (ending.end, ending.kill, lambda one: ending.prioritise(later(one))):
        with pytest.raises(Trouble) as refused:
            act(meant)
        assert refused.value.code == code


def later(one: Which, turn: Turn = Turn.LOW) -> ending.Prioritise:
    return ending.Prioritise(pid=one.pid, started=one.started, turn=turn)


def test_after_the_others(run):
    sleeper = run("sleep", "300")
    ending.prioritise(later(which(sleeper)))
    assert psutil.Process(sleeper.pid).nice() == 10


def test_closely(run):
    sleeper = run("sleep", "299")
    facts = ending.closely(which(sleeper))
    assert facts["command"] == "sleep 299"
    assert facts["threads"] == 1
    assert str(facts["program"]).endswith("sleep")
