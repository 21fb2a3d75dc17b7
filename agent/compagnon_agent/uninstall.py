"""``uninstall``: the service, the agent's files, and what its installer made. Nothing that anybody else put there."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

from . import agreements, audit, identity, local, policy
from .launcher import STATE_FILE
from .release_key import RELEASE_KEY_FILE
from .service.install import remove
from .settings import Settings
from .slots import Slots
from .store import STORE_FILE

LINK_FILE = "link"
"""Where the installer notes the link that it made."""

_MADE = ("slots", "venv", "launcher.py", STATE_FILE, f".{STATE_FILE}.new", "compagnon-agent", "compagnon-agent.cmd")


def remove_service(settings: Settings) -> list[str]:
    return [str(path) for path in remove(settings)]


def remove_state(folder: Path) -> None:
    """Only what the agent made: the folder may hold other things."""
    for path in own_files(folder):
        path.unlink(missing_ok=True)


def own_files(folder: Path) -> list[Path]:
    private = (
        identity.KEY_FILE,
        identity.NEXT_KEY_FILE,
        identity.IDENTITY_FILE,
        RELEASE_KEY_FILE,
        policy.POLICY_FILE,
        agreements.AGREEMENT_FILE,
    )
    kept = (audit.AUDIT_FILE, *audit.OLDER, STORE_FILE, f"{STORE_FILE}-wal", f"{STORE_FILE}-shm", local.SOCKET_FILE)
    return [folder / name for name in (*private, *kept)]


def remove_folder(folder: Path) -> None:
    """The state folder itself, if nothing of anybody else's is in it."""
    (folder / "agent.lock").unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        folder.rmdir()


def remove_installation() -> list[str]:
    """What the installer made: versions, environment, launcher, the command. Nothing where there was none."""
    slots = Slots.find()
    if slots is None:
        return []
    removed = [str(slots.home), *_remove_link(slots.home)]
    for name in _MADE:
        path = slots.home / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        slots.home.rmdir()
    return removed


def _remove_link(home: Path) -> list[str]:
    """The link that the installer noted, if it still leads here."""
    note = home / LINK_FILE
    try:
        link = Path(note.read_text(encoding="utf-8").rstrip("\n"))
        ours = link.is_symlink() and link.resolve() == (home / "compagnon-agent").resolve()
        note.unlink()
        if ours:
            link.unlink()
    except OSError:
        return []
    return [str(link)] if ours else []
