"""A terminal through the whole path: browser page, server, a real agent's real shell."""

import asyncio
import os

import pytest
from remote_parts import is_open, until
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from compagnon.errors import Forbidden, Invalid, NotFound, Unavailable
from compagnon_agent.protocol import frames
from procedures.ports import RunRef
from remote.recordings import cast as recording_file
from remote.sessions.model import EndReason, SessionState


async def test_echo_through_the_whole_path(server, cast, session, page_of):
    page = await page_of(cast.alice, session)
    await page.type("echo bon''jour é€\r")
    await page.see("bonjour é€")
    assert page.last("people")["people"] == [{"id": cast.alice.id, "name": "Alice Martin", "driver": True}]


async def test_two_members_one_keyboard(server, cast, session, ticket, page_of):
    """Bruno watches, is refused while he watches, asks, is handed the keyboard and types; Alice then cannot."""
    await server.services.tickets.desk.add_collaborator(ticket, cast.alice, cast.bruno.id)
    alice = await page_of(cast.alice, session)
    bruno = await page_of(cast.bruno, session, viewer="b" * 16)
    assert [person["name"] for person in alice.last("people")["people"]] == ["Alice Martin", "Bruno Leroy"]
    await bruno.type("echo not''allowed\r")
    await until(lambda: bruno.last("refused"))
    bruno.typed.clear()
    await bruno.socket.send('{"type": "ask"}')
    await until(lambda: alice.last("asks"))
    answer = await alice.http.post(f"/sessions/{session.id}/hand-over", data={"to": cast.bruno.id})
    assert answer.status_code == 303, answer.text
    await until(lambda: bruno.last("people")["driver"] == cast.bruno.id)
    await bruno.type("echo from''bruno\r")
    await alice.see("frombruno")
    await alice.type("echo from''alice\r")
    await until(lambda: alice.last("refused"))
    await asyncio.sleep(0.2)
    assert b"notallowed" not in alice.output
    assert b"fromalice" not in alice.output


async def test_a_stranger_may_not_even_look(server, cast, session, client_for):
    chloe = await client_for(cast.chloe)
    assert (await chloe.get(f"/sessions/{session.id}")).status_code == 403
    assert (await chloe.post(f"/sessions/{session.id}/ticket")).status_code == 403
    assert (await chloe.post(f"/sessions/{session.id}/end")).status_code == 403


async def test_the_socket_wants_a_fresh_ticket_of_this_session_from_this_site(server, cast, session, page_of):
    page = await page_of(cast.alice, session, connected=False)
    url = server.url.replace("http", "ws", 1) + f"/sessions/{session.id}/ws?viewer={'a' * 16}&offset=&ticket="
    cookies = {"Cookie": "; ".join(f"{name}={value}" for name, value in page.http.cookies.items())}
    used = await page.ticket()
    async with connect(url + used, origin=server.url, additional_headers=cookies, compression=None):
        pass
    for ticket, origin, headers in [
        (used, server.url, cookies),
        ("wrong", server.url, cookies),
        (await page.ticket(), "https://evil.example", cookies),
        (await page.ticket(), server.url, {}),
    ]:
        with pytest.raises(InvalidStatus):
            async with connect(url + ticket, origin=origin, additional_headers=headers, compression=None):
                pass


async def test_a_reload_gets_everything_and_a_cut_only_what_is_missing(server, cast, session, page_of):
    page = await page_of(cast.alice, session)
    await page.type("seq 1 2000\r")
    await page.see("\n2000\r\n")
    await page.socket.close()
    seen, snapshots = bytes(page.output), page.snapshots
    other = await page_of(cast.alice, session, viewer="c" * 16)
    await other.see("\n2000\r\n")
    assert bytes(other.output).startswith(seen)  # the prompt may come behind it
    await other.type("echo mean''while\r")
    await other.see("meanwhile")
    await page.open(resume=True)
    await page.see("meanwhile")
    assert page.snapshots == snapshots
    await until(lambda: bytes(page.output) == bytes(other.output))


async def test_a_slow_page_is_brought_up_to_date_and_slows_nobody(server, cast, session, ticket, page_of):
    await server.services.tickets.desk.add_collaborator(ticket, cast.alice, cast.bruno.id)
    alice = await page_of(cast.alice, session)
    slow = await page_of(cast.bruno, session, viewer="b" * 16)
    slow.acknowledges = False  # it draws nothing: at most one window is on its way to it
    await alice.type("seq 1 800000; echo do''ne\r")
    await alice.see("done", seconds=60)
    sent = len(slow.output)
    assert sent <= 300 * 1024
    slow.acknowledges = True
    await slow.socket.send(frames.ack(slow.offset, 0).encode())
    await slow.see("done", seconds=20)
    assert slow.snapshots == 2
    assert len(slow.output) < 600 * 1024
    room = server.services.remote.sessions._rooms.get(session.id)
    assert len(room.scrollback._data) <= 1.5 * 2**20


