"""The disposable root: real namespaces, for whoever runs the tests and, when that is root, for an ordinary user too."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from compagnon.app import demo_machine
from compagnon.app.demo_machine import DemoRoot, prepare

ROOT = Path(__file__).parents[2]
CODE = os.pathsep.join(str(ROOT / folder) for folder in ("platform", "agent"))
NOBODY = 61234  # an id that nobody has


@pytest.fixture(scope="module")
def data() -> Iterator[Path]:
    """A server's data folder, with a secret in it."""
    folder = Path(tempfile.mkdtemp(prefix="compagnon-demo-"))
    (folder / "secret_key").write_text("very secret")
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def machine(data: Path) -> DemoRoot:
    made = prepare(data / "machine", share=[data / "agent"])
    if made.kind == "none":
        pytest.skip(made.note)
    return made


def run(machine: DemoRoot, script: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*machine.argv_prefix, "/bin/sh", "-c", script], capture_output=True, text=True, timeout=timeout, check=False
    )


def test_commands_run_as_root_of_another_machine(machine: DemoRoot) -> None:
    done = run(machine, "id -u; hostname; echo $$; exit 7")
    assert done.stdout.split()[:2] == ["0", "poste-accueil"]
    assert int(done.stdout.split()[2]) < 100, "a process table of its own"
    assert done.returncode == 7


def test_the_servers_data_are_not_there(machine: DemoRoot, data: Path) -> None:
    done = run(machine, f"ls -A {data}; cat {data}/secret_key; cat /proc/1/root{data}/secret_key")
    assert done.stdout.split() == ["agent"]
    assert "very secret" not in done.stdout


def test_only_the_shared_folder_is_written_outside(machine: DemoRoot, data: Path) -> None:
    run(machine, f"echo kept > {data}/agent/state; echo changed > /etc/hostname; echo x > /tmp/left-behind-by-demo")
    assert (data / "agent/state").read_text() == "kept\n"
    assert Path("/etc/hostname").read_text() != "changed\n"
    assert not Path("/tmp/left-behind-by-demo").exists()


def test_the_machine_keeps_its_state_from_one_start_to_the_next(machine: DemoRoot) -> None:
    run(machine, "echo repaired > /srv/mark")
    assert run(machine, "cat /srv/mark").stdout == "repaired\n"


@pytest.mark.parametrize(
    "attack",
    [
        "date -s '2001-01-01 00:00'",
        "mknod /tmp/disk b 8 0",
        "echo 3 > /proc/sys/vm/drop_caches",
        "echo h > /proc/sysrq-trigger",
        f"touch {ROOT}/platform/written-by-demo",
        f"touch {demo_machine.__file__}",
    ],
)
def test_the_real_machine_cannot_be_changed(machine: DemoRoot, attack: str) -> None:
    before = time.time()
    assert run(machine, attack).returncode != 0
    assert abs(time.time() - before) < 60


def test_public_files_only_are_copied(machine: DemoRoot) -> None:
    done = run(machine, "cat /etc/shadow /etc/ssh/ssh_host_ed25519_key")
    shadow = Path("/etc/shadow")
    if os.access(shadow, os.R_OK):
        real = [line for line in shadow.read_text().splitlines() if line.startswith("root:")]
        assert real[0] not in done.stdout.splitlines() or real[0].startswith("root:*:")
    host_key = Path("/etc/ssh/ssh_host_ed25519_key")
    if os.access(host_key, os.R_OK):
        assert host_key.read_text() not in done.stdout


