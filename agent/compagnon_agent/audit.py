"""The machine's own record of what was asked and what it decided: JSON lines, each with the hash of the last.

The chain shows any line that was changed or taken out of the middle. The file stays on the machine: ``audit.jsonl``.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from .protocol.wire import JSON, dumps

AUDIT_FILE = "audit.jsonl"
FIRST = "0" * 64


class AuditLog:
    """Appends; each line is on disk when :meth:`record` returns."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / AUDIT_FILE
        self._path.touch(mode=0o600)
        self._head = _last_hash(self._path)

    def record(self, event: str, details: Mapping[str, JSON]) -> None:
        body: dict[str, JSON] = {
            "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "event": event,
            "details": dict(details),
            "previous": self._head,
        }
        self._head = _hash(body)
        line = dumps({**body, "hash": self._head}) + "\n"
        with self._path.open("a", encoding="utf-8") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())


def _hash(body: Mapping[str, JSON]) -> str:
    return hashlib.sha256(dumps(dict(body)).encode()).hexdigest()


def _last_hash(path: Path) -> str:
    """The end of the chain. A last line cut short by a power cut is closed, and stays visible to :func:`verify`."""
    with path.open("rb") as file:
        lines = file.read().splitlines(keepends=True)
    if lines and not lines[-1].endswith(b"\n"):
        with path.open("ab") as file:
            file.write(b"\n")
    for line in reversed(lines):
        try:
            return str(json.loads(line)["hash"])
        except (ValueError, KeyError, TypeError):
            continue
    return FIRST


def verify(folder: Path) -> tuple[int, int | None]:
    """How many lines there are, and the number of the first one that does not follow from the one before it."""
    previous = FIRST
    number = 0
    path = folder / AUDIT_FILE
    if not path.exists():
        return 0, None
    with path.open(encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, 1):
            try:
                body = json.loads(line)
                claimed = body.pop("hash")
            except (ValueError, KeyError, AttributeError):
                return number, number
            if body.get("previous") != previous or _hash(body) != claimed:
                return number, number
            previous = claimed
    return number, None
