"""Four eyes: not one byte reaches the machine while one member is alone, in races too."""

import asyncio
import random
import time

import pytest
from remote_parts import until

from compagnon.errors import Conflict, Forbidden, NotFound
from remote.sessions import room as room_module
from remote.sessions.moderation import Moderation


@pytest.fixture
async def moderated(server, cast, client):
    """The client asks for a second member."""
    made = Moderation(server.services.kernel, server.services.remote.sessions._rooms)
    await made.set(cast.ada, client.id, on=True)
    return made


@pytest.fixture
async def shared(server, cast, moderated, session):
    """A session of that client's machine, to which Bruno is invited."""
    await server.services.remote.sessions.invite(cast.alice, session.id, cast.bruno.id)
    return session


def held(page):
    return sum(note["type"] == "hold" for note in page.notes)


def room_of(server, session):
    return server.services.remote.sessions._rooms.get(session.id)


async def test_typing_waits_until_a_second_member_is_there_and_arrives_once(server, cast, shared, page_of):
    alice = await page_of(cast.alice, shared)
    assert alice.last("welcome")["alone"] is True
    await alice.type("echo se''ul\r")
    await until(lambda: alice.last("hold"), what="it is held back")
    room = room_of(server, shared)
    assert (room.stream.written, room.typed.end) == (0, 0)
    bruno = await page_of(cast.bruno, shared, viewer="b" * 16)
    await alice.see("seul")
    assert bytes(alice.output).count(b"seul") == 1
    assert alice.last("eyes")["alone"] is False
    await bruno.close()
    await until(lambda: alice.last("eyes")["alone"])
    before, holds = room.stream.written, held(alice)
    await alice.type("echo enc''ore\r")
    await until(lambda: held(alice) > holds, what="held again")
    assert room.stream.written == before
    labels = [mark.label for mark in await server.services.remote.recordings.markers(
        await server.services.remote.recordings.get(shared.id)
    )]  # fmt: skip
    assert [label for label in labels if label.startswith("four eyes")] == [
        "four eyes: alone", "four eyes: together", "four eyes: alone",
    ]  # fmt: skip


async def test_two_pages_of_the_same_member_are_no_four_eyes(server, cast, shared, page_of):
    first = await page_of(cast.alice, shared)
    second = await page_of(cast.alice, shared, viewer="c" * 16)
    assert second.last("welcome")["alone"] is True
    await first.type("x")
    await until(lambda: first.last("hold"))


async def test_what_was_accepted_does_not_leave_once_one_is_alone(server, cast, agent, shared, page_of):
    """The agent's link is cut while two are there; by the time it is back, one of them has gone."""
    alice = await page_of(cast.alice, shared)
    bruno = await page_of(cast.bruno, shared, viewer="b" * 16)
    await alice.type("echo de''but\r")
    await alice.see("debut")
    room = room_of(server, shared)
    sent = []
    real = room._to_agent

    async def counted(data):
        sent.append(data)
        await real(data)

    room._to_agent = counted
    room.stream._limit = room.stream._start  # no credit: what is accepted now waits in the stream
    await alice.type("touch ~/ALONE\r")
    await until(lambda: room.typed.end > len("echo de''but\r"), what="it was accepted while two were there")
    await bruno.close()
    await until(lambda: room.alone)
    room.stream._limit += 10_000
    await room.pump()
    await asyncio.sleep(0.3)
    assert not any(b"ALONE" in data for data in sent if isinstance(data, bytes))
    assert not (agent.folder / "ALONE").exists()
    await page_of(cast.bruno, shared, viewer="d" * 16)
    await until(lambda: (agent.folder / "ALONE").exists(), what="it goes on once they are two again")


