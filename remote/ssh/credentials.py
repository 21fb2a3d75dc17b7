"""Keys and passwords of a client's devices: made, kept sealed, opened only to sign in, removed for good."""

from __future__ import annotations

import contextlib
import io
import uuid
from collections.abc import Mapping

import paramiko
import psycopg
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    load_ssh_private_key,
)

from compagnon import audit, events
from compagnon.audit import Actor
from compagnon.auth.model import Member
from compagnon.db import Connection
from compagnon.errors import Conflict, Invalid, NotFound, Unavailable
from compagnon.i18n import N_
from compagnon.kernel import Kernel
from remote.ssh import credentials_store as store
from remote.ssh.model import Credential, CredentialKind
from remote.ssh.sealing import CannotOpen, Sealer, Secret, WrappedKey

KEY_LIMIT = 16 * 1024  # characters of a private key
OTHER_SECRET = N_("What was sealed here was sealed under another secret of this server: enter it anew.")
GONE = N_("There is no such key or password.")


class Credentials:
    """Use cases. Nothing here returns a secret but :meth:`reveal`, for the code that signs in."""

    def __init__(self, kernel: Kernel) -> None:
        self._db = kernel.db
        self._directory = kernel.directory
        self._sealer = Sealer(kernel.settings.secret_key)

    async def for_client(self, client_id: int) -> list[Credential]:
        async with self._db.connection() as conn:
            return await store.for_client(conn, client_id)

    async def make(self, member: Member, client_id: int, name: str) -> Credential:
        """A new Ed25519 key pair; its public half goes into the devices' authorized_keys."""
        private = Ed25519PrivateKey.generate()
        text = private.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
        return await self._keep(member, client_id, CredentialKind.MADE, name, Secret(text))

    async def keep_key(
        self, member: Member, client_id: int, name: str, key: Secret, passphrase: Secret | None = None
    ) -> Credential:
        """A private key that the client has. Raises Invalid(field="key" or "passphrase")."""
        return await self._keep(member, client_id, CredentialKind.KEY, name, _plain_key(key, passphrase))

    async def keep_password(self, member: Member, client_id: int, name: str, password: Secret) -> Credential:
        return await self._keep(member, client_id, CredentialKind.PASSWORD, name, password)

    async def _keep(
        self, member: Member, client_id: int, kind: CredentialKind, name: str, secret: Secret
    ) -> Credential:
        await self._directory.get(client_id)
        public = "" if kind is CredentialKind.PASSWORD else _public_line(secret, name)
        values = {"client_id": client_id, "kind": kind, "name": name, "public_key": public, "member_id": member.id}
        try:
            async with self._db.transaction() as conn:
                key, seal = await self._data_key(conn, client_id), uuid.uuid4()
                sealed = self._sealer.seal(key, secret, seal)
                credential_id = await store.add(conn, values | {"seal": seal, "data_key_id": key.id, "sealed": sealed})
                await _tell(conn, member, client_id, "kept", credential_id, {"kind": kind.value, "name": name})
        except psycopg.errors.UniqueViolation as error:
            if error.diag.constraint_name != "ssh_credentials_name":
                raise
            raise Invalid(N_("This client has a key or password of this name already."), field="name") from None
        return await self.get(credential_id)

    async def get(self, credential_id: int) -> Credential:
        """Raises NotFound."""
        async with self._db.connection() as conn:
            found = await store.get(conn, credential_id)
        if found is None:
            raise NotFound(GONE)
        return found

    async def remove(self, member: Member, credential_id: int) -> None:
        """Forget it for good; devices that used it have none then. Raises NotFound, Conflict."""
        credential = await self.get(credential_id)
        async with self._db.transaction() as conn:
            if not await store.remove(conn, credential_id):
                raise Conflict(GONE)
            details = {"kind": credential.kind.value, "name": credential.name}
            await _tell(conn, member, credential.client_id, "removed", credential_id, details)

    async def rotate(self, member: Member, client_id: int) -> int:
        """Seal everything of the client anew under a fresh data key; how many. Raises Unavailable (other secret)."""
        async with self._db.transaction() as conn:
            newest = await store.newest_key(conn, client_id)
            fresh = await self._fresh(conn, client_id, newest.version + 1 if newest else 1)
            kept = await store.sealed(conn, client_id=client_id)
            for item in kept:
                secret = await self._open(conn, item)
                await store.reseal(conn, item.id, fresh.id, self._sealer.seal(fresh, secret, item.seal))
            await store.forget_keys(conn, client_id, fresh.id)
            details = {"version": fresh.version, "count": len(kept)}
            await _tell(conn, member, client_id, "sealed_anew", None, details)
        return len(kept)

    async def reveal(self, credential_id: int) -> tuple[CredentialKind, Secret]:
        """For the code that signs in, and nobody else. Raises NotFound, Unavailable (other secret)."""
        async with self._db.transaction() as conn:
            found = await store.sealed(conn, credential_id=credential_id)
            if not found:
                raise NotFound(GONE)
            return found[0].kind, await self._open(conn, found[0])

    async def _open(self, conn: Connection, item: store.Sealed) -> Secret:
        key = await store.data_key(conn, item.data_key_id)
        try:
            if key is None or key.wrapped_by != self._sealer.name:
                raise CannotOpen
            return self._sealer.open(key, item.sealed, item.seal)
        except CannotOpen:
            raise Unavailable(OTHER_SECRET) from None

    async def _data_key(self, conn: Connection, client_id: int) -> WrappedKey:
        newest = await store.newest_key(conn, client_id)
        if newest is not None and newest.wrapped_by == self._sealer.name:
            return newest
        return await self._fresh(conn, client_id, newest.version + 1 if newest else 1)

    async def _fresh(self, conn: Connection, client_id: int, version: int) -> WrappedKey:
        wrapped = self._sealer.new_data_key(client_id, version)
        return await store.add_key(conn, client_id, version, self._sealer.name, wrapped)


