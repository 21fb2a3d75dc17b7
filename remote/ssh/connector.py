"""A signed-in SSH connection to a device, or one clear reason why there is none.

paramiko blocks; it runs in threads of a pool of its own, so that a device that hangs costs nobody else a thread.
Only a key that members confirmed is talked to: ``RejectPolicy``, and the one trusted key.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import paramiko

from compagnon.auth.model import Member
from remote.ssh.credentials import Credentials, private_key
from remote.ssh.dial import Dialler
from remote.ssh.errors import (
    AuthenticationRefused,
    Broken,
    KeyChanged,
    KeyUnknown,
    NoAccess,
    NotSsh,
    Trouble,
    Unreachable,
)
from remote.ssh.model import CredentialKind, Device, HostKey
from remote.ssh.sealing import Secret
from remote.ssh.service import Devices

T = TypeVar("T")
HANDSHAKE = 15.0  # seconds for the banner, the keys, and signing in, each
KEEPALIVE = 15  # seconds
THREADS = 64
POOL = ThreadPoolExecutor(THREADS, thread_name_prefix="ssh")
# What a device says in its banners and errors stays out of the log: it is hostile, and may repeat what was sent to it.
logging.getLogger("paramiko").setLevel(logging.CRITICAL + 1)


async def in_thread(work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(POOL, work)


class Connector:
    """``dialler_for`` gives the way to a device (see ``dial``); ``member``: on whose behalf, through their tunnel."""

    def __init__(
        self, devices: Devices, credentials: Credentials, dialler_for: Callable[[Device, Member | None], Dialler]
    ) -> None:
        self._devices = devices
        self._credentials = credentials
        self._dialler_for = dialler_for

    async def look_at_key(self, device: Device, member: Member | None = None) -> bool:
        """Ask the device for its key and keep what it shows; whether it is the trusted one. Raises Trouble."""
        async with self._noting(device):
            sock = await self._dialler_for(device, member).connect(device.host, device.port)
            algorithm, public_key = await in_thread(lambda: _shown_key(sock))
        trusted = await self._devices.trusted(device.machine_id)
        if trusted is not None and trusted.public_key == public_key:
            await self._devices.answered(device.machine_id)
            return True
        await self._devices.saw(device.machine_id, algorithm, public_key)
        return False

    async def connect(self, device: Device, member: Member | None = None) -> paramiko.SSHClient:
        """Signed in; whoever gets it closes it. Raises Trouble, KeyUnknown, KeyChanged, NoAccess."""
        trusted = await self._devices.trusted(device.machine_id)
        if trusted is None:
            raise KeyUnknown
        if device.credential_id is None:
            raise NoAccess
        kind, secret = await self._credentials.reveal(device.credential_id)
        async with self._noting(device):
            sock = await self._dialler_for(device, member).connect(device.host, device.port)
            try:
                client = await in_thread(lambda: _sign_in(sock, device, trusted, kind, secret))
            except paramiko.BadHostKeyException as error:
                await self._devices.saw(device.machine_id, error.key.get_name(), error.key.asbytes())
                raise KeyChanged from None
        await self._devices.answered(device.machine_id)
        return client

    @contextlib.asynccontextmanager
    async def connection(self, device: Device, member: Member | None = None) -> AsyncIterator[paramiko.SSHClient]:
        """The same, closed at the end."""
        client = await self.connect(device, member)
        try:
            yield client
        finally:
            await in_thread(client.close)

    @contextlib.asynccontextmanager
    async def _noting(self, device: Device) -> AsyncIterator[None]:
        """The device's page tells what went wrong last."""
        try:
            yield
        except (Trouble, KeyChanged) as error:
            await self._devices.troubled(device.machine_id, error.word)
            raise


def _shown_key(sock: socket.socket) -> tuple[str, bytes]:
    transport = _transport(sock)
    try:
        transport.start_client(timeout=HANDSHAKE)
        key = transport.get_remote_server_key()
        return key.get_name(), key.asbytes()
    except (paramiko.SSHException, EOFError, OSError):
        raise NotSsh from None
    finally:
        transport.close()
        sock.close()


def _transport(sock: socket.socket) -> paramiko.Transport:
    try:
        transport = paramiko.Transport(sock)
    except (paramiko.SSHException, OSError):
        sock.close()
        raise NotSsh from None
    transport.banner_timeout = transport.handshake_timeout = transport.auth_timeout = HANDSHAKE
    return transport


def _sign_in(
    sock: socket.socket, device: Device, trusted: HostKey, kind: CredentialKind, secret: Secret
) -> paramiko.SSHClient:
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(paramiko.RejectPolicy())
    name = f"device-{device.machine_id}"  # the key belongs to the device, whatever its address is
    key = paramiko.PKey.from_type_string(trusted.algorithm, trusted.public_key)
    client.get_host_keys().add(name, trusted.algorithm, key)
    fault = _try(client, sock, name, device.username, kind, secret)
    if fault is not None:  # raised out here: nothing of the attempt, and so of the secret, hangs on it
        client.close()
        sock.close()
        raise fault
    transport = client.get_transport()
    if transport is None:
        raise Broken
    transport.set_keepalive(KEEPALIVE)
    return client


def _try(
    client: paramiko.SSHClient, sock: socket.socket, name: str, username: str, kind: CredentialKind, secret: Secret
) -> BaseException | None:
    is_password = kind is CredentialKind.PASSWORD
    try:
        client.connect(
            name,
            username=username,
            password=secret.reveal() if is_password else None,
            pkey=None if is_password else private_key(secret),
            sock=sock,
            timeout=HANDSHAKE,
            banner_timeout=HANDSHAKE,
            auth_timeout=HANDSHAKE,
            channel_timeout=HANDSHAKE,
            allow_agent=False,
            look_for_keys=False,
        )
    except BaseException as error:
        return _told(error)
    return None


def _told(error: BaseException) -> BaseException:
    """The reason in our words: what the device said may hold anything."""
    if isinstance(error, paramiko.BadHostKeyException):
        return paramiko.BadHostKeyException(error.hostname, error.key, error.expected_key)
    if not isinstance(error, Exception):
        return error
    if isinstance(error, paramiko.AuthenticationException):
        return AuthenticationRefused()
    if isinstance(error, TimeoutError | ConnectionError):
        return Unreachable()
    if isinstance(error, paramiko.SSHException | EOFError | OSError):
        return NotSsh()
    return error
