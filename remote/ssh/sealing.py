"""Secrets of a client, sealed at rest: AES-256-GCM under the client's data key, itself wrapped by the server's secret.

The wrapping key is derived (HKDF, RFC 5869) from ``secret_key``, which is not in the database: a stolen backup of the
database opens nothing. Each sealing names what it belongs to (associated data): moved to another row it does not open.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

NONCE = 12  # bytes (NIST SP 800-38D §5.2.1.1)
KEY = 32


class CannotOpen(Exception):
    """It was sealed under another secret, or for something else. Never says what was sealed."""


class Secret:
    """A secret in memory: nothing that prints, logs or formats an object shows it. ``reveal`` where it is used."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "<secret>"

    __str__ = __repr__

    def __reduce__(self) -> str:
        raise TypeError("a secret is not pickled")


@dataclass(frozen=True, slots=True, kw_only=True)
class WrappedKey:
    """A client's data key as the database keeps it. ``wrapped_by`` names the server's secret that opens it."""

    id: int
    client_id: int
    version: int
    wrapped_by: str
    wrapped: bytes


class Sealer:
    """Seals and opens with the keys of one server secret (``Settings.secret_key``)."""

    __slots__ = ("_wrapping", "name")

    def __init__(self, secret_key: str) -> None:
        derived = HKDF(algorithm=SHA256(), length=KEY, salt=None, info=b"compagnon ssh wrapping key 1")
        self._wrapping = derived.derive(secret_key.encode())
        self.name = hashlib.sha256(b"compagnon wrapping key name" + self._wrapping).hexdigest()[:16]

    def new_data_key(self, client_id: int, version: int) -> bytes:
        """A fresh data key, wrapped."""
        return self._encrypt(self._wrapping, secrets.token_bytes(KEY), _key_name(client_id, version))

    def seal(self, key: WrappedKey, secret: Secret, seal: UUID) -> bytes:
        """Raises CannotOpen when the data key is another secret's."""
        return self._encrypt(self._unwrap(key), secret.reveal().encode(), _place(key.client_id, seal))

    def open(self, key: WrappedKey, sealed: bytes, seal: UUID) -> Secret:
        """Raises CannotOpen."""
        return Secret(_decrypt(self._unwrap(key), sealed, _place(key.client_id, seal)).decode())

    def _unwrap(self, key: WrappedKey) -> bytes:
        return _decrypt(self._wrapping, key.wrapped, _key_name(key.client_id, key.version))

    def _encrypt(self, key: bytes, data: bytes, about: bytes) -> bytes:
        nonce = secrets.token_bytes(NONCE)
        return nonce + AESGCM(key).encrypt(nonce, data, about)


def _decrypt(key: bytes, sealed: bytes, about: bytes) -> bytes:
    try:
        return AESGCM(key).decrypt(sealed[:NONCE], sealed[NONCE:], about)
    except (InvalidTag, ValueError):
        raise CannotOpen from None


def _key_name(client_id: int, version: int) -> bytes:
    return f"compagnon ssh data key {client_id} {version}".encode()


def _place(client_id: int, seal: UUID) -> bytes:
    return f"compagnon ssh credential {client_id} {seal}".encode()
