"""The pages of devices: from the first look at a key to a session, and a changed key decided by two members."""

from __future__ import annotations

import re

from remote_parts import until

from remote.ssh.model import HostKeyState


async def test_a_device_from_its_form_to_a_session(server, cast, ssh, client, ticket, sshd, client_for):
    alice = await client_for(cast.alice)
    answer = await alice.post(f"/clients/{client.id}/access/make", data={"name": "maintenance"})
    assert answer.status_code == 303
    page = (await alice.get(f"/clients/{client.id}/access")).text
    sshd.allow(re.search(r"ssh-ed25519 \S+ compagnon-maintenance", page).group())
    (access,) = await ssh.credentials.for_client(client.id)
    fields = {
        "client_id": client.id, "name": "NAS <b>", "kind": "nas", "host": "127.0.0.1", "port": sshd.port,
        "username": sshd.user, "credential_id": access.id,
    }  # fmt: skip
    for wrong in ({"host": "a b"}, {"host": "host:22"}, {"port": 0}, {"username": "-x"}, {"kind": "toaster"},
                  {"credential_id": 999}, {"via_machine_id": 999}, {"name": ""}):  # fmt: skip
        answer = await alice.post("/devices/new", data={**fields, **wrong})
        assert answer.status_code == 422, wrong
    answer = await alice.post("/devices/new", data=fields)
    assert answer.status_code == 303
    key = answer.headers["location"]
    machine_id = int(key.split("/")[2])
    asked = {"ticket_id": ticket, "reason": "Regarder", "person": "Mme Le Goff", "how": "phone"}
    answer = await alice.post(f"/devices/{machine_id}/sessions", data=asked)
    assert answer.headers["location"] == key  # its key was not confirmed: nothing is opened
    shown = (await alice.get(key)).text
    assert await sshd.fingerprint() in shown.replace("&#43;", "+").replace("&#x2B;", "+")
    assert "NAS <b>" not in shown
    (seen,) = await ssh.devices.keys(machine_id)
    answer = await alice.post(f"/devices/{machine_id}/key/{seen.id}/confirm")
    assert answer.status_code == 303
    answer = await alice.post(f"/devices/{machine_id}/key/{seen.id}/confirm")
    assert answer.status_code == 409
    answer = await alice.post(f"/devices/{machine_id}/sessions", data=asked)
    assert answer.status_code == 303
    session_id = answer.headers["location"].rpartition("/")[2]
    await until(lambda: session_id in ssh.agents.shells, what="the shell is there")
    page = (await alice.get(f"/machines/{machine_id}")).text
    assert "127.0.0.1" in page
    listed = (await alice.get("/machines?show=offline")).text
    assert f"/machines/{machine_id}" not in listed  # no agent: it is never offline


async def test_a_consent_is_written_down_on_the_page_that_waits_for_it(server, cast, ssh, known, ticket, client_for):
    alice, bruno = await client_for(cast.alice), await client_for(cast.bruno)
    asked = {"machine_id": known.machine_id, "reason": "Regarder", "capability": "terminal"}
    answer = await alice.post(f"/tickets/{ticket}/sessions", data=asked)
    session_id = answer.headers["location"].rpartition("/")[2]
    page = (await alice.get(f"/sessions/{session_id}")).text
    assert f"/devices/{known.machine_id}/consents" in page
    said = {"session_id": session_id, "person": "Mme Le Goff", "how": "on_site"}
    where = f"/devices/{known.machine_id}/consents"
    assert (await bruno.post(where, data=said)).status_code == 403
    assert (await alice.post(where, data={**said, "person": ""})).status_code == 422
    assert (await alice.post(where, data={**said, "how": "telepathy"})).status_code == 422
    assert (await alice.post(where, data={**said, "session_id": "0" * 32})).status_code == 404
    away = await alice.post(where, data=said, headers={"referer": "https://elsewhere.example/x"})
    assert away.headers["location"] == f"/machines/{known.machine_id}"
    await until(lambda: session_id in ssh.agents.shells, what="the shell is there")
    assert (await alice.post(where, data=said)).status_code == 409


async def test_a_changed_key_is_decided_by_two_on_their_pages(server, cast, ssh, known, sshd, client_for):
    alice, bruno = await client_for(cast.alice), await client_for(cast.bruno)
    await sshd.stop()
    await sshd.new_key()
    await sshd.start()
    answer = await alice.post(f"/devices/{known.machine_id}/key/look")
    assert answer.headers["location"] == f"/devices/{known.machine_id}/key"
    new, old = await ssh.devices.keys(known.machine_id)
    page = (await alice.get(f"/devices/{known.machine_id}/key")).text.replace("&#43;", "+")
    assert new.fingerprint in page
    assert old.fingerprint in page
    assert "Alice Martin" in page
    where = f"/devices/{known.machine_id}/key/{new.id}"
    assert (await alice.post(f"{where}/propose", data={"reason": "court"})).status_code == 422
    assert (await alice.post(f"{where}/propose", data={"reason": "Le NAS a été remplacé"})).status_code == 303
    assert (await alice.post(f"{where}/confirm")).status_code == 403
    assert f"{where}/confirm" not in (await alice.get(f"/devices/{known.machine_id}/key")).text
    assert f"{where}/confirm" in (await bruno.get(f"/devices/{known.machine_id}/key")).text
    assert (await bruno.post(f"{where}/confirm")).status_code == 303
    assert (await ssh.devices.trusted(known.machine_id)).fingerprint == new.fingerprint


async def test_a_key_that_is_refused_is_never_talked_to(server, cast, ssh, device, client_for):
    alice = await client_for(cast.alice)
    await ssh.connector.look_at_key(device)
    (seen,) = await ssh.devices.keys(device.machine_id)
    assert (await alice.post(f"/devices/{device.machine_id}/key/{seen.id}/reject")).status_code == 303
    assert (await ssh.devices.keys(device.machine_id))[0].state is HostKeyState.REJECTED
    assert (await alice.post(f"/devices/{device.machine_id}/key/{seen.id}/confirm")).status_code == 409


async def test_the_server_dials_no_network_of_its_own_unless_it_is_told_to(server, cast, ssh, device, sshd):
    import pytest

    from remote.ssh.dial import Direct
    from remote.ssh.errors import Forbidden

    for host in ("127.0.0.1", "localhost", "::1", "::ffff:127.0.0.1", "169.254.169.254", "0.0.0.0", "224.0.0.1"):
        with pytest.raises(Forbidden):
            await Direct().connect(host, sshd.port)
