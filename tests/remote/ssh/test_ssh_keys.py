"""Which key of a device is believed: the first after one look, another one after two members' decision."""

from __future__ import annotations

import traceback

import pytest

from compagnon.errors import Conflict, Forbidden
from remote.ssh.errors import AuthenticationRefused, KeyChanged, KeyUnknown, NotSsh, Unreachable
from remote.ssh.model import HostKeyState, NewDevice
from remote.ssh.sealing import Secret


async def actions(server, machine_id):
    async with server.services.kernel.db.connection() as conn:
        query = "SELECT actor, action FROM audit_log WHERE subject = %s ORDER BY seq"
        return await (await conn.execute(query, [f"machine:{machine_id}"])).fetchall()


async def test_the_first_key_is_shown_as_the_device_shows_it_and_confirmed_by_a_member(server, cast, ssh, sshd, device):
    with pytest.raises(KeyUnknown):
        await ssh.connector.connect(device)
    assert not await ssh.connector.look_at_key(device)
    (key,) = await ssh.devices.keys(device.machine_id)
    assert key.fingerprint == await sshd.fingerprint()
    assert key.state is HostKeyState.SEEN
    with pytest.raises(KeyUnknown):
        await ssh.connector.connect(device)
    await ssh.devices.confirm(cast.bruno, device.machine_id, key.id)
    async with ssh.connector.connection(device) as client:
        assert client.get_transport().is_authenticated()
    assert await ssh.connector.look_at_key(device)
    assert (f"member:{cast.bruno.id}", "device.key_trusted") in await actions(server, device.machine_id)


async def test_a_changed_key_stops_everything_until_a_second_member_confirms(server, cast, ssh, sshd, known):
    await sshd.stop()
    await sshd.new_key()
    await sshd.start()
    for _ in range(2):
        with pytest.raises(KeyChanged):
            await ssh.connector.connect(known)
    assert (await ssh.devices.get(known.machine_id)).trouble == "key_changed"
    new, old = await ssh.devices.keys(known.machine_id)
    assert (new.state, old.state) == (HostKeyState.SEEN, HostKeyState.TRUSTED)
    assert new.fingerprint == await sshd.fingerprint()
    with pytest.raises(Conflict):  # nobody proposed it
        await ssh.devices.confirm(cast.bruno, known.machine_id, new.id)
    await ssh.devices.propose(cast.alice, known.machine_id, new.id, "Le NAS a été remplacé hier")
    with pytest.raises(Forbidden):
        await ssh.devices.confirm(cast.alice, known.machine_id, new.id)
    with pytest.raises(KeyChanged):
        await ssh.connector.connect(known)
    await ssh.devices.confirm(cast.bruno, known.machine_id, new.id)
    async with ssh.connector.connection(known):
        pass
    with pytest.raises(Conflict):  # decided already
        await ssh.devices.confirm(cast.chloe, known.machine_id, new.id)
    assert [key.state for key in await ssh.devices.keys(known.machine_id)] == [
        HostKeyState.TRUSTED, HostKeyState.REPLACED,
    ]  # fmt: skip


async def test_a_key_that_changes_again_takes_the_proposal_away(server, cast, ssh, sshd, known):
    await sshd.stop()
    await sshd.new_key()
    await sshd.start()
    assert not await ssh.connector.look_at_key(known)
    proposed = (await ssh.devices.keys(known.machine_id))[0]
    await ssh.devices.propose(cast.alice, known.machine_id, proposed.id, "Le NAS a été remplacé hier")
    await sshd.stop()
    await sshd.new_key()
    await sshd.start()
    assert not await ssh.connector.look_at_key(known)
    with pytest.raises(Conflict):
        await ssh.devices.confirm(cast.bruno, known.machine_id, proposed.id)
    with pytest.raises(KeyChanged):
        await ssh.connector.connect(known)


async def test_the_database_itself_refuses_one_member_as_two(server, cast, ssh, sshd, known):
    import psycopg

    async with server.services.kernel.db.connection() as conn:
        with pytest.raises(psycopg.errors.CheckViolation):
            await conn.execute("UPDATE ssh_host_keys SET proposed_by = decided_by WHERE state = 'trusted'")


async def test_a_key_that_the_device_does_not_know_is_told_as_that(server, ssh, sshd, known):
    sshd.allow("")
    with pytest.raises(AuthenticationRefused):
        await ssh.connector.connect(known)
    assert (await ssh.devices.get(known.machine_id)).trouble == "refused"


async def test_a_wrong_password_is_told_as_that_and_never_written_anywhere(server, cast, ssh, sshd, known, caplog):
    access = await ssh.credentials.keep_password(
        cast.alice, known.client_id, "mdp", Secret("hunt" + "er2-mot-de-passe")
    )
    new = NewDevice(
        name=known.name, kind=known.kind, host=known.host, port=known.port, username=known.username,
        credential_id=access.id,
    )  # fmt: skip
    changed = await ssh.devices.change(cast.alice, known.machine_id, new)
    with caplog.at_level("DEBUG"), pytest.raises(AuthenticationRefused) as refused:
        await ssh.connector.connect(changed)
    told = traceback.TracebackException.from_exception(refused.value, capture_locals=True)
    assert refused.value.__context__ is None
    assert "hunter2" not in caplog.text + repr(refused.value) + "".join(told.format())


async def test_nothing_there_and_something_else_there_are_told_apart(server, cast, ssh, sshd, known):
    await sshd.kill_all()
    with pytest.raises(Unreachable):
        await ssh.connector.connect(known)
    port = int(server.url.rpartition(":")[2])  # speaks HTTP
    new = NewDevice(name="X", kind=known.kind, host="127.0.0.1", port=port, username="x")
    with pytest.raises(NotSsh):
        await ssh.connector.look_at_key(await ssh.devices.change(cast.alice, known.machine_id, new))
