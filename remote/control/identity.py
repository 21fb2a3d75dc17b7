"""The server's identity towards the agents: one Ed25519 key, made once, pinned by every agent at its enrolment.

A key is changed in two steps. ``prepare`` makes the one that will follow; every agent that is connected is told it at
once, every other one when it connects. ``switch`` puts it in the old one's place, for the next start of the server.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from compagnon_agent.protocol import messages, signing

NAME = "agent_identity.key"
NEXT = "agent_identity.next.key"


class Identity:
    """Kept in the data folder (0600), not in the database: a stolen backup of the database must not speak to agents.

    Several web nodes share the data folder's key, like the secret key.
    """

    __slots__ = ("_folder", "_key", "public", "successor")

    def __init__(self, key: Ed25519PrivateKey, folder: Path) -> None:
        self._key = key
        self._folder = folder
        self.public = key.public_key().public_bytes_raw()
        self.successor = successor(folder)

    @classmethod
    def load(cls, data_dir: Path) -> Identity:
        """Read the key, making it the first time. Raises OSError, ValueError for a damaged file."""
        path = data_dir / NAME
        if not path.exists():
            _make(path)
        return cls(_read(path), data_dir)

    def sign(self, data: bytes) -> bytes:
        return self._key.sign(data)

    def look(self) -> bool:
        """Whether an administrator has prepared, or given up, a successor since the last look."""
        before, self.successor = self.successor, successor(self._folder)
        return before != self.successor

    def announcement(self) -> messages.Successor:
        """What every agent is to know."""
        proof = signing.successor_proof(present=self.public, successor=self.successor)
        return messages.Successor(key=self.successor, signature=self.sign(proof))


def successor(folder: Path) -> bytes | None:
    """The public half of the key that will follow; None when there is none."""
    try:
        return _read(folder / NEXT).public_key().public_bytes_raw()
    except (FileNotFoundError, ValueError):
        return None


def prepared_at(folder: Path) -> datetime | None:
    try:
        return datetime.fromtimestamp((folder / NEXT).stat().st_mtime, UTC)
    except FileNotFoundError:
        return None


def prepare(folder: Path) -> bytes:
    """Make the successor. Raises FileExistsError when there is one already."""
    Identity.load(folder)
    _make(folder / NEXT, exclusive=True)
    made = successor(folder)
    assert made is not None
    return made


def switch(folder: Path) -> None:
    """The successor takes the old key's place, at once and for good. Raises FileNotFoundError without one."""
    _read(folder / NEXT)
    (folder / NEXT).replace(folder / NAME)


def cancel(folder: Path) -> None:
    """There will be no successor. Raises FileNotFoundError without one."""
    (folder / NEXT).unlink()


def _read(path: Path) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(path.read_bytes())


def _make(path: Path, *, exclusive: bool = False) -> None:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        if exclusive:
            raise
        return
    with os.fdopen(handle, "wb") as file:
        file.write(Ed25519PrivateKey.generate().private_bytes_raw())
        file.flush()
        os.fsync(file.fileno())