async def test_leaving_while_typing_lets_nothing_through(server, cast, shared, page_of):
    """Bruno comes and goes at random moments while Alice types without a pause."""
    alice = await page_of(cast.alice, shared)
    room = room_of(server, shared)
    leaks, dice = [], random.Random(4)
    real = room._to_agent

    async def watched(data):
        if isinstance(data, bytes) and data[:1] == b"\x01" and room.alone:  # DATA
            leaks.append(data)
        await real(data)

    real_next = room.stream._next_data

    def next_data():
        frame = real_next()
        if frame is not None and room.alone:
            leaks.append(frame)
        return frame

    room._to_agent = watched
    room.stream._next_data = next_data
    typing = asyncio.create_task(_type_on(alice))
    for _ in range(12):
        bruno = await page_of(cast.bruno, shared, viewer=f"{dice.randrange(2**60):016x}")
        await asyncio.sleep(dice.random() / 8)
        await bruno.close()
        await asyncio.sleep(dice.random() / 8)
    typing.cancel()
    await until(lambda: room.alone)
    written = room.stream.written
    await alice.type("#")
    await asyncio.sleep(0.3)
    assert room.stream.written == written
    assert written > 0, "while they were two, it went through"
    assert leaks == []


async def _type_on(page):
    while True:
        await page.type(" ")
        await asyncio.sleep(0.002)


async def test_somebody_whose_line_went_dead_does_not_count(server, cast, shared, page_of, monkeypatch):
    alice = await page_of(cast.alice, shared)
    bruno = await page_of(cast.bruno, shared, viewer="b" * 16)
    room = room_of(server, shared)
    assert not room.alone
    (dead,) = [viewer for viewer in room.viewers if viewer.member_id == cast.bruno.id]
    bruno.acknowledges = False
    dead.heard = time.monotonic() - room_module.EYES - 1
    await alice.type("x")
    await until(lambda: alice.last("hold"), what="nobody has heard of the second one for too long")
    await until(lambda: alice.last("eyes") and alice.last("eyes")["alone"], what="and it is said")


async def test_who_may_not_stay_any_more_does_not_count(server, cast, shared, page_of):
    await page_of(cast.alice, shared)
    await page_of(cast.bruno, shared, viewer="b" * 16)
    room = room_of(server, shared)
    next(viewer for viewer in room.viewers if viewer.member_id == cast.bruno.id).allowed = False
    assert room.alone


async def test_it_is_an_administrators_word_and_counts_in_open_sessions(
    server, cast, client, session, page_of, moderated
):
    alice = await page_of(cast.alice, session)
    assert alice.last("welcome")["alone"]
    for who in (cast.alice, cast.chloe):
        with pytest.raises(Forbidden):
            await moderated.set(who, client.id, on=False)
    with pytest.raises(Conflict):
        await moderated.set(cast.ada, client.id, on=True)
    with pytest.raises(NotFound):
        await moderated.set(cast.ada, 10**9, on=True)
    await moderated.set(cast.ada, client.id, on=False)
    await alice.type("echo li''bre\r")
    await alice.see("libre")
    await moderated.set(cast.ada, client.id, on=True)
    await until(lambda: alice.last("eyes")["alone"])


async def test_calls_that_change_something_are_refused_alone(server, cast, agent, ticket, moderated, page_of):
    sessions, calling = server.services.remote.sessions, server.services.remote.calling
    asked = await sessions.open(agent.machine_id, ticket, "Voir les programmes", cast.alice, capability="processes")

    async def opened():
        return (await sessions.get(asked.id)).state.value == "open"

    await until(opened)
    room = await calling.room(asked.id, cast.alice, asked.capability, changes=False)
    await until(lambda: room.connected)
    with pytest.raises(Conflict):
        await room.call("processes.end", {"pid": 1}, member_id=cast.alice.id, record="end 1")
    assert room.alone


async def test_the_pages_say_it(server, cast, client, shared, page_of, client_for):
    await page_of(cast.alice, shared)
    alice, ada = await client_for(cast.alice), await client_for(cast.ada)
    assert "la saisie est arrêtée" in (await alice.get(f"/sessions/{shared.id}/side")).text
    assert "Personne ne travaille seul" in (await alice.get(f"/clients/{client.id}")).text
    assert (await alice.post(f"/clients/{client.id}/four-eyes", data={})).status_code == 403
    assert (await ada.post(f"/clients/{client.id}/four-eyes", data={})).status_code == 303
    assert "la saisie est arrêtée" not in (await alice.get(f"/sessions/{shared.id}/side")).text
