"""Where an engine keeps its indexes: one folder for each, and a file that names the current one.

Several processes may search and one may write: each search looks whether the index has moved on (two stat calls).
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import threading
import time
from pathlib import Path
from typing import Any

from kb.search import manifest
from kb.search.engine import IndexBroken

CURRENT = "current"
RETRIES = 5  # 20 ms apart
Look = tuple[int, ...]


class IndexFolder:
    """What both engines do alike. An engine opens what is there (``_take``) and writes as its library does."""

    layout = ""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()
        self._seen: Look = ()
        self._failed: Look = ()
        self._stamp = ""
        self._generation = 0

    @property
    def stamp(self) -> str:
        return self._stamp

    @property
    def generation(self) -> int:
        return self._generation

    def open(self) -> None:
        """See SearchEngine."""
        with self._lock:
            self._prepare_root()
            manifest.check(self._root / self._read_current(), self.layout)
            self._failed = ()
            self._refresh()

    def _take(self, folder: Path) -> None:
        """Open the index in ``folder`` as it is at its present commit; raise IndexBroken or OSError."""
        raise NotImplementedError

    def _refresh(self) -> None:
        """Go to the present commit. A writer may be replacing files just now, so a failure is tried again."""
        seen = self._look()
        if seen == self._seen:
            return
        if seen == self._failed:
            raise IndexBroken("the index is still as it was")
        for attempt in range(RETRIES):
            try:
                self._move_on(seen)
            except (IndexBroken, OSError) as error:
                if attempt == RETRIES - 1:
                    self._failed = seen
                    raise IndexBroken(str(error)) from None
                time.sleep(0.02)
                seen = self._look()
            else:
                return

    def _move_on(self, seen: Look) -> None:
        manifest.check_private(self._root)
        stamp = self._read_current()
        folder = self._root / stamp
        if stamp != self._stamp:
            manifest.check(folder, self.layout, thorough=True)
        known: dict[str, Any] = manifest.read(folder)
        self._take(folder)
        self._stamp, self._generation, self._seen = stamp, int(known["generation"]), seen

    def _look(self) -> Look:
        """Changes whenever a commit or another index has come."""
        current = _stat(self._root / CURRENT)
        if current[0] == 0:
            raise IndexBroken("there is no index yet")
        return (*current, *_stat(self._root / (self._stamp or self._read_current()) / manifest.MANIFEST))

    def _current_folder(self) -> Path:
        return self._root / self._read_current()

    def _new_folder(self) -> Path:
        """A name for the folder of an index that is begun."""
        self._prepare_root()
        return self._root / f"index-{secrets.token_hex(8)}"

    def _switch_to(self, folder: Path) -> None:
        """A complete index takes the place of the present one, whose files go."""
        draft = self._root / f"{CURRENT}.new"
        draft.write_text(folder.name, "utf-8")
        draft.replace(self._root / CURRENT)
        with self._lock:
            self._seen = ()
        for entry in self._root.glob("index-*"):
            if entry.name != folder.name:
                shutil.rmtree(entry, ignore_errors=True)

    def _prepare_root(self) -> None:
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        with contextlib.suppress(PermissionError):
            self._root.chmod(0o700)
        manifest.check_private(self._root)

    def _read_current(self) -> str:
        try:
            name = (self._root / CURRENT).read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError):
            raise IndexBroken("there is no index yet") from None
        if not name.startswith("index-") or not name.replace("-", "").isalnum():
            raise IndexBroken("the file that names the index is damaged")
        return name


def _stat(path: Path) -> Look:
    try:
        found = os.stat(path)  # noqa: PTH116 - five times faster than Path.stat, and done for every search
    except FileNotFoundError:
        return (0, 0)
    return (found.st_ino, found.st_mtime_ns)
