"""The machine's keys, and signatures: the only place that loads the cryptography.

``python -m compagnon_agent.keys FOLDER`` does it for an agent that is to stay small: what it needs for two signatures
at each connection would else stay in its memory for weeks. It reads a line of JSON for each wish from standard input
(``{"sign": data, "file": name}``, ``{"public": name}`` or ``{"verify": data, "signature": …, "key": …}``, bytes in
base64) and answers with a line: the signature, the key's public half, true or false.
"""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from .settings import SettingsError, write_private


def load_or_make(path: Path) -> Ed25519PrivateKey:
    """The key in ``path``, made on first use; it never leaves the machine."""
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


def public_bytes(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def sign(path: Path, data: bytes) -> bytes:
    return load_or_make(path).sign(data)


def verify(key: bytes, signature: bytes, data: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, data)
    except (InvalidSignature, ValueError):
        return False
    return True


def _bytes(wish: dict[str, str], name: str) -> bytes:
    return base64.b64decode(wish[name])


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def main() -> None:
    folder = Path(sys.argv[1])
    for line in sys.stdin:
        wish = json.loads(line)
        if "sign" in wish:
            answer: object = _text(sign(folder / wish["file"], _bytes(wish, "sign")))
        elif "public" in wish:
            answer = _text(public_bytes(load_or_make(folder / wish["public"])))
        else:
            answer = verify(_bytes(wish, "key"), _bytes(wish, "signature"), _bytes(wish, "verify"))
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
