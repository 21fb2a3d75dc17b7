"""New keys, of the server and of an agent, with real processes and a restart."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from remote_parts import until
from wired_fixtures import enrol_agent, make_cast, serving

from compagnon.errors import Conflict
from compagnon_agent.protocol import messages, signing
from compagnon_agent.protocol.signing import long_fingerprint
from remote.control import identity
from remote.control.connection import Refused


def pinned(agent) -> dict:
    return json.loads((agent.folder / "identity.json").read_text())


async def online(server, agent):
    await until(lambda: server.services.remote.link.online(agent.machine_id), seconds=40, what="the agent is connected")


async def test_the_announced_key_is_followed_and_who_was_away_says_what_to_do(settings, tmp_path):
    async with serving(settings) as server:
        cast = await make_cast(server.services)
        there = await enrol_agent(server, cast, tmp_path / "there")
        away = await enrol_agent(server, cast, tmp_path / "away")
        await there.start()
        await online(server, there)
        new = identity.prepare(settings.data_dir)
        await server.services.remote.link.keep_present()
        await until(lambda: pinned(there).get("successor") == base64.b64encode(new).decode(), what="it is told")
        port = int(server.url.rpartition(":")[2])
    identity.switch(settings.data_dir)
    try:
        async with serving(replace(settings, port=port)) as server:
            await online(server, there)
            followed = base64.b64encode(new).decode()
            await until(lambda: pinned(there)["server_key"] == followed, what="the new key is pinned")
            assert "successor" not in pinned(there), "the old key is forgotten"
            await away.start()

            await until(lambda: long_fingerprint(new) in (away.folder / "agent.log").read_text(), seconds=40)
            assert "not trusted" in await away.run("status")
            with pytest.raises(AssertionError, match="not the digits"):
                await away.run("trust-server", "1234", "5678")
            await away.run("trust-server", *long_fingerprint(new).split())
            await online(server, away)
            await there.stop()
            await away.stop()
    finally:
        await there.stop()
        await away.stop()


async def test_an_agent_changes_its_own_key(server, cast, agent):
    machines = server.services.remote.machines
    before = (await machines.get(agent.machine_id)).public_key
    status, said = await agent.cli("rotate-key")
    assert status == 0, said

    async def changed():
        return (await machines.get(agent.machine_id)).public_key != before

    await until(changed, seconds=30, what="the server knows the new key")
    await until(lambda: not (agent.folder / "key.next.pem").exists(), what="the agent has only the new one")
    await agent.stop()
    await until(lambda: not server.services.remote.link.online(agent.machine_id))
    await agent.start()
    await until(lambda: server.services.remote.link.online(agent.machine_id), what="it is known by the new key")
    assert (await machines.history(agent.machine_id))[0].kind == "key_changed"


async def test_an_answer_that_was_lost_is_found_again(server, cast, agent):
    """The server has the new key, the agent does not know that: it tries both."""
    machines = server.services.remote.machines
    await agent.stop()
    await until(lambda: not server.services.remote.link.online(agent.machine_id))
    from compagnon_agent.keys import load_or_make, public_bytes

    new = public_bytes(load_or_make(agent.folder / "key.next.pem"))
    await machines.change_key(await machines.get(agent.machine_id), new)
    await agent.start()
    await until(lambda: server.services.remote.link.online(agent.machine_id), seconds=40, what="it tried the new one")
    await until(lambda: not (agent.folder / "key.next.pem").exists())


async def test_nobody_changes_a_key_without_both(server, cast, agent):
    link, machines = server.services.remote.link, server.services.remote.machines
    machine = await machines.get(agent.machine_id)
    thief = Ed25519PrivateKey.generate()
    key = thief.public_key().public_bytes_raw()
    proof = signing.key_change_proof(
        machine_id=machine.id, old=machine.public_key, new=key, server_key=link.identity.public
    )
    stolen = messages.KeyChange(key=key, old_signature=thief.sign(proof), new_signature=thief.sign(proof))
    with pytest.raises(Refused):
        await link.received(link.connections[machine.id], stolen)
    with pytest.raises(Conflict):
        await machines.change_key(replace(machine, public_key=bytes(32)), key)
    assert (await machines.get(machine.id)).public_key == machine.public_key
