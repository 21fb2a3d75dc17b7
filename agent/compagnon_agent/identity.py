"""Who this agent is, and the one server it belongs to: its machine id, the server's pinned key and its successor's."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .protocol.signing import KEY_LENGTH
from .settings import SettingsError, write_private

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

KEY_FILE = "key.pem"
NEXT_KEY_FILE = "key.next.pem"
"""A new key, until the server knows the machine by it."""

IDENTITY_FILE = "identity.json"


@dataclass(slots=True, kw_only=True)
class Identity:
    """``server`` is the base address, ``https://…`` without a final slash.

    ``successor`` is the key that the pinned one has announced: accepted from its first use on.
    """

    folder: Path
    machine_id: int
    server: str
    server_key: bytes
    successor: bytes | None = None

    def knows(self, server_key: bytes) -> bool:
        return server_key in (self.server_key, self.successor)

    def announce(self, successor: bytes | None) -> bool:
        """Keep the key that will follow; False when it was known."""
        if successor == self.successor:
            return False
        self.successor = successor
        self._save()
        return True

    def follow(self, server_key: bytes) -> bool:
        """The server proved that it holds this key: if it is the successor, the old one is forgotten for good."""
        if server_key != self.successor:
            return False
        self.server_key, self.successor = server_key, None
        self._save()
        return True

    def trust(self, server_key: bytes) -> None:
        """Pin another key: somebody at the machine compared it."""
        self.server_key, self.successor = server_key, None
        self._save()

    def _save(self) -> None:
        save(
            self.folder,
            machine_id=self.machine_id,
            server=self.server,
            server_key=self.server_key,
            successor=self.successor,
        )

    def websocket(self, path: str) -> str:
        """``path`` on the server as a WebSocket address."""
        return self.server.replace("http", "ws", 1) + path


def public_bytes(key: Ed25519PrivateKey) -> bytes:
    from . import keys

    return keys.public_bytes(key)


def key_of(folder: Path, name: str = KEY_FILE) -> Ed25519PrivateKey:
    """The key in ``folder``, made on first use; it never leaves the machine."""
    from . import keys

    return keys.load_or_make(folder / name)


def save(folder: Path, *, machine_id: int, server: str, server_key: bytes, successor: bytes | None = None) -> None:
    content = {"machine_id": machine_id, "server": server, "server_key": base64.b64encode(server_key).decode()}
    if successor is not None:
        content["successor"] = base64.b64encode(successor).decode()
    write_private(folder / IDENTITY_FILE, json.dumps(content, indent=2).encode())


def load(folder: Path) -> Identity | None:
    """None when the machine is not enrolled; :class:`SettingsError` when the file is damaged."""
    path = folder / IDENTITY_FILE
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_text())
        return Identity(
            folder=folder,
            machine_id=int(content["machine_id"]),
            server=str(content["server"]),
            server_key=_key(content["server_key"]),
            successor=_key(content["successor"]) if content.get("successor") else None,
        )
    except (OSError, KeyError, TypeError, ValueError, binascii.Error):
        raise SettingsError(f"{path} is damaged: enrol the machine again") from None


def _key(text: str) -> bytes:
    raw = base64.b64decode(text, validate=True)
    if len(raw) != KEY_LENGTH:
        raise ValueError
    return raw


def forget(folder: Path) -> None:
    for name in (IDENTITY_FILE, KEY_FILE, NEXT_KEY_FILE):
        (folder / name).unlink(missing_ok=True)