def _plain_key(key: Secret, passphrase: Secret | None) -> Secret:
    """The same key as OpenSSH writes it, without a passphrase: it is sealed here instead."""
    data = (key.reveal().strip().replace("\r\n", "\n") + "\n").encode()
    word = passphrase.reveal().encode() if passphrase else None
    load = load_ssh_private_key if b"BEGIN OPENSSH" in data else load_pem_private_key
    try:
        private = load(data[:KEY_LIMIT], password=word)
        text = private.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
    except TypeError:
        raise Invalid(N_("This key has a passphrase, or none where one was given."), field="passphrase") from None
    except (ValueError, UnsupportedAlgorithm):
        raise Invalid(N_("This is no private key, or its passphrase is wrong."), field="key") from None
    return Secret(text)


def _public_line(secret: Secret, name: str) -> str:
    """As it stands in authorized_keys (sshd(8), AUTHORIZED_KEYS FILE FORMAT)."""
    try:
        key = private_key(secret)
    except paramiko.SSHException:
        raise Invalid(N_("Keys of this kind cannot be used: Ed25519, ECDSA and RSA can."), field="key") from None
    comment = "".join(character if character.isalnum() else "-" for character in name)[:60]
    return f"{key.get_name()} {key.get_base64()} compagnon-{comment}"


def private_key(secret: Secret) -> paramiko.PKey:
    """Raises SSHException for a kind of key that paramiko does not know."""
    for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey):
        with contextlib.suppress(paramiko.SSHException, ValueError):
            return kind.from_private_key(io.StringIO(secret.reveal()))
    raise paramiko.SSHException("unknown kind of key") from None


async def _tell(
    conn: Connection,
    member: Member,
    client_id: int,
    verb: str,
    credential_id: int | None,
    details: Mapping[str, object],
) -> None:
    await events.publish(conn, f"client:{client_id}", "credential")
    await audit.record(
        conn,
        actor=Actor.member(member.id),
        action=f"credential.{verb}",
        subject=f"client:{client_id}",
        details={"credential": credential_id, **details},
    )
