"""Keys and passwords of a client: sealed at rest, used, and never seen again anywhere."""

from __future__ import annotations

import asyncio
import io
import socket
import threading
import uuid
from dataclasses import replace

import paramiko
import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from compagnon.errors import Invalid, NotFound, Unavailable
from remote.ssh.credentials import Credentials
from remote.ssh.model import DeviceKind, NewDevice
from remote.ssh.sealing import CannotOpen, Sealer, Secret, WrappedKey

WORD = "".join(["pass", "erelle-", "9f3b"])


class PasswordServer(paramiko.ServerInterface):
    def check_auth_password(self, username, password):
        return paramiko.AUTH_SUCCESSFUL if password == WORD else paramiko.AUTH_FAILED

    def get_allowed_auths(self, username):
        return "password"


@pytest.fixture
def password_server():
    """Speaks SSH and knows one password."""
    listening = socket.create_server(("127.0.0.1", 0))
    private = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    key = paramiko.Ed25519Key(file_obj=io.StringIO(private.decode()))
    transports = []

    def serve():
        while True:
            try:
                sock, _ = listening.accept()
            except OSError:
                return
            transport = paramiko.Transport(sock)
            transport.add_server_key(key)
            transports.append(transport)
            transport.start_server(event=threading.Event(), server=PasswordServer())  # its own thread goes on

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield listening.getsockname()[1]
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    for transport in transports:
        transport.close()
    thread.join(5)


async def everything_in(database) -> str:
    """All rows of all tables, as text (bytes in hexadecimal and as they are)."""
    found = []
    async with await psycopg.AsyncConnection.connect(database) as conn:
        names = await (
            await conn.execute(
                "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname = 'public'"
            )
        ).fetchall()
        for (name,) in names:
            rows = await (await conn.execute(f"SELECT t::text FROM {name} t")).fetchall()
            found += [row[0] for row in rows]
    return "\n".join(found)


async def test_a_password_opens_the_device_and_is_found_nowhere_afterwards(
    server, cast, ssh, client, password_server, client_for, caplog, settings, capfd
):
    with caplog.at_level("DEBUG"):
        http = await client_for(cast.alice)
        page = f"/clients/{client.id}/access"
        answer = await http.post(f"{page}/password", data={"name": "admin", "password": WORD})
        assert answer.status_code == 303, answer.text
        shown = (await http.get(page)).text
        (access,) = await ssh.credentials.for_client(client.id)
        new = NewDevice(
            name="NAS", kind=DeviceKind.NAS, host="127.0.0.1", port=password_server, username="admin",
            credential_id=access.id,
        )  # fmt: skip
        device = await ssh.devices.add(cast.alice, client.id, new, site_id=None, environment=None)
        await ssh.connector.look_at_key(device)
        await ssh.devices.confirm(cast.alice, device.machine_id, (await ssh.devices.keys(device.machine_id))[0].id)
        async with ssh.connector.connection(device) as connection:
            assert connection.get_transport().is_authenticated()
        for address in (
            f"/machines/{device.machine_id}",
            f"/devices/{device.machine_id}/edit",
            f"/clients/{client.id}",
        ):
            answer = await http.get(address)
            assert answer.status_code == 200
            shown += answer.text
        refused = await http.post(f"{page}/password", data={"name": "admin", "password": WORD})
        assert refused.status_code == 422
        shown += refused.text
    out, err = capfd.readouterr()
    files = b"".join(path.read_bytes() for path in settings.data_dir.rglob("*") if path.is_file())
    kept = await everything_in(settings.database_url)
    for place in (shown, caplog.text, out, err, kept, files.decode("latin-1")):
        assert WORD not in place
    assert WORD.encode().hex() not in kept
    assert (await ssh.credentials.reveal(access.id))[1].reveal() == WORD  # it is there, sealed


async def test_a_removed_secret_is_gone_and_its_devices_have_none(server, cast, ssh, client, settings):
    made = await ssh.credentials.make(cast.alice, client.id, "maintenance")
    new = NewDevice(name="NAS", kind=DeviceKind.NAS, host="nas", port=22, username="x", credential_id=made.id)
    device = await ssh.devices.add(cast.alice, client.id, new, site_id=None, environment=None)
    await ssh.credentials.remove(cast.bruno, made.id)
    assert (await ssh.devices.get(device.machine_id)).credential_id is None
    with pytest.raises(NotFound):
        await ssh.credentials.reveal(made.id)
    async with server.services.kernel.db.connection() as conn:
        assert (await (await conn.execute("SELECT sealed FROM ssh_credentials")).fetchone())[0] is None


