"""A recording has a largest size, and its page reads it once."""

import asyncio
import gzip

import pytest
from remote_parts import until

from remote.recordings import cast as recording_file
from remote.recordings import files, service
from remote.sessions import room as room_module
from remote.sessions import rooms
from remote.sessions.model import EndReason


async def finished(server, session_id):
    return (await server.services.remote.recordings.get(session_id)).state == "complete"


async def test_a_session_that_fills_its_recording_is_ended_and_says_why(
    server, cast, session, page_of, client_for, monkeypatch
):
    monkeypatch.setattr(room_module, "LIMIT", 300_000)
    page = await page_of(cast.alice, session)
    await page.type("seq 1 400000\r")
    await until(lambda: page.last("ended"), what="the session is ended")
    assert page.last("ended")["reason"] == "full"
    sessions, recordings = server.services.remote.sessions, server.services.remote.recordings
    assert (await sessions.get(session.id)).end_reason is EndReason.FULL
    await until(lambda: finished(server, session.id))
    recording = await recordings.get(session.id)
    with files.opened(recordings.path(recording)) as file:
        size = len(file.read())
    assert 300_000 <= size < 300_000 + 400_000, "at most one write beyond"
    assert (await recordings.verify(recording)).sound
    text = (await (await client_for(cast.alice)).get(f"/sessions/{session.id}/side")).text
    assert "taille maximale" in text


async def test_a_full_recording_takes_no_typing(server, cast, session, page_of, monkeypatch):
    page = await page_of(cast.alice, session)
    await page.type("echo be''fore\r")
    await page.see("before")
    room = server.services.remote.sessions._rooms.get(session.id)
    ended = []
    monkeypatch.setattr(room, "_full", ended.append)
    monkeypatch.setattr(room_module, "LIMIT", room.recorder.size)
    await page.type("echo af''ter\r")
    await until(lambda: page.last("frozen") and page.last("frozen")["frozen"])
    room.retry()
    assert room.frozen, "a try to write does not thaw it"
    assert b"after" not in bytes(room.scrollback._data)
    assert ended == [session.id]


async def test_the_end_of_a_session_does_not_wait_for_a_long_recording(server, cast, session, page_of, monkeypatch):
    """The machine is told at once; who stops a session is not kept waiting while it is read through and packed."""
    monkeypatch.setattr(rooms, "FINISHED_SOON", 0.05)
    recordings, sessions = server.services.remote.recordings, server.services.remote.sessions
    go_on, real, told = asyncio.Event(), recordings.finish, []

    async def slow(session_id):
        await go_on.wait()
        await real(session_id)

    async def tell(machine_id, message, **_):
        told.append(message)

    monkeypatch.setattr(recordings, "finish", slow)
    monkeypatch.setattr(sessions._link, "tell", tell)
    page = await page_of(cast.alice, session)
    await page.type("echo bon''jour\r")
    await page.see("bonjour")
    await asyncio.wait_for(sessions.end(session.id, EndReason.MEMBER), 10)
    assert [type(message).__name__ for message in told] == ["SessionEnded"]
    assert not await finished(server, session.id)
    go_on.set()
    await until(lambda: finished(server, session.id))


@pytest.fixture
async def recorded(server, cast, session, page_of):
    """A finished recording."""
    page = await page_of(cast.alice, session)
    await page.type("echo bon''jour\r")
    await page.see("bonjour")
    await server.services.remote.sessions.end(session.id, EndReason.MEMBER)
    return await server.services.remote.recordings.get(session.id)


async def test_a_page_reads_the_recording_once_and_again_only_when_it_changed(
    server, cast, recorded, client_for, monkeypatch
):
    reads = []
    real = recording_file.verify

    def counted(*arguments, **named):
        reads.append(1)
        return real(*arguments, **named)

    monkeypatch.setattr(service.cast, "verify", counted)
    alice = await client_for(cast.alice)
    for _ in range(3):
        assert (await alice.get(f"/recordings/{recorded.session_id}")).status_code == 200
    assert len(reads) == 1
    path = server.services.remote.recordings.path(recorded)
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()).replace(b"bonjour", b"bonsoir")))
    survey = await server.services.remote.recordings.survey(recorded)
    assert not survey.report.sound
    assert len(reads) == 2
