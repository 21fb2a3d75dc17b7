"""Who this agent is, and the one server it belongs to: its Ed25519 key, its machine id, the server's pinned key."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from .settings import SettingsError, write_private

KEY_FILE = "key.pem"
IDENTITY_FILE = "identity.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """``server`` is the base address, ``https://…`` without a final slash."""

    machine_id: int
    server: str
    server_key: bytes
    key: Ed25519PrivateKey

    def sign(self, data: bytes) -> bytes:
        return self.key.sign(data)

    def trusts(self, signature: bytes, data: bytes) -> bool:
        """Whether the pinned server signed ``data``."""
        try:
            Ed25519PublicKey.from_public_bytes(self.server_key).verify(signature, data)
        except InvalidSignature:
            return False
        return True

    def websocket(self, path: str) -> str:
        """``path`` on the server as a WebSocket address."""
        return self.server.replace("http", "ws", 1) + path


def public_bytes(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def key_of(folder: Path) -> Ed25519PrivateKey:
    """The key in ``folder``, made on first use; it never leaves the machine."""
    path = folder / KEY_FILE
    if not path.exists():
        write_private(path, _pem(Ed25519PrivateKey.generate()))
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except ValueError:
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise SettingsError(f"{path} is not the agent's key: enrol the machine again after removing it")
    return key


def _pem(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def save(folder: Path, *, machine_id: int, server: str, server_key: bytes) -> None:
    content = {"machine_id": machine_id, "server": server, "server_key": base64.b64encode(server_key).decode()}
    write_private(folder / IDENTITY_FILE, json.dumps(content, indent=2).encode())


def load(folder: Path) -> Identity | None:
    """None when the machine is not enrolled; :class:`SettingsError` when the file is damaged."""
    path = folder / IDENTITY_FILE
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_text())
        identity = Identity(
            machine_id=int(content["machine_id"]),
            server=str(content["server"]),
            server_key=base64.b64decode(content["server_key"], validate=True),
            key=key_of(folder),
        )
        Ed25519PublicKey.from_public_bytes(identity.server_key)
    except (OSError, KeyError, TypeError, ValueError, binascii.Error):
        raise SettingsError(f"{path} is damaged: enrol the machine again") from None
    return identity


def forget(folder: Path) -> None:
    for name in (IDENTITY_FILE, KEY_FILE):
        (folder / name).unlink(missing_ok=True)
