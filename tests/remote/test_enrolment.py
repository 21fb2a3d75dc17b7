"""Who may enrol and who may connect: every way to cheat is refused."""

import asyncio
import base64
import secrets
from dataclasses import replace

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from compagnon_agent.protocol import messages, signing


def public(key):
    return key.public_key().public_bytes_raw()


def request(code, key, *, signed_by=None, **more):
    signature = (signed_by or key).sign(signing.enrolment_proof(code=code, public_key=public(key)))
    text = {"hostname": "pc-1", "os": "debian 12", "version": "0.1"}
    return {
        "code": code,
        "public_key": base64.b64encode(public(key)).decode(),
        "signature": base64.b64encode(signature).decode(),
        **text,
        **more,
    }


@pytest.fixture
async def http(server):
    async with httpx.AsyncClient(base_url=server.url) as client:
        yield client


async def enrolled(server, cast, client, http, key):
    offer = await server.services.remote.machines.offer(cast.alice, client.id)
    answer = await http.post("/agent/enroll", json=request(offer.code, key))
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_a_code_is_good_once(server, cast, client, http):
    offer = await server.services.remote.machines.offer(cast.alice, client.id)
    key = Ed25519PrivateKey.generate()
    first = await http.post("/agent/enroll", json=request(offer.spoken, key))
    assert (first.status_code, first.json()["state"]) == (201, "pending")
    again = await http.post("/agent/enroll", json=request(offer.code, key))
    assert again.json()["machine_id"] == first.json()["machine_id"], "the answer was lost: the same agent asks again"
    other = await http.post("/agent/enroll", json=request(offer.code, Ed25519PrivateKey.generate()))
    assert other.status_code == 403


async def test_a_code_is_good_for_a_quarter_of_an_hour(server, cast, client, http):
    offer = await server.services.remote.machines.offer(cast.alice, client.id)
    async with server.services.kernel.db.transaction() as conn:
        await conn.execute("UPDATE enrolment_codes SET expires_at = now() - interval '1 second'")
    answer = await http.post("/agent/enroll", json=request(offer.code, Ed25519PrivateKey.generate()))
    assert answer.status_code == 403


async def test_guessing_is_stopped(server, cast, client, http):
    offer = await server.services.remote.machines.offer(cast.alice, client.id)
    wrong = [f"{(int(offer.code) + number) % 10**8:08d}" for number in range(1, 12)]
    statuses = [
        (await http.post("/agent/enroll", json=request(code, Ed25519PrivateKey.generate()))).status_code
        for code in wrong
    ]
    assert statuses == [403] * 10 + [429]
    answer = await http.post("/agent/enroll", json=request(offer.code, Ed25519PrivateKey.generate()))
    assert answer.status_code == 429


async def test_codes_are_kept_hashed(server, cast, client):
    offer = await server.services.remote.machines.offer(cast.alice, client.id)
    async with server.services.kernel.db.connection() as conn:
        rows = await (await conn.execute("SELECT enrolment_codes::text FROM enrolment_codes")).fetchall()
    assert rows
    assert all(offer.code not in row[0] for row in rows)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"code": 12}',
        b'{"code": "12345678"}',
        b'{"code": "12345678", "public_key": "AA=="}',
        b"{" * 5000,
        b'"' + b"x" * 20_000 + b'"',
    ],
)
async def test_nonsense_is_refused_kindly(server, cast, http, body):
    answer = await http.post("/agent/enroll", content=body, headers={"content-type": "application/json"})
    assert answer.status_code in {400, 413, 422}, answer.text


async def test_a_key_must_sign_for_itself(server, cast, client, http):
    offer = await server.services.remote.machines.offer(cast.alice, client.id)
    key, thief = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    answer = await http.post("/agent/enroll", json=request(offer.code, key, signed_by=thief))
    assert answer.status_code == 403


async def dial(server, machine_id, key, *, purpose="control", path="/agent/control", change=None):
    """One handshake; the verdict, or the close code."""
    url = server.url.replace("http", "ws", 1) + path
    async with connect(url, compression=None) as socket:
        try:
            challenge = messages.decode(await socket.recv())
            nonce = secrets.token_bytes(32)
            proof = signing.agent_proof(
                purpose=purpose,
                machine_id=machine_id,
                server_nonce=challenge.nonce,
                agent_nonce=nonce,
                server_key=challenge.server_key,
            )
            hello = messages.Hello(machine_id=machine_id, nonce=nonce, signature=key.sign(proof), version="0.1")
            await socket.send(messages.encode(change(hello) if change else hello))
            return messages.decode(await asyncio.wait_for(socket.recv(), 5))
        except ConnectionClosed:
            return socket.close_code


async def test_only_its_key_speaks_for_a_machine(server, cast, client, http):
    key = Ed25519PrivateKey.generate()
    mine = (await enrolled(server, cast, client, http, key))["machine_id"]
    other_key = Ed25519PrivateKey.generate()
    other = (await enrolled(server, cast, client, http, other_key))["machine_id"]
    assert isinstance(await dial(server, mine, key), messages.Pending)
    assert await dial(server, mine, other_key) == 4001
    assert await dial(server, other, key) == 4001
    assert await dial(server, 10**9, key) == 4001
    assert await dial(server, mine, key, change=lambda hello: replace(hello, machine_id=other)) == 4001
    assert await dial(server, mine, key, change=lambda hello: replace(hello, nonce=b"\0" * 32)) == 4001
    assert await dial(server, mine, key, purpose="control ") == 4001


async def test_a_pending_machine_is_connected_but_may_do_nothing(server, cast, client, http):
    key = Ed25519PrivateKey.generate()
    machine_id = (await enrolled(server, cast, client, http, key))["machine_id"]
    remote = server.services.remote
    assert isinstance(await dial(server, machine_id, key), messages.Pending)
    assert not remote.link.online(machine_id)
    await remote.machines.approve(cast.alice, machine_id, name="A", site_id=None, environment=None)
    assert isinstance(await dial(server, machine_id, key), messages.Welcome)
    await remote.machines.revoke(cast.alice, machine_id)
    assert isinstance(await dial(server, machine_id, key), messages.Revoked)


async def test_the_server_proves_its_own_key(server, cast, client, http):
    key = Ed25519PrivateKey.generate()
    answer = await enrolled(server, cast, client, http, key)
    assert base64.b64decode(answer["server_key"]) == server.services.remote.link.identity.public


async def test_two_members_approve_once(server, cast, client, http):
    from compagnon.errors import Conflict

    machine_id = (await enrolled(server, cast, client, http, Ed25519PrivateKey.generate()))["machine_id"]
    approve = server.services.remote.machines.approve
    await approve(cast.alice, machine_id, name="A", site_id=None, environment=None)
    with pytest.raises(Conflict):
        await approve(cast.bruno, machine_id, name="B", site_id=None, environment=None)
