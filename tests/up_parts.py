"""``compagnon up`` in its own process, as its users start it, for the tests of starts, stops and kills."""

from __future__ import annotations

import os
import re
import shutil
import signal
import site
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest

ADDRESS = re.compile(r"^  Compagnon: (http\S+)$", re.MULTILINE)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def wait_until(condition: Callable[[], object], *, seconds: float = 30, what: str = "") -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"it did not happen in {seconds} s: {what or condition}"
        time.sleep(0.02)


@dataclass(slots=True, kw_only=True)
class Up:
    """One ``compagnon up`` on one data folder; ``start`` may be called again after an end."""

    folder: Path
    arguments: Sequence[str] = ()
    environ: Mapping[str, str] = field(default_factory=dict)
    command: Sequence[str] = (sys.executable,)
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def environment(self) -> dict[str, str]:
        own = {"COMPAGNON_DATA_DIR": str(self.data), "COMPAGNON_PORT": str(self.port), **self.environ}
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder), "LANG": "C.UTF-8", **own}

    def start(self) -> None:
        """Its output goes to files; it leads a session of its own, like one started from a terminal of its own."""
        with (self.folder / "out").open("wb") as out, (self.folder / "err").open("wb") as err:
            self.process = subprocess.Popen(
                [*self.command, "-m", "compagnon.app.cli", "up", *self.arguments],
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                cwd=self.folder,
                start_new_session=True,
            )

    def started(self, *, seconds: float = 90) -> str:
        """Start and wait until it says where it is; that address, which answers."""
        if self.process is None or self.process.poll() is not None:
            self.start()
        wait_until(lambda: ADDRESS.search(self.out) or self.ended, seconds=seconds, what="the server says where it is")
        found = ADDRESS.search(self.out)
        assert found, self.err
        assert httpx.get(found.group(1) + "/sign-in").status_code == 200
        return found.group(1)

    def refused(self, *, seconds: float = 40) -> str:
        """Start and expect a refusal: exit status 1 and one clear sentence on stderr, which is returned."""
        self.start()
        assert self.process is not None
        assert self.process.wait(seconds) == 1, self.out + self.err
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("compagnon: ")
        return lines[0]

    def importing(self) -> None:
        """Start, and wait until its own code runs: before that a signal meets the bare interpreter."""
        self.start()
        wait_until(self._has_loaded_a_library, what="it imports its libraries")

    def _has_loaded_a_library(self) -> bool:
        assert self.process is not None
        assert not self.ended, self.err
        return "site-packages" in Path(f"/proc/{self.process.pid}/maps").read_text()

    @property
    def out(self) -> str:
        return (self.folder / "out").read_text()

    @property
    def err(self) -> str:
        return (self.folder / "err").read_text()

    @property
    def ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def kill(self) -> None:
        """As a power cut would, for this process only."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self, number: int = signal.SIGINT, *, seconds: float = 30) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(seconds)

    def left(self) -> list[psutil.Process]:
        """Every living process that has to do with the data folder: server, PostgreSQL, agent."""
        return [process for process in psutil.process_iter() if _mentions(process, str(self.data))]

    def clean(self) -> None:
        """Nothing is left behind by a test, whatever went wrong in it."""
        for process in self.left():
            process.kill()
        if self.process is not None:
            self.process.wait()


def _mentions(process: psutil.Process, text: str) -> bool:
    try:
        if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
            return False
        return any(text in word for word in [*process.cmdline(), *process.environ().values()])
    except psutil.Error:
        return False


@contextmanager
def new_up() -> Iterator[Up]:
    """In a folder of its own: pytest closes its own folders again whenever another session starts."""
    folder = Path(tempfile.mkdtemp(prefix="compagnon-up-"))
    up = Up(folder=folder)
    try:
        yield up
    finally:
        up.clean()
        shutil.rmtree(folder, ignore_errors=True)


def as_url(conninfo: str) -> str:
    """An address for the settings, of a server behind a socket."""
    parts = psycopg.conninfo.conninfo_to_dict(conninfo)
    return f"postgresql://{parts['user']}@/{parts['dbname']}?host={parts['host']}"


# -- an ordinary user --------------------------------------------------------------------------------------------------

CODE = Path(__file__).parents[1]


@contextmanager
def ordinary_user() -> Iterator[Up]:
    """A folder of an ordinary user's own and the way to start Compagnon as that user; skips where root is not there."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to become another user; whoever runs the tests is an ordinary user already")
    setpriv = shutil.which("setpriv") or pytest.skip("needs setpriv (util-linux)")
    become = [setpriv, "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--"]
    folder = Path(tempfile.mkdtemp(prefix="compagnon-user-"))
    shutil.chown(folder, "nobody", "nogroup")
    up = Up(folder=folder, command=[*become, *_python_for_everyone(become)])
    up.environ = {"PYTHONPATH": ":".join([*site.getsitepackages(), *(str(CODE / part) for part in SOURCES)])}
    try:
        yield up
    finally:
        up.clean()
        shutil.rmtree(folder, ignore_errors=True)


SOURCES = (".", "platform", "agent")


def _python_for_everyone(become: Sequence[str]) -> list[str]:
    """An interpreter of this version that others may start: the one of the tests may lie in root's home."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for python in (sys.executable, f"/usr/bin/{version}", f"/usr/local/bin/{version}"):
        tried = subprocess.run([*become, python, "-c", ""], capture_output=True, check=False)
        if tried.returncode == 0:
            return [python]
    pytest.skip(f"no {version} that an ordinary user may start")
