"""What a killed server leaves behind is tidied up at the next start."""

import asyncio

from remote_parts import until

from compagnon.audit import Actor
from remote.machines.model import EnrolRequest
from remote.sessions import store
from remote.sessions.model import EndReason, ParticipantRole, SessionState, new_session_id
from tickets.desk.model import NewTicket


async def asked(services, cast):
    """A session that was asked for by a server that is gone."""
    client = await services.kernel.directory.add_client(kind="company", name="G", actor=Actor.member(cast.alice.id))
    machines = services.remote.machines
    offer = await machines.offer(cast.alice, client.id)
    request = EnrolRequest(code=offer.code, public_key=b"k" * 32, name="P", hostname="p", os="Linux", version="1")
    machine = await machines.enrol(request, "127.0.0.1")
    ticket = await services.tickets.desk.open(
        NewTicket(client_id=client.id, title="Panne", owner_id=cast.alice.id), cast.alice
    )
    session_id = new_session_id()
    values = {
        "id": session_id,
        "machine_id": machine.id,
        "ticket_id": ticket,
        "reason": "Regarder",
        "capability": "terminal",
        "target": "",
        "short_code": "1234",
        "member_id": cast.alice.id,
    }
    async with services.kernel.db.transaction() as conn:
        await store.add(conn, values)
        await store.join(conn, session_id, cast.alice.id, ParticipantRole.DRIVER)
    return session_id


async def test_a_question_nobody_asks_any_more_is_ended(services, cast):
    sessions = services.remote.sessions
    session_id = await asked(services, cast)
    await sessions.end_unanswered()
    assert (await sessions.get(session_id)).live, "it may still be answered"
    async with services.kernel.db.transaction() as conn:
        await conn.execute("UPDATE remote_sessions SET requested_at = requested_at - interval '1 day'")
    sessions._asking[session_id] = asyncio.current_task()
    await sessions.end_unanswered()
    assert (await sessions.get(session_id)).live, "it is being asked"
    del sessions._asking[session_id]
    async with sessions.running():
        await until(lambda: is_over(sessions, session_id))
    assert (await sessions.get(session_id)).end_reason is EndReason.NO_ANSWER


async def is_over(sessions, session_id):
    return not (await sessions.get(session_id)).live


async def test_the_recording_of_an_ended_session_is_finished(services, cast):
    sessions, recordings = services.remote.sessions, services.remote.recordings
    session_id = await asked(services, cast)
    recorder, _ = await recordings.begin(session_id, title="P", columns=80, rows=24)
    recorder.output(b"bonjour\r\n")
    recorder.close()
    async with services.kernel.db.transaction() as conn:
        await store.end(conn, session_id, SessionState.REQUESTED, EndReason.MEMBER)
    async with sessions.running():
        await until(lambda: is_complete(recordings, session_id))
    assert await recordings.transcript(session_id) == "bonjour"


async def is_complete(recordings, session_id):
    return (await recordings.get(session_id)).state == "complete"


async def test_an_anchor_that_could_not_be_written_is_tried_again(services, cast, monkeypatch):
    rooms = services.remote.sessions._rooms
    session = await services.remote.sessions.get(await asked(services, cast))
    room = await rooms.room(session)
    room.mark("ici")
    real, tries = rooms.recordings.anchor, []

    async def flaky(*arguments):
        tries.append(1)
        if len(tries) == 1:
            raise OSError("the database is away")
        await real(*arguments)

    monkeypatch.setattr(rooms.recordings, "anchor", flaky)
    for _ in range(3):
        try:
            await rooms._anchor_all()
        except OSError:
            continue
    assert len(tries) == 2
    assert (await rooms.recordings.get(session.id)).chunks == room.recorder.chunks
    room.end("member")
