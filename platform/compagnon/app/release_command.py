"""``compagnon agent-release …``: the release key, and versions of the agent that it signs.

``keygen`` and ``sign`` belong on a computer that is not the server: they need neither its database nor its secrets.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import hashlib
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from compagnon.app.commands import member_of, with_services
from compagnon.app.wiring import Services
from compagnon.settings import Settings, SettingsError
from compagnon_agent import __version__ as agent_version
from compagnon_agent.protocol.releases import (
    COUNTERS,
    SIZE_LIMIT,
    ReleaseManifest,
    release_proof,
    version_parts,
    write_manifest,
)
from compagnon_agent.protocol.signing import fingerprint
from remote.releases.model import SHARES, SIGNED_LIMIT, Signed
from remote.releases.wheels import agent_wheel

LONGEST = 730


def keygen(settings: Settings, arguments: argparse.Namespace) -> int:
    key = Ed25519PrivateKey.generate()
    secret = _passphrase(arguments.passphrase_file)
    sealing: KeySerializationEncryption = BestAvailableEncryption(secret) if secret else NoEncryption()
    _write_new(Path(arguments.file), key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, sealing))
    public = key.public_key().public_bytes_raw()
    print(f"The release key is in {arguments.file}. Keep it, and a copy, off the server; nobody can make it again.")
    print(f"Its public half, for 'compagnon agent-release trust': {base64.b64encode(public).decode()}")
    print(f"Its digits: {fingerprint(public)}")
    return 0


def _write_new(path: Path, content: bytes) -> None:
    """0600; an existing file is never overwritten: it may be the only copy of a key."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
    except OSError as error:
        raise SettingsError(f"{path} cannot be written ({error.strerror})") from None


def trust(settings: Settings, arguments: argparse.Namespace) -> int:
    try:
        key = base64.b64decode(arguments.key, validate=True)
    except (ValueError, binascii.Error):
        raise SettingsError("a release key is 32 bytes in base64, as keygen prints it") from None

    async def work(services: Services) -> int:
        await services.remote.releases.trust(await member_of(services, arguments.author), key)
        print(f"Trusted. Machines that are enrolled from now on pin it. Its digits: {fingerprint(key)}")
        return 0

    return with_services(settings, work)


def sign(settings: Settings, arguments: argparse.Namespace) -> int:
    wheel = agent_wheel()
    key = _release_key(Path(arguments.key), _passphrase(arguments.passphrase_file))
    manifest = write_manifest(_manifest(arguments, wheel.content))
    signed = Signed(manifest=manifest, signature=key.sign(release_proof(manifest)))
    folder = Path(arguments.folder)
    name = f"agent-{agent_version}-{arguments.counter}.json"
    for path, content in ((folder / name, signed.as_json().encode()), (folder / wheel.name, wheel.content)):
        try:
            path.write_bytes(content)
        except OSError as error:
            raise SettingsError(f"{path} cannot be written ({error.strerror})") from None
        print(path)
    return 0


def _manifest(arguments: argparse.Namespace, content: bytes) -> ReleaseManifest:
    if not 1 <= arguments.counter <= COUNTERS or not 1 <= arguments.days <= LONGEST:
        raise SettingsError(f"the counter is 1 to {COUNTERS}, the days are 1 to {LONGEST}")
    if version_parts(arguments.minimum) is None:
        raise SettingsError("the least version must look like 1.2.3")
    return ReleaseManifest(
        version=agent_version,
        counter=arguments.counter,
        sha256=hashlib.sha256(content).digest(),
        size=len(content),
        minimum=arguments.minimum,
        expires=(datetime.now(UTC) + timedelta(days=arguments.days)).replace(microsecond=0),
    )


def _release_key(path: Path, secret: bytes | None) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(_read(path, SIGNED_LIMIT), password=secret)
    except (ValueError, TypeError) as error:
        raise SettingsError(f"{path} is no release key, or its passphrase is another: {error}") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise SettingsError(f"{path} is no release key")
    return key


def publish(settings: Settings, arguments: argparse.Namespace) -> int:
    signed = Signed.read(_read(Path(arguments.manifest), SIGNED_LIMIT))
    content = _read(Path(arguments.file), SIZE_LIMIT)
    if signed is None:
        raise SettingsError(f"{arguments.manifest} is no manifest that 'agent-release sign' wrote")
    if arguments.share not in SHARES:
        raise SettingsError(f"the share is one of {', '.join(map(str, SHARES))}")

    async def work(services: Services) -> int:
        author = await member_of(services, arguments.author)
        await services.remote.releases.publish(author, signed, content, share=arguments.share)
        print(f"Published: offered to {arguments.share} % of the machines.")
        return 0

    return with_services(settings, work)


def _read(path: Path, limit: int) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except OSError as error:
        raise SettingsError(f"{path} cannot be read ({error.strerror})") from None
    if len(content) > limit:
        raise SettingsError(f"{path} is larger than {limit} bytes")
    return content


def _passphrase(file: str | None) -> bytes | None:
    if file is None:
        return None
    if file == "-":
        line = sys.stdin.readline()
    else:
        line = _read(Path(file), 4096).decode("utf-8", "replace").partition("\n")[0]
    secret = line.rstrip("\n").encode()
    if not secret:
        raise SettingsError("the passphrase is empty")
    return secret
