"""``compagnon up`` started, stopped, killed and started again, as its users do it."""

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil
import pytest
from up_parts import Up, new_up, ordinary_user, wait_until

from compagnon.db.embedded import EmbeddedPostgres

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def up():
    with new_up() as made:
        yield made


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_starts_and_stops_without_leaving_a_process(up, number):
    up.started()
    assert any(process.name().startswith("postgres") for process in up.left())
    assert up.stop(number) == 0
    assert up.out.endswith("Stopped.\n")
    assert up.err == ""
    assert up.left() == []


def test_a_second_server_on_the_same_folder_is_refused(up, tmp_path):
    up.started()
    (tmp_path / "second").mkdir()
    second = Up(folder=tmp_path / "second", environ={"COMPAGNON_DATA_DIR": str(up.data)})
    assert f"Compagnon already runs on {up.data}" in second.refused()
    assert httpx.get(up.url + "/sign-in").status_code == 200


def test_a_live_page_does_not_hold_the_end_up(up):
    """An open stream of a page must not keep the server from stopping."""
    up.started()
    with httpx.Client(base_url=up.url) as client, client.stream("GET", "/sign-in"):
        assert up.stop(seconds=10) == 0


def test_a_ctrl_c_while_it_is_imported_ends_it_in_silence(up):
    for number in range(20):
        up.importing()
        time.sleep(0.03 * number)
        assert up.stop(signal.SIGINT) in (0, 130)
        assert up.err == ""
        assert up.left() == []


@pytest.mark.parametrize("after", [0.3, 0.8, 1.5, 2.5])
def test_stopped_while_it_starts_it_leaves_nothing_and_starts_again(up, after):
    up.importing()
    with pytest.raises(subprocess.TimeoutExpired):
        up.process.wait(after)
    up.stop(signal.SIGINT)
    assert "Traceback" not in up.err
    assert up.left() == []
    up.started()
    assert up.stop() == 0


@pytest.mark.parametrize("after", [0.8, 1.5, 2.5])
def test_killed_while_it_starts_for_the_first_time_it_starts_again(up, after):
    up.start()
    with pytest.raises(subprocess.TimeoutExpired):
        up.process.wait(after)
    up.kill()
    up.started()
    assert up.stop() == 0
    assert up.left() == []


def test_killed_it_finds_its_database_still_running(up):
    up.started()
    postmaster = Path(up.data / "pg/postmaster.pid").read_text().splitlines()[0]
    up.kill()
    assert psutil.pid_exists(int(postmaster)), "PostgreSQL outlives the server"
    up.started()
    assert Path(up.data / "pg/postmaster.pid").read_text().splitlines()[0] == postmaster
    assert up.stop() == 0
    assert up.left() == []


def test_after_a_power_cut_it_repairs_itself(up):
    """All killed at once; then the number of the old PostgreSQL belongs to a process of another kind."""
    up.started()
    up.kill()
    for process in up.left():
        process.kill()
    wait_until(lambda: not up.left(), what="all is dead")
    note = up.data / "pg/postmaster.pid"
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"]) as stranger:
        try:
            for file in (note, *EmbeddedPostgres(up.data / "pg")._socket_folder().glob(".s.PGSQL.5432.lock")):
                lines = file.read_text().splitlines()
                file.write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")
            up.started()
            assert note.read_text().splitlines()[0] != str(stranger.pid)
            assert up.stop() == 0
        finally:
            stranger.kill()


def test_the_demo_and_its_agent_end_with_it_and_come_back(up):
    up.arguments = ["--demo"]
    up.started()
    wait_until(lambda: "Agent enrolled" in up.out, seconds=60, what="the demo's agent is enrolled")
    wait_until(lambda: agents(up), what="the agent runs")
    up.kill()
    wait_until(lambda: not agents(up), what="the agent ended with the server that started it")
    up.started()
    wait_until(lambda: "Agent enrolled" in up.out, seconds=60)
    wait_until(lambda: agents(up))
    assert "/machines/1." in up.out, "the same machine again, not a new one"
    assert "ended with status" not in up.out
    assert up.stop() == 0
    assert up.left() == []


def agents(up: Up) -> list[psutil.Process]:
    found = []
    for process in up.left():
        try:
            words = process.cmdline()
        except psutil.Error:
            continue
        if "run" in words and "compagnon_agent.cli" in words and "compagnon.app.demo_root" not in words:
            found.append(process)
    return found


def test_killed_while_the_demo_is_loaded_it_goes_on_where_it_was(up):
    up.arguments = ["--demo"]
    up.start()
    wait_until(lambda: "Tables are up to date" in up.out, seconds=60)
    with pytest.raises(subprocess.TimeoutExpired):
        up.process.wait(2)
    up.kill()
    up.started()
    assert up.stop(seconds=90) == 0


def test_an_ordinary_user_can_do_all_of_it():
    with ordinary_user() as up:
        up.started()
        assert {process.username() for process in up.left()} == {"nobody"}
        assert {Path(entry.path).owner() for entry in os.scandir(up.data)} == {"nobody"}
        up.kill()
        up.started()
        assert up.stop() == 0
        assert up.left() == []


@pytest.mark.skipif(os.geteuid() != 0, reason="about what root's start changes")
def test_roots_start_changes_only_what_it_says(up):
    """PostgreSQL's own account may pass the folders above its files (o+x); nothing else is changed."""
    closed = up.folder / "closed"
    closed.mkdir(mode=0o700)
    (closed / "beside").mkdir(mode=0o700)
    up.environ = {"COMPAGNON_DATA_DIR": str(closed / "data")}
    accounts = Path("/etc/passwd").read_bytes()
    above = {folder: folder.stat().st_mode for folder in (up.folder, *up.folder.parents)}
    up.started()
    assert up.stop() == 0
    assert stat.S_IMODE(closed.stat().st_mode) == 0o701
    assert stat.S_IMODE((closed / "beside").stat().st_mode) == 0o700
    assert {folder: folder.stat().st_mode | stat.S_IXOTH for folder in above} == {
        folder: mode | stat.S_IXOTH for folder, mode in above.items()
    }
    assert Path("/etc/passwd").read_bytes() == accounts
    assert sorted(entry.name for entry in up.folder.iterdir()) == ["closed", "err", "out"]
