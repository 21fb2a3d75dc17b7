"""Sessions that the server calls, through the whole path: a member's request, the room, a real agent."""

from __future__ import annotations

import asyncio
import json
import subprocess

import psutil
import pytest
from remote_parts import is_open, until

from compagnon.errors import Conflict, Forbidden, Invalid
from remote.recordings import cast as recording_file
from remote.sessions.call_room import CallFailed
from remote.sessions.model import EndReason, is_target


@pytest.fixture
async def processes(server, cast, agent, ticket):
    """An open ``processes`` session of Alice's, with its agent there."""
    sessions = server.services.remote.sessions
    opened = await sessions.open(agent.machine_id, ticket, "Voir", cast.alice, capability="processes")
    await until(lambda: is_open(server, opened.id), what="the session is open")
    return await sessions.get(opened.id)


@pytest.fixture
def sleeper():
    started = subprocess.Popen(["sleep", "300"])
    yield psutil.Process(started.pid)
    started.kill()
    started.wait()


async def test_a_process_is_listed_and_ended_and_both_sides_write_it_down(
    server, cast, agent, processes, sleeper, client_for
):
    alice = await client_for(cast.alice)
    page = await alice.get(f"/sessions/{processes.id}/processes")
    assert page.status_code == 200
    assert str(sleeper.pid) in page.text
    form = {"pid": sleeper.pid, "started": int(sleeper.create_time()), "name": "sleep"}
    answer = await alice.post(f"/sessions/{processes.id}/processes/end", data=form)
    assert answer.status_code == 303, answer.text
    await until(lambda: sleeper.status() == psutil.STATUS_ZOMBIE)
    recordings = server.services.remote.recordings
    path = recordings.path(await recordings.get(processes.id))
    with path.open("rb") as file:
        labels = [marker.label for marker in recording_file.markers(iter(file))]
    assert f"processes.end: {sleeper.pid} sleep" in labels
    lines = [json.loads(line) for line in (agent.folder / "audit.jsonl").read_text().splitlines()]
    assert any("processes.end" in json.dumps(line) for line in lines)


async def test_another_process_with_the_same_number_is_left_alone(server, cast, processes, sleeper, client_for):
    alice = await client_for(cast.alice)
    form = {"pid": sleeper.pid, "started": int(sleeper.create_time()) - 7, "name": "sleep"}
    answer = await alice.post(f"/sessions/{processes.id}/processes/end", data=form)
    assert answer.status_code == 409
    assert sleeper.status() != psutil.STATUS_ZOMBIE


async def test_who_does_not_drive_looks_and_changes_nothing(server, cast, ticket, processes, sleeper):
    await server.services.tickets.desk.add_collaborator(ticket, cast.alice, cast.bruno.id)
    calling = server.services.remote.calling
    assert await calling.room(processes.id, cast.bruno, processes.capability, changes=False)
    with pytest.raises(Forbidden):
        await calling.room(processes.id, cast.bruno, processes.capability, changes=True)
    with pytest.raises(Forbidden):
        await calling.room(processes.id, cast.chloe, processes.capability, changes=False)


async def test_calls_wait_for_a_connection_that_is_cut(server, cast, processes):
    room = await server.services.remote.calling.room(processes.id, cast.alice, processes.capability, changes=False)
    await until(lambda: room.agent)
    answers = []
    for _ in range(5):
        wire = room.agent
        asked = asyncio.create_task(room.call("processes.list", {}, member_id=cast.alice.id))
        await asyncio.sleep(0)
        wire.dismiss(1012, "cut by the test")
        room.detach(wire)
        answers.append(await asyncio.wait_for(asked, 20))
    assert all(answer["processes"] for answer in answers)


async def test_what_the_session_is_not_for_is_refused(server, cast, processes):
    room = await server.services.remote.calling.room(processes.id, cast.alice, processes.capability, changes=False)
    with pytest.raises(CallFailed) as refused:
        await room.call("files.list", {}, member_id=cast.alice.id)
    assert refused.value.code == "unknown"
    with pytest.raises(CallFailed) as refused:
        await room.call("processes.end", {"pid": "1", "started": 0}, member_id=cast.alice.id)
    assert refused.value.code == "invalid"


async def test_the_end_of_a_session_answers_whoever_waits(server, cast, processes):
    sessions = server.services.remote.sessions
    room = await server.services.remote.calling.room(processes.id, cast.alice, processes.capability, changes=False)
    await until(lambda: room.agent)
    wire = room.agent
    room.detach(wire)
    waiting = asyncio.create_task(room.call("processes.list", {}, member_id=cast.alice.id))
    await asyncio.sleep(0)
    await sessions.end(processes.id, EndReason.MEMBER)
    with pytest.raises(Conflict):
        await waiting


async def test_only_what_the_agent_has_and_a_real_target_can_be_asked_for(server, cast, agent, ticket):
    sessions = server.services.remote.sessions
    for wrong in ({"capability": "teleport"}, {"capability": "terminal", "target": "a:1"}, {"capability": "tunnel"}):
        with pytest.raises(Invalid):
            await sessions.open(agent.machine_id, ticket, "Voir", cast.alice, **wrong)


@pytest.mark.parametrize("text", ["nas:22", "192.168.1.20:9100", "[fe80::1]:22", "a.b-c.fr:65535"])
def test_targets(text):
    assert is_target(text)


@pytest.mark.parametrize(
    "text", ["", "nas", "nas:0", "nas:65536", ":22", "a b:22", "[x]:22", "-a:22", "nas:２２", "a" * 300 + ":1"]
)
def test_no_targets(text):
    assert not is_target(text)
