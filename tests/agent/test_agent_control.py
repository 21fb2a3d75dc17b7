"""The control connection of a real agent process: proof of identity, reconnection, facts, policy."""

from __future__ import annotations

import asyncio
import json
import uuid

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from compagnon_agent.identity import public_bytes
from compagnon_agent.protocol import messages
from compagnon_agent.protocol.checks import Outcome, parse_checks
from compagnon_agent.protocol.messages import CheckRequest, CheckResults, Facts, Pending, Policy, Revoked, Welcome


async def test_it_says_what_the_machine_is_and_what_it_grants(speaking_server, runner):
    await runner.start("--root-note", "Racine jetable")
    policy = await speaking_server.expect(Policy)
    assert policy.mode == "unattended-demo"
    assert policy.automatic == ("everything, without asking",)
    assert "Racine jetable" in policy.note
    assert 'mode = "unattended-demo"' in policy.source
    assert "service" in policy.sheet
    assert "command" not in policy.sheet
    facts = (await speaking_server.expect(Facts, timeout=60)).facts
    assert facts["os"]["family"] == "linux"
    assert facts["hardware"]["memory"] > 0
    assert facts["packages"] > 10
    assert facts["agent"]["note"] == "Racine jetable"
    assert any(disk["mount"] == "/" for disk in facts["disks"])
    assert await runner.stop() == 0


async def test_it_comes_back_by_itself(speaking_server, runner):
    await runner.start()
    await speaking_server.connected(1)
    await speaking_server.stop()
    await asyncio.sleep(0.3)
    await speaking_server.start()
    await speaking_server.connected(2)


async def test_a_server_with_another_key_is_refused(speaking_server, runner):
    speaking_server.shown_key = public_bytes(Ed25519PrivateKey.generate())
    await runner.start()
    await speaking_server.until(lambda: 4003 in speaking_server.closes)
    await speaking_server.until(lambda: "identity key is not the one" in runner.log)
    assert speaking_server.connections == 0
    _, status = await runner.command("status")
    assert "not trusted" in status


async def test_a_server_that_only_shows_the_right_key_is_refused(speaking_server, runner):
    speaking_server.signing_key = Ed25519PrivateKey.generate()
    await runner.start()
    await speaking_server.until(lambda: "could not prove" in runner.log)
    assert not speaking_server.inbox


async def test_a_pending_machine_does_nothing_until_it_is_welcome(speaking_server, runner):
    speaking_server.verdict = Pending
    await runner.start()
    await speaking_server.connected()
    request = CheckRequest(request_id=str(uuid.uuid4()), checks=parse_checks({"os": {"linux": {}}}), parameters={})
    await speaking_server.send(request)
    await asyncio.sleep(0.5)
    assert speaking_server.inbox == []
    await speaking_server.send(speaking_server.signed(Welcome))
    await speaking_server.expect(Policy)
    await speaking_server.send(request)
    results = await speaking_server.expect(CheckResults)
    assert results.results[0].outcome is Outcome.PASSED


async def test_an_unsigned_welcome_is_not_believed(speaking_server, runner):
    speaking_server.verdict = Pending
    await runner.start()
    await speaking_server.connected()
    await speaking_server.send(Welcome(signature=bytes(64)))
    await speaking_server.until(lambda: "could not prove" in runner.log)
    assert not speaking_server.inbox


async def test_a_revoked_machine_stops(speaking_server, runner):
    await runner.start()
    await speaking_server.connected()
    await speaking_server.send(speaking_server.signed(Revoked))
    assert await asyncio.wait_for(runner.process.wait(), 10) == 3
    assert "revoked" in runner.log


async def test_nonsense_ends_the_connection_and_the_agent_comes_back(speaking_server, runner):
    await runner.start()
    await speaking_server.connected(1)
    for bad in ("{", "[" * 100_000, '{"v":1,"type":"execute"}', '{"v":2,"type":"cancel"}'):
        count = speaking_server.connections
        await speaking_server.control.send(bad)
        await speaking_server.connected(count + 1)
        await speaking_server.expect(messages.Problem)
    assert speaking_server.closes.count(4000) == 4


async def test_unknown_messages_and_fields_are_left_alone(speaking_server, runner):
    await runner.start()
    await speaking_server.connected()
    await speaking_server.control.send(json.dumps({"v": 1, "type": "dance", "with": "me"}))
    await speaking_server.control.send(json.dumps({"v": 1, "type": "facts_request", "urgent": True}))
    await speaking_server.expect(Facts, timeout=60)
    assert speaking_server.connections == 1


async def test_checks_are_answered_in_order_and_commands_are_not_run(speaking_server, runner, tmp_path):
    await runner.start()
    await speaking_server.connected()
    marker = tmp_path / "ran"
    checks = parse_checks(
        {
            "command": {f"touch {marker}": {}},
            "file": {"/etc/passwd": {"exists": True}, "{{path}}": {"exists": True}},
            "port": {"1": {"listening": True}},
        }
    )
    request = CheckRequest(request_id=str(uuid.uuid4()), checks=checks, parameters={"path": "/nowhere"})
    await speaking_server.send(request)
    answer = await speaking_server.expect(CheckResults)
    assert answer.request_id == request.request_id
    assert [result.outcome for result in answer.results] == ["error", "pass", "fail", "fail"]
    assert not marker.exists()


async def test_what_not_everyone_may_read_is_not_looked_into(speaking_server, runner, tmp_path):
    runner.policy('mode = "attended"\n')
    await runner.start()
    await speaking_server.connected()
    secret = tmp_path / "secret"
    secret.write_text("motdepasse")
    checks = parse_checks(
        {
            "file": {str(secret): {"contents": ["motdepasse"]}, "/etc/passwd": {"contents": ["/^root:/"]}},
            "http": {f"http://192.0.2.1:{speaking_server.port}/": {"timeout": 300}},
        }
    )
    await speaking_server.send(CheckRequest(request_id=str(uuid.uuid4()), checks=checks, parameters={}))
    answer = await speaking_server.expect(CheckResults)
    assert [result.outcome for result in answer.results] == ["error", "pass", "error"]
    assert [result.reason[:13] for result in answer.results] == ["needs consent", "", "needs consent"]
    await speaking_server.send(CheckRequest(request_id=str(uuid.uuid4()), checks=checks[:1], parameters={}))
    assert (await speaking_server.expect(CheckResults)).results[0].reason[:13] == "needs consent"


async def test_an_edited_policy_is_told_at_once(speaking_server, runner):
    await runner.start()
    await speaking_server.expect(Policy)
    runner.policy('mode = "attended"\nnote = "Chez le client"\n')
    changed = await speaking_server.expect(Policy, timeout=15)
    assert (changed.mode, changed.note) == ("attended", "Chez le client")


async def test_two_agents_on_one_folder_are_refused(speaking_server, runner):
    await runner.start()
    await speaking_server.connected()
    code, said = await runner.command("run")
    assert code == 1
    assert "already running" in said


async def test_status_says_what_is_going_on(speaking_server, runner):
    code, said = await runner.command("status")
    assert code == 1
    assert "not running" in said
    await runner.start()
    await speaking_server.connected()
    await speaking_server.expect(Policy)
    code, said = await runner.command("status")
    assert code == 0
    assert "connected" in said