async def test_stop_at_the_machine_ends_it_for_everybody(server, cast, session, agent, page_of):
    page = await page_of(cast.alice, session)
    await page.type("echo before''stop\r")
    await page.see("beforestop")
    status, output = await agent.cli("stop-session")
    assert status == 0, output
    await until(lambda: page.last("ended"))
    sessions = server.services.remote.sessions
    ended = await sessions.get(session.id)
    assert (ended.state, ended.end_reason) == (SessionState.ENDED, EndReason.CLIENT)
    recording = await sessions._rooms.recordings.get(session.id)
    await until(lambda: recorded(server, session.id))
    recording = await sessions._rooms.recordings.get(session.id)
    assert (await sessions._rooms.recordings.verify(recording)).sound
    assert "beforestop" in await sessions._rooms.recordings.transcript(session.id)


async def recorded(server, session_id):
    return (await server.services.remote.recordings.get(session_id)).state == "complete"


async def test_closing_the_ticket_or_leaving_the_shell_ends_it(server, cast, session, agent, ticket, page_of):
    sessions = server.services.remote.sessions
    page = await page_of(cast.alice, session)
    await page.type("exit 3\r")
    await until(lambda: page.last("ended"))
    assert (await sessions.get(session.id)).end_reason is EndReason.EXIT
    again = await sessions.open(agent.machine_id, ticket, "Encore une fois", cast.alice)
    await until(lambda: is_open(server, again.id))
    await sessions.end_for_ticket(ticket)
    assert (await sessions.get(again.id)).end_reason is EndReason.TICKET
    assert not await sessions.end(again.id, EndReason.MEMBER)


async def test_the_steps_of_a_run_are_marked_in_the_recording(server, cast, session, ticket, agent, page_of):
    page = await page_of(cast.alice, session)
    rooms = server.services.remote.sessions._rooms
    run = RunRef(
        id=1, procedure="imp-002", version=4, machine_id=agent.machine_id, ticket_id=ticket, member_id=cast.alice.id
    )
    await server.services.remote.marks.step_started(run, "s2")
    await until(lambda: page.last("step"))
    assert page.last("step")["step"] == "step:imp-002@4/s2"
    recording = await rooms.recordings.get(session.id)
    assert "step:imp-002@4/s2" in [marker.label for marker in await rooms.recordings.markers(recording)]


async def test_nothing_reaches_the_shell_while_the_recording_cannot_be_written(
    server, cast, session, page_of, monkeypatch
):
    page = await page_of(cast.alice, session)
    await page.type("echo o''k\r")
    await page.see("ok")
    real = os.write
    room = server.services.remote.sessions._rooms.get(session.id)

    def full(handle, data):
        if handle == room.recorder._handle:
            raise OSError(28, "No space left on device")
        return real(handle, data)

    monkeypatch.setattr("remote.recordings.recorder.os.write", full)
    await page.type("echo hid''den\r")
    await until(lambda: page.last("frozen") and page.last("frozen")["frozen"])
    await asyncio.sleep(0.3)
    assert b"hidden" not in page.output
    monkeypatch.undo()
    await page.see("hidden")
    assert bytes(page.output).count(b"hidden") == 1
    with room.recorder.path.open("rb") as file:
        report = recording_file.verify(iter(file), chunks=room.recorder.chunks, head=room.recorder.head)
    assert report.sound


async def test_a_session_needs_a_ticket_a_reason_and_a_machine_that_is_there(server, cast, agent, ticket):
    sessions = server.services.remote.sessions
    with pytest.raises(Invalid):
        await sessions.open(agent.machine_id, ticket, " ", cast.alice)
    with pytest.raises(Forbidden):
        await sessions.open(agent.machine_id, ticket, "Regarder", cast.bruno)
    with pytest.raises(NotFound):
        await sessions.open(agent.machine_id, 10**9, "Regarder", cast.alice)
    await agent.stop()
    await until(lambda: not server.services.remote.link.online(agent.machine_id))
    with pytest.raises(Unavailable):
        await sessions.open(agent.machine_id, ticket, "Regarder", cast.alice)
