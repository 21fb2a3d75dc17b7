"""``compagnon-agent self-test``: would this version work here? Asked of a new version before it is tried.

It imports itself whole, reads this machine's identity, policy and a copy of its store, and shakes hands with the server
on a connection of its own, while the version in force goes on working.
"""

from __future__ import annotations

import importlib
import pkgutil
import sqlite3
import tempfile
from pathlib import Path

from . import __path__ as package_path
from . import __version__, identity, policy
from .link import dial, shake_hands
from .protocol.messages import Revoked
from .settings import Settings, SettingsError
from .store import STORE_FILE, Store

PURPOSE = "self-test"
PATH = "/agent/self-test"
OPTIONAL = frozenset({"tkinter", "_tkinter", "mss", "PIL", "winpty", "winreg"})
"""What some modules import and a machine may lack: they are not used there."""


class Failed(Exception):
    """The version does not work here; the text says why."""


async def self_test(settings: Settings, expected: str = "") -> None:
    """Raises :class:`Failed`, and whatever else goes wrong."""
    if expected and expected != __version__:
        raise Failed(f"this is version {__version__}, not {expected}")
    _import_all()
    try:
        known = identity.load(settings.folder)
        policy.load(settings.folder)
    except (SettingsError, policy.PolicyError) as fault:
        raise Failed(str(fault)) from None
    if known is None:
        raise Failed("this machine is not enrolled")
    _open_copy(settings.folder)
    async with dial(known, PATH) as socket:
        _, verdict = await shake_hands(socket, known, PURPOSE, ())
    if isinstance(verdict, Revoked):
        raise Failed("the server does not serve this machine")


def _import_all() -> None:
    for module in pkgutil.walk_packages(package_path, "compagnon_agent."):
        if not module.name.endswith(".__main__"):
            _import(module.name)


def _import(name: str) -> None:
    try:
        importlib.import_module(name)
    except Exception as fault:
        lacking = (getattr(fault, "name", None) or "").partition(".")[0]
        if not isinstance(fault, ImportError) or lacking not in OPTIONAL:
            raise Failed(f"{name} cannot be imported: {type(fault).__name__}: {fault}") from None


def _open_copy(folder: Path) -> None:
    """A copy: a new version may change the store's tables, and the old one still works with them."""
    if not (folder / STORE_FILE).exists():
        return
    with tempfile.TemporaryDirectory() as place:
        source = sqlite3.connect(f"{(folder / STORE_FILE).as_uri()}?mode=ro", uri=True)
        target = sqlite3.connect(Path(place) / STORE_FILE)
        try:
            source.backup(target)
        finally:
            source.close()
            target.close()
        Store(Path(place)).close()
