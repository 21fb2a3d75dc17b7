"""An agent can only ever speak for itself: every message it may send, about what belongs to another machine."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from remote_parts import Ear, is_open, until

from compagnon.errors import AppError
from compagnon_agent.protocol import messages
from compagnon_agent.protocol.checks import Outcome
from compagnon_agent.protocol.messages import ConsentSource, EndReason, Finding, StepState
from compagnon_agent.protocol.wire import loads
from remote.control.connection import AgentConnection, Proof
from remote.machines.model import Arrival, EnrolRequest
from remote.wire import Closed

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def everything(session_id: str, request_id: str) -> list[messages.Message]:
    """One of each type that an agent may send, about another's session, question, step or schedule."""
    finding = Finding(index=0, outcome=Outcome.FAILED, observed={}, reason="x")
    told = [
        messages.Facts(collected=NOW, facts={"hostname": "intrus"}),
        messages.Policy(mode="unattended-demo"),
        messages.AuditHead(head="f" * 64, number=1),
        messages.Dropped(counts={"facts": 1}),
        messages.ConsentWithdrawn(session_id=session_id, reason="x"),
        messages.SessionEnded(session_id=session_id, reason=EndReason.CLIENT),
        messages.CheckReport(schedule="0" * 64, full=True, findings=(finding,), request_ids=(request_id,)),
    ]
    queued = [
        messages.Queued(queue=str(uuid.uuid4()), number=1, age=0, message=loads(messages.encode(one), limit=2**20))
        for one in told
    ]
    answers = [
        messages.Heartbeat(),
        messages.CheckResults(request_id=request_id, results=()),
        messages.ConsentAnswer(request_id=request_id, granted=True, source=ConsentSource.DIALOG, seconds=3600),
        messages.StepResult(attempt_id=request_id, state=StepState.DONE, started=NOW, ended=NOW, age=0),
        messages.SessionRefused(session_id=session_id, reason="x"),
        messages.SessionEnded(session_id=session_id, reason=EndReason.EXIT),
        messages.Checked(schedule="0" * 64),
        messages.Problem(about=request_id, reason="x"),
        messages.AuditLine(number=1, hash="f" * 64),
        messages.WatchRequest(request_id=request_id, session_id=session_id),
    ]
    return [*queued, *answers]


async def test_nothing_it_says_reaches_another_machine(server, cast, agent, session, intruder):
    link, services = server.services.remote.link, server.services
    victim = await link.machines.get(agent.machine_id)
    _, told = await link.machines.reported(victim.id)
    history = len(await link.machines.history(victim.id, 100))
    request = str(uuid.uuid4())
    waiting: asyncio.Future[messages.Message] = asyncio.get_running_loop().create_future()
    for key in (request, f"step:{request}"):
        link._waiting[victim.id, key] = waiting
    for number, message in enumerate(everything(session.id, request)):
        try:
            await link.received(intruder, message)
        except (AppError, Closed) as error:
            pytest.fail(f"{number} {message}: {error}")
    assert not waiting.done(), "no question to the other machine was answered"
    assert await is_open(server, session.id), "its session goes on"
    now = await link.machines.get(victim.id)
    assert replace(now, last_seen_at=None) == replace(victim, last_seen_at=None, online=now.online)
    _, after = await link.machines.reported(victim.id)
    assert (after.policy, after.audit_head) == (told.policy, told.audit_head)
    assert len(await link.machines.history(victim.id, 100)) == history
    assert link.online(victim.id)
    assert services.remote.link.connections[victim.id] is not intruder


async def test_it_is_believed_about_itself(server, cast, agent, session, intruder):
    """The same messages do something where they are its own: the test above is not about messages that do nothing."""
    link = server.services.remote.link
    for message in everything(session.id, str(uuid.uuid4())):
        await link.received(intruder, message)
    _, told = await link.machines.reported(intruder.machine.id)
    assert (told.policy["mode"], told.audit_head) == ("unattended-demo", "f" * 64)
    kinds = {event.kind for event in await link.machines.history(intruder.machine.id)}
    assert {"policy", "dropped", "consent_withdrawn"} <= kinds


async def test_what_waits_for_approval_is_not_heard(server, cast, client, intruder):
    link = server.services.remote.link
    offer = await link.machines.offer(cast.alice, client.id)
    request = EnrolRequest(code=offer.code, public_key=b"p" * 32, name="P", hostname="p", os="Linux", version="1")
    machine = await link.machines.enrol(request, "127.0.0.1")
    pending = AgentConnection(Ear(), machine, Proof("control", machine.id, bytes(32), bytes(32)))
    await link.arrive(pending, Arrival(id=machine.id, version="1", capabilities=()))
    for message in everything("a" * 32, str(uuid.uuid4())):
        await link.received(pending, message)
    _, told = await link.machines.reported(machine.id)
    assert (told.policy, told.audit_head) == ({}, None)
    assert [event.kind for event in await link.machines.history(machine.id)] == ["enrolled"]
    await link.left(pending)


async def test_the_last_connection_speaks_for_the_machine(server, cast, intruder):
    link = server.services.remote.link
    second = AgentConnection(Ear(), intruder.machine, intruder.proof)
    await link.arrive(second, Arrival(id=intruder.machine.id, version="1", capabilities=()))
    assert link.connections[intruder.machine.id] is second
    await link.left(intruder)
    assert link.online(intruder.machine.id), "the end of the one before is not the machine's"
    assert (await link.machines.get(intruder.machine.id)).online
    await link.left(second)
    await until(lambda: not link.online(intruder.machine.id))
    assert not (await link.machines.get(intruder.machine.id)).online
