"""Where the agent keeps its state, and the few knobs that the environment may turn (for tests and odd networks)."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


class SettingsError(ValueError):
    """A setting is not usable; the text is one sentence for a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Times in seconds, ``memory_cap`` in MiB. ``shell``: of the terminal, otherwise the account's login shell."""

    folder: Path
    backoff_base: float = 1.0
    backoff_cap: float = 12.0
    facts_every: float = 900.0
    session_grace: float = 300.0
    releases_every: float = 3600.0
    healthy_after: float = 60.0
    memory_every: float = 10.0
    memory_cap: float = 256.0
    shell: str | None = None
    root_note: str = ""

    @classmethod
    def load(
        cls, environ: Mapping[str, str] = os.environ, *, folder: Path | None = None, root_note: str = ""
    ) -> Settings:
        """``COMPAGNON_AGENT_…`` variables; ``folder`` (``--state-dir``) wins over ``COMPAGNON_AGENT_DIR``."""
        given = environ.get("COMPAGNON_AGENT_DIR")
        return cls(
            folder=(folder or (Path(given) if given else default_folder(environ))).expanduser().absolute(),
            backoff_base=_seconds(environ, "BACKOFF_BASE"),
            backoff_cap=_seconds(environ, "BACKOFF_CAP"),
            facts_every=_seconds(environ, "FACTS_EVERY"),
            session_grace=_seconds(environ, "SESSION_GRACE"),
            releases_every=_seconds(environ, "RELEASES_EVERY"),
            healthy_after=_seconds(environ, "HEALTHY_AFTER"),
            memory_every=_seconds(environ, "MEMORY_EVERY"),
            memory_cap=_seconds(environ, "MEMORY_CAP"),
            shell=environ.get("COMPAGNON_AGENT_SHELL") or None,
            root_note=root_note[:500],
        )


_DEFAULTS: Mapping[str, float] = {
    "BACKOFF_BASE": 1.0, "BACKOFF_CAP": 12.0, "FACTS_EVERY": 900.0, "SESSION_GRACE": 300.0,
    "RELEASES_EVERY": 3600.0, "HEALTHY_AFTER": 60.0, "MEMORY_EVERY": 10.0, "MEMORY_CAP": 256.0,
}  # fmt: skip


def _seconds(environ: Mapping[str, str], name: str) -> float:
    raw = environ.get(f"COMPAGNON_AGENT_{name}")
    if not raw:
        return _DEFAULTS[name]
    try:
        value = float(raw)
    except ValueError:
        value = -1.0
    if not 0.01 <= value <= 86_400:
        raise SettingsError(f"COMPAGNON_AGENT_{name} must be a number between 0.01 and 86400")
    return value


def default_folder(environ: Mapping[str, str]) -> Path:
    if sys.platform == "win32":
        return Path(environ.get("PROGRAMDATA", r"C:\ProgramData")) / "compagnon-agent"
    if os.geteuid() == 0:
        return Path("/var/lib/compagnon-agent")
    state = environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local/state") / "compagnon-agent"


def private_folder(folder: Path) -> Path:
    """Make ``folder`` (0700), or make sure that it is ours alone; :class:`SettingsError` when that cannot be."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
        if sys.platform != "win32" and status.st_uid != os.geteuid():
            raise SettingsError(f"{folder} belongs to another account: run the agent as that account")
        if sys.platform != "win32" and status.st_mode & 0o077:
            folder.chmod(0o700)
    except OSError as fault:
        raise SettingsError(f"{folder} cannot be used: {fault.strerror}") from None
    return folder


def write_private(path: Path, content: bytes) -> None:
    """Replace ``path`` at once and for good (0600, fsynced): never half a file, never readable by others."""
    temporary = path.with_name(f".{path.name}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