def greet(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection:
        connection.sendall(b"hello")


def test_the_network_is_the_machines(machine: DemoRoot) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        answer = threading.Thread(target=greet, args=(server,))
        answer.start()
        code = f"import socket; print(socket.create_connection(('127.0.0.1', {port})).recv(5))"
        done = subprocess.run(
            [*machine.argv_prefix, sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
        )
        answer.join(10)
    assert done.stdout == "b'hello'\n", done.stderr


def test_the_agent_can_be_imported_inside(machine: DemoRoot) -> None:
    code = "import compagnon_agent.protocol.checks, psutil, sys; print(sys.executable)"
    done = subprocess.run(
        [*machine.argv_prefix, sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.strip() == sys.executable, done.stderr


def started(machine: DemoRoot, mark: str) -> subprocess.Popen[bytes]:
    script = f"(exec -a {mark}-daemon sleep 600) & exec -a {mark} sleep 600"
    process = subprocess.Popen([*machine.argv_prefix, "/bin/bash", "-c", script])
    assert wait_for(lambda: alive(f"{mark}-daemon")), "it did not start"
    return process


def alive(mark: str) -> bool:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if (entry / "cmdline").read_bytes().startswith(f"{mark}\0".encode()):
                    return True
            except OSError:
                continue
    return False


def wait_for(condition: object, seconds: float = 20) -> bool:
    assert callable(condition)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


def test_everything_dies_with_the_launcher(machine: DemoRoot, data: Path) -> None:
    mark = f"compagnon-test-{os.getpid()}-kill"
    process = started(machine, mark)
    process.kill()
    process.wait(10)
    assert wait_for(lambda: not alive(mark) and not alive(f"{mark}-daemon"))
    assert str(data) not in Path("/proc/mounts").read_text()


def test_it_dies_when_its_parent_is_killed(machine: DemoRoot) -> None:
    mark = f"compagnon-test-{os.getpid()}-parent"
    argv = [*machine.argv_prefix, "/bin/bash", "-c", f"exec -a {mark} sleep 600"]
    parent = subprocess.Popen([sys.executable, "-c", "import subprocess, sys; subprocess.run(sys.argv[1:])", *argv])
    assert wait_for(lambda: alive(mark))
    parent.kill()
    parent.wait(10)
    assert wait_for(lambda: not alive(mark))


def test_sigterm_reaches_the_command(machine: DemoRoot) -> None:
    process = subprocess.Popen(
        [*machine.argv_prefix, "/bin/sh", "-c", "trap 'exit 5' TERM; echo up; while :; do sleep 0.1; done"],
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 5
    process.stdout.close()


def test_where_nothing_works_the_note_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_machine, "_try", lambda _: "unshare: Operation not permitted")
    monkeypatch.setattr(demo_machine, "_fill", lambda *_: None)
    made = prepare(tmp_path / "data/machine")
    assert (made.kind, made.argv_prefix) == ("none", [])
    assert "unshare: Operation not permitted" in made.note


# -- an ordinary user --------------------------------------------------------------------------------------------------


@pytest.fixture
def users_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="compagnon-user-"))
    os.chown(folder, NOBODY, NOBODY)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="the other tests ran as an ordinary user already")
def test_an_ordinary_user_gets_one_too(users_folder: Path) -> None:
    """With the system's Python: the one of the tests may be root's alone."""
    python = "/usr/bin/python3"
    if not Path(python).exists() or not os.access(ROOT / "platform", os.R_OK):
        pytest.skip("needs /usr/bin/python3")
    code = (
        "import subprocess, sys; from pathlib import Path; from compagnon.app.demo_machine import prepare\n"
        f"made = prepare(Path({str(users_folder / 'data/machine')!r}))\n"
        "print(made.kind, flush=True)\n"
        "if made.kind == 'none': sys.exit(made.note)\n"
        "script = 'id -u; service cups status; echo y > /etc/hosts && echo written; touch /usr/bin/x || echo kept'\n"
        "sys.exit(subprocess.run([*made.argv_prefix, '/bin/sh', '-c', script]).returncode)\n"
    )
    probe = "import sys; sys.exit(sys.version_info < (3, 11))"
    if as_user(python, probe).returncode:
        pytest.skip("needs Python 3.11 outside root's home")
    done = as_user(python, code)
    if done.stdout.startswith("none"):
        pytest.skip(done.stderr)
    assert done.stdout.splitlines() == ["userns", "0", "cups is not running.", "written", "kept"], done.stderr


def as_user(python: str, code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [python, "-c", code],
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": CODE, "HOME": "/nonexistent", "PYTHONDONTWRITEBYTECODE": "1"},
        cwd="/",
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
