"""A terminal on a device, through the whole path: page, server with its recording, SSH, a real shell."""

from __future__ import annotations

import asyncio

import pytest
from remote_parts import until

from compagnon.errors import Conflict, Forbidden
from compagnon_agent.protocol import frames
from remote.sessions.model import EndReason, SessionState
from remote.ssh.consents import Asked
from remote.ssh.model import How


async def state(server, session_id):
    return (await server.services.remote.sessions.get(session_id)).state


@pytest.fixture
async def asked(server, cast, ssh, known, ticket):
    """Alice asked for a terminal; nobody wrote down who agreed."""
    sessions = server.services.remote.sessions
    session = await sessions.open(known.machine_id, ticket, "Regarder les disques", cast.alice)
    await until(lambda: server.services.remote.link.consents(known.machine_id), what="it waits for a consent")
    return session


@pytest.fixture
async def opened(server, cast, ssh, known, asked):
    consent = Asked(machine_id=known.machine_id, ticket_id=asked.ticket_id, session_id=asked.id)
    await ssh.consents.record(cast.alice, consent, how=How.PHONE, person="Mme Le Goff")
    await until(lambda: asked.id in ssh.agents.shells, what="the shell is there")
    return await server.services.remote.sessions.get(asked.id)


async def test_nothing_is_opened_before_somebody_wrote_down_who_agreed(server, cast, ssh, known, asked):
    consent = Asked(machine_id=known.machine_id, ticket_id=asked.ticket_id, session_id=asked.id)
    with pytest.raises(Forbidden):  # not Bruno's ticket
        await ssh.consents.record(cast.bruno, consent, how=How.PHONE, person="Mme Le Goff")
    assert await state(server, asked.id) is SessionState.CONSENTING
    assert not ssh.agents.shells
    await ssh.consents.record(cast.alice, consent, how=How.ON_SITE, person="Mme Le Goff")
    await until(lambda: asked.id in ssh.agents.shells)
    session = await server.services.remote.sessions.get(asked.id)
    assert session.consent_by == "record: on_site: Mme Le Goff"
    with pytest.raises(Conflict):
        await ssh.consents.record(cast.alice, consent, how=How.PHONE, person="Quelqu'un d'autre")


async def test_keys_output_size_and_exit_go_through_and_are_recorded(server, cast, ssh, known, opened, page_of):
    page = await page_of(cast.alice, opened)
    await page.type("echo un-$((1+1))-trois\r")
    await page.see("un-2-trois")
    await page.socket.send(frames.resize(133, 41).encode())
    await page.type("stty size\r")
    await page.see("41 133")
    await page.type("echo dor''mir; sleep 300\r")
    await page.see("dormir")
    await page.type("\x03")
    await page.see("^C")  # what is typed before a Ctrl-C is handled, the terminal may drop
    await page.type("echo apres-$((2+2))\r")
    await page.see("apres-4")
    await page.type("exit 7\r")
    await until(lambda: page.last("ended"), what="the page is told of the end")
    session = await server.services.remote.sessions.get(opened.id)
    assert session.end_reason is EndReason.EXIT
    await until(lambda: opened.id not in ssh.agents.shells)
    recordings = server.services.remote.recordings
    await until(lambda: recorded(recordings, opened.id), what="the recording is complete")
    recording = await recordings.get(opened.id)
    assert (await recordings.verify(recording)).sound
    assert "un-2-trois" in await recordings.transcript(opened.id)
    assert any(mark.label == "consent: phone: Mme Le Goff" for mark in await recordings.markers(recording))


async def recorded(recordings, session_id):
    return (await recordings.get(session_id)).state.value == "complete"


async def test_a_flood_waits_for_a_page_that_does_not_read_and_every_byte_arrives(
    server, cast, ssh, known, opened, page_of
):
    page = await page_of(cast.alice, opened)
    await page.type("seq 1 400000 | md5sum; seq 1 400000; echo fi''ni\r")
    await page.see("fini", 60)
    room = server.services.remote.sessions._rooms.get(opened.id)
    shown = bytes(page.output)
    if page.snapshots <= 1:  # the page kept up: it has every line
        assert shown.count(b"\n") >= 400_000
    assert room.recorder.offset > 2_600_000


async def test_ctrl_c_ends_a_flood(server, cast, ssh, known, opened, page_of):
    page = await page_of(cast.alice, opened)
    await page.type("yes debordement\r")
    await page.see("debordement\r\ndebordement")
    await page.type("\x03")
    await page.see("^C", 30)
    await page.type("echo cal''me\r")
    await page.see("calme", 30)


async def test_a_device_that_breaks_off_ends_the_session_and_the_recording_is_whole(
    server, cast, ssh, known, opened, page_of, sshd
):
    page = await page_of(cast.alice, opened)
    await page.type("echo avant-$((3+3))\r")
    await page.see("avant-6")
    await sshd.kill_all()
    await until(lambda: page.last("ended"), seconds=30, what="the page is told of the end")
    session = await server.services.remote.sessions.get(opened.id)
    assert session.end_reason is EndReason.LOST
    recordings = server.services.remote.recordings
    await until(lambda: recorded(recordings, opened.id), what="the recording is complete")
    assert "avant-6" in await recordings.transcript(opened.id)


async def test_stop_closes_the_connection_to_the_device(server, cast, ssh, known, opened, page_of):
    page = await page_of(cast.alice, opened)
    await page.type("echo vi''vant; trap 'touch fini' EXIT\r")
    await page.see("vivant")
    await server.services.remote.sessions.stop(cast.alice, opened.id)
    await until(lambda: not ssh.agents.shells, what="the shell is let go")
    assert page.last("ended")


async def test_an_access_that_is_refused_ends_the_session_at_once(server, cast, ssh, known, asked, sshd):
    sshd.allow("")
    consent = Asked(machine_id=known.machine_id, ticket_id=asked.ticket_id, session_id=asked.id)
    await ssh.consents.record(cast.alice, consent, how=How.PHONE, person="Mme Le Goff")

    async def over():
        return await state(server, asked.id) is SessionState.ENDED

    await until(over, what="the session is over")
    assert (await ssh.devices.get(known.machine_id)).trouble == "refused"


async def test_a_shell_that_no_process_holds_is_over(server, cast, ssh, known, opened):
    shell = ssh.agents.shells.pop(opened.id)  # as if the process that held it was killed
    ssh.agents.serving.discard(opened.id)
    async with server.services.kernel.db.connection() as conn:
        await conn.execute("UPDATE remote_sessions SET opened_at = now() - interval '2 minutes'")
        await conn.execute("UPDATE ssh_shells SET alive_at = now() - interval '2 minutes'")
    ssh.agents.shells["0" * 32] = shell
    del ssh.agents.shells["0" * 32]
    await ssh.agents.keep_alive()
    session = await server.services.remote.sessions.get(opened.id)
    assert session.end_reason is EndReason.RESTARTED
    ssh.agents.shells[opened.id] = shell  # its own task takes it out again
    await asyncio.sleep(0)
