"""Four eyes on a device: its terminal, its files over SFTP, and what runs there by itself."""

from __future__ import annotations

import asyncio

import pytest
from remote_parts import soon

from compagnon.errors import Conflict
from remote.files.model import Look, Place
from remote.sessions.model import EndReason, SessionState
from remote.sessions.moderation import Moderation
from remote.ssh.consents import Asked
from remote.ssh.model import How


@pytest.fixture
async def moderated(server, cast, client):
    made = Moderation(server.services.kernel, server.services.remote.sessions._rooms)
    await made.set(cast.ada, client.id, on=True)
    return made


@pytest.fixture
async def session_of(server, cast, ssh, known, ticket, moderated):
    """``await session_of(capability)``: Alice's session on the device, agreed to, to which Bruno is invited."""
    sessions = server.services.remote.sessions

    async def opened(capability):
        session = await sessions.open(known.machine_id, ticket, "Regarder", cast.alice, capability=capability)
        await soon(lambda: server.services.remote.link.consents(known.machine_id))
        asked = Asked(machine_id=known.machine_id, ticket_id=ticket, session_id=session.id)
        await ssh.consents.record(cast.alice, asked, how=How.PHONE, person="Mme Le Goff")

        def attached():
            room = sessions._rooms.get(session.id)
            return room is not None and room.connected

        await soon(attached, what="the session is open")
        await sessions.invite(cast.alice, session.id, cast.bruno.id)
        return await sessions.get(session.id), sessions._rooms.get(session.id)

    return opened


async def test_keys_in_a_devices_terminal_wait(server, cast, sshd, session_of, page_of):
    session, room = await session_of("terminal")
    alice = await page_of(cast.alice, session)
    await alice.type("touch ~/SEULE; echo fi''ni\r")
    await soon(lambda: alice.last("hold"))
    await asyncio.sleep(0.5)
    assert (room.stream.written, (sshd.home / "SEULE").exists()) == (0, False)
    bruno = await page_of(cast.bruno, session, viewer="b" * 16)
    await alice.see("fini")
    assert (sshd.home / "SEULE").exists()
    await bruno.close()
    await soon(lambda: room.alone)
    written = room.stream.written
    await alice.type("touch ~/ENCORE\r")
    await asyncio.sleep(0.5)
    assert (room.stream.written, (sshd.home / "ENCORE").exists()) == (written, False)


async def test_files_over_sftp_are_neither_written_nor_taken(server, cast, sshd, session_of, page_of):
    files = server.services.remote.called.files
    session, room = await session_of("files")
    (sshd.home / "reste.txt").write_text("là")
    await page_of(cast.alice, session)
    home = str(sshd.home)
    place = Place(key=home, names=("neuf.txt",), size=4, modified=1_700_000_000)
    for attempt in (
        lambda: files.listed(session.id, cast.alice, Look(key=home)),
        lambda: files.get(session.id, cast.alice, f"{home}/reste.txt"),
        lambda: files.make(session.id, cast.alice, home, "dossier"),
        lambda: files.delete(session.id, cast.alice, f"{home}/reste.txt", whole=False),
        lambda: files.put_begin(session.id, cast.alice, place),
    ):
        with pytest.raises(Conflict):
            await attempt()
    assert [path.name for path in sshd.home.iterdir()] == ["reste.txt"]
    bruno = await page_of(cast.bruno, session, viewer="b" * 16)
    await files.put_begin(session.id, cast.alice, place)
    await bruno.close()
    await soon(lambda: room.alone)

    async def body():
        yield b"neuf"

    with pytest.raises(Conflict):
        await files.put(session.id, cast.alice, place.token(cast.alice.id), start=0, length=4, body=body())
    with pytest.raises(Conflict):
        await files.put_end(session.id, cast.alice, place.token(cast.alice.id), sha256="0" * 64, overwrite=True)
    assert not (sshd.home / "neuf.txt").exists()


async def test_the_agents_installation_waits_for_the_second(server, cast, ssh, known, ticket, sshd, moderated, page_of):
    (sshd.folder / "shell").write_text(f"#!/bin/sh\necho installer begun; touch {sshd.home}/BEGUN\n")
    sessions = server.services.remote.sessions
    session = await ssh.bootstrap.install(
        cast.alice, known, ticket, "Installer l'agent", how=How.PHONE, person="Mme Le Goff"
    )

    async def is_open():
        return (await sessions.get(session.id)).state is SessionState.OPEN

    await soon(is_open)
    alice = await page_of(cast.alice, session)
    await asyncio.sleep(1.5)
    assert not (sshd.home / "BEGUN").exists()
    async with server.services.kernel.db.transaction() as conn:
        await conn.execute("UPDATE remote_sessions SET opened_at = now() - interval '1 minute'")
    await ssh.agents.keep_alive()
    assert await is_open(), "it waits longer than a shell may be without a process"
    await sessions.invite(cast.alice, session.id, cast.bruno.id)
    await page_of(cast.bruno, session, viewer="b" * 16)
    await soon(lambda: (sshd.home / "BEGUN").exists(), what="it begins once they are two")
    await alice.see("installer begun")


async def test_an_installation_that_is_stopped_before_the_second_came_never_begins(
    server, cast, ssh, known, ticket, sshd, moderated, page_of
):
    (sshd.folder / "shell").write_text(f"#!/bin/sh\ntouch {sshd.home}/BEGUN\n")
    sessions = server.services.remote.sessions
    session = await ssh.bootstrap.install(
        cast.alice, known, ticket, "Installer l'agent", how=How.PHONE, person="Mme Le Goff"
    )
    await soon(lambda: session.id in ssh.agents.serving)
    await sessions.end(session.id, EndReason.MEMBER)
    await soon(lambda: session.id not in ssh.agents.serving, what="nothing waits any more")
    assert not (sshd.home / "BEGUN").exists()


async def test_a_devices_files_stay_open_as_long_as_they_are_served(server, cast, ssh, known, session_of):
    session, _ = await session_of("files")
    async with server.services.kernel.db.transaction() as conn:
        await conn.execute("UPDATE remote_sessions SET opened_at = now() - interval '1 minute'")
    await ssh.agents.keep_alive()
    assert (await server.services.remote.sessions.get(session.id)).state is SessionState.OPEN