async def test_sealing_anew_takes_a_fresh_key_and_keeps_what_is_sealed(server, cast, ssh, client):
    made = [await ssh.credentials.keep_password(cast.alice, client.id, f"n{i}", Secret(f"mot-{i}")) for i in range(3)]
    async with server.services.kernel.db.connection() as conn:
        before = await (await conn.execute("SELECT sealed FROM ssh_credentials ORDER BY id")).fetchall()
    assert await ssh.credentials.rotate(cast.alice, client.id) == 3
    async with server.services.kernel.db.connection() as conn:
        after = await (await conn.execute("SELECT sealed FROM ssh_credentials ORDER BY id")).fetchall()
        versions = await (await conn.execute("SELECT version FROM ssh_data_keys")).fetchall()
    assert all(old != new for old, new in zip(before, after, strict=True))
    assert versions == [(2,)]
    assert [(await ssh.credentials.reveal(one.id))[1].reveal() for one in made] == ["mot-0", "mot-1", "mot-2"]


async def test_another_secret_of_the_server_opens_nothing_and_says_so(server, cast, ssh, client):
    made = await ssh.credentials.keep_password(cast.alice, client.id, "mdp", Secret("mot"))
    kernel = server.services.kernel
    other = Credentials(replace(kernel, settings=replace(kernel.settings, secret_key="j" * 40)))
    with pytest.raises(Unavailable):
        await other.reveal(made.id)
    again = await other.keep_password(cast.alice, client.id, "mdp 2", Secret("autre"))
    assert (await other.reveal(again.id))[1].reveal() == "autre"


async def test_keys_with_a_passphrase_and_nonsense(server, cast, ssh, client):
    private = Ed25519PrivateKey.generate()
    locked = private.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, BestAvailableEncryption(b"phrase")).decode()
    kept = await ssh.credentials.keep_key(cast.alice, client.id, "bureau", Secret(locked), Secret("phrase"))
    assert kept.public_key.startswith("ssh-ed25519 ")
    for key, phrase in ((locked, None), (locked, "fausse"), ("pas une clé", None), ("-----BEGIN OPENSSH", None)):
        with pytest.raises(Invalid):
            await ssh.credentials.keep_key(cast.alice, client.id, "x", Secret(key), Secret(phrase) if phrase else None)


def test_what_is_sealed_opens_in_its_own_place_only():
    sealer, seal = Sealer("s" * 40), uuid.uuid4()
    key = WrappedKey(id=1, client_id=7, version=1, wrapped_by=sealer.name, wrapped=sealer.new_data_key(7, 1))
    sealed = sealer.seal(key, Secret("mot"), seal)
    assert sealer.open(key, sealed, seal).reveal() == "mot"
    assert b"mot" not in sealed
    for other_key, other_seal, data in (
        (key, uuid.uuid4(), sealed),
        (replace(key, client_id=8), seal, sealed),
        (replace(key, version=2), seal, sealed),
        (key, seal, sealed[:-1] + bytes([sealed[-1] ^ 1])),
        (key, seal, b""),
    ):
        with pytest.raises(CannotOpen):
            sealer.open(other_key, data, other_seal)
    with pytest.raises(CannotOpen):
        Sealer("t" * 40).open(key, sealed, seal)


def test_a_secret_shows_itself_to_nobody():
    import pickle

    secret = Secret("mot")
    assert "mot" not in f"{secret} {secret!r} {[secret]} {secret!s:>10}"
    with pytest.raises(TypeError):
        pickle.dumps(secret)


async def test_two_at_once_make_one_data_key(server, cast, ssh, client):
    kept = [ssh.credentials.keep_password(cast.alice, client.id, f"n{i}", Secret(f"m{i}")) for i in range(6)]
    await asyncio.gather(*kept)
    async with server.services.kernel.db.connection() as conn:
        assert await (await conn.execute("SELECT count(*) FROM ssh_data_keys")).fetchone() == (1,)
