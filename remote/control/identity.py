"""The server's identity towards the agents: one Ed25519 key, made once, pinned by every agent at its enrolment."""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

NAME = "agent_identity.key"


class Identity:
    """Kept in the data folder (0600), not in the database: a stolen backup of the database must not speak to agents.

    Several web nodes share the data folder's key, like the secret key.
    """

    __slots__ = ("_key", "public")

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    @classmethod
    def load(cls, data_dir: Path) -> Identity:
        """Read the key, making it the first time. Raises OSError, ValueError for a damaged file."""
        path = data_dir / NAME
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return cls(Ed25519PrivateKey.from_private_bytes(path.read_bytes()))
        key = Ed25519PrivateKey.generate()
        with os.fdopen(handle, "wb") as file:
            file.write(key.private_bytes_raw())
            file.flush()
            os.fsync(file.fileno())
        return cls(key)

    def sign(self, data: bytes) -> bytes:
        return self._key.sign(data)
