"""The two places for versions of the agent, beside the launcher that starts one of them.

They are there when the agent was installed with its installer; whoever installed it otherwise keeps it up to date
otherwise.
"""

from __future__ import annotations

import io
import os
import shutil
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from .launcher import SLOTS, read_state, write_state
from .protocol.releases import ReleaseManifest

PACKAGE = "compagnon_agent"
FILES_LIMIT = 2000
UNPACKED_LIMIT = 32 * 1024 * 1024
"""Bytes of all files of a version together."""


class BadRelease(Exception):
    """The file is not a version of the agent; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slots:
    """``own`` is the slot of this process."""

    home: Path
    own: str

    @classmethod
    def find(cls, environ: Mapping[str, str] = os.environ) -> Slots | None:
        """None when the agent was not started by its launcher."""
        home, own = environ.get("COMPAGNON_AGENT_HOME"), environ.get("COMPAGNON_AGENT_SLOT", "")
        return cls(home=Path(home), own=own) if home and own in SLOTS else None

    @property
    def launcher(self) -> Path:
        return self.home / "launcher.py"

    @property
    def state(self) -> dict[str, Any]:
        return read_state(self.home)

    @property
    def counter(self) -> int:
        """Of the newest release that was ever taken here, whatever became of it."""
        value = self.state["counter"]
        return value if isinstance(value, int) else 0

    @property
    def on_trial(self) -> bool:
        trial = self.state["trial"]
        return isinstance(trial, dict) and trial.get("slot") == self.own

    @property
    def free(self) -> str:
        """The slot that is not in force: the only one that is ever written."""
        return next(slot for slot in SLOTS if slot != self.state["current"])

    def fill(self, content: bytes) -> str:
        """Unpack a version into the free slot. Raises :class:`BadRelease`, ``OSError`` (then the slot is empty)."""
        slot = self.free
        place, fresh = self.home / "slots" / slot, self.home / "slots" / f".{slot}.new"
        shutil.rmtree(fresh, ignore_errors=True)
        try:
            unpack(content, fresh)
            shutil.rmtree(place, ignore_errors=True)
            fresh.rename(place)
        except BaseException:
            shutil.rmtree(fresh, ignore_errors=True)
            raise
        return slot

    def take(self, manifest: ReleaseManifest) -> None:
        """From now on this counter counts as taken: neither it nor an older one is ever taken again."""
        write_state(self.home, {**self.state, "counter": manifest.counter})

    def put_on_trial(self, slot: str, manifest: ReleaseManifest) -> None:
        trial = {"slot": slot, "version": manifest.version, "counter": manifest.counter, "starts": 0}
        write_state(self.home, {**self.state, "trial": trial, "last": None})

    def confirm(self) -> int:
        """The version on trial is in force from now on. Returns its counter."""
        state = self.state
        counter = int(state["trial"]["counter"])
        last = {"counter": counter, "state": "confirmed", "reason": ""}
        write_state(self.home, {**state, "current": self.own, "trial": None, "last": last})
        return counter

    def outcome(self) -> tuple[int, str, str] | None:
        """What became of the last release, to be told: counter, state, reason."""
        last = self.state["last"]
        if not isinstance(last, dict) or not isinstance(last.get("counter"), int):
            return None
        return last["counter"], str(last.get("state")), str(last.get("reason"))[:500]

    def told(self) -> None:
        write_state(self.home, {**self.state, "last": None})


def unpack(content: bytes, folder: Path) -> None:
    """The agent's package out of a wheel, and nothing else of it. Raises :class:`BadRelease`, ``OSError``."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for item in _members(archive):
                target = folder / item.filename
                target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
                with target.open("wb") as file:
                    file.write(archive.read(item))
                    file.flush()
                    os.fsync(file.fileno())
    except (zipfile.BadZipFile, NotImplementedError, EOFError) as fault:
        raise BadRelease(f"not a whole wheel: {fault}") from None
    if not (folder / PACKAGE / "cli.py").is_file():
        raise BadRelease("there is no agent in it")


def _members(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    found = [item for item in archive.infolist() if not item.is_dir() and item.filename.startswith(f"{PACKAGE}/")]
    if len(found) > FILES_LIMIT or sum(item.file_size for item in found) > UNPACKED_LIMIT:
        raise BadRelease("it is larger than any version of the agent")
    for item in found:
        parts = PurePosixPath(item.filename).parts
        if ".." in parts or "\\" in item.filename or ":" in item.filename or "\0" in item.filename:
            raise BadRelease(f"a file in it is called {item.filename[:80]!r}")
    return found
