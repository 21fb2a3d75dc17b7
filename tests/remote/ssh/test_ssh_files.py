"""Files of a device over SFTP: the same page, rules and record as an agent's files."""

from __future__ import annotations

import hashlib
import os

import pytest
from remote_parts import until

from compagnon.errors import AppError, Conflict
from remote.files.model import Look, Place
from remote.ssh.calls import Fault
from remote.ssh.consents import Asked
from remote.ssh.model import How
from remote.ssh.sftp import new_name, path_of


@pytest.fixture
async def opened(server, cast, ssh, known, ticket):
    sessions = server.services.remote.sessions
    session = await sessions.open(known.machine_id, ticket, "Récupérer un rapport", cast.alice, capability="files")
    asked = Asked(machine_id=known.machine_id, ticket_id=ticket, session_id=session.id)
    await ssh.consents.record(cast.alice, asked, how=How.PHONE, person="Mme Le Goff")

    async def attached():
        room = sessions._rooms.get(session.id)
        return room is not None and room.connected

    await until(attached, what="the session is open")
    return session


@pytest.fixture
def files(server):
    return server.services.remote.called.files


async def body(data: bytes):
    for place in range(0, len(data), 100_000):
        yield data[place : place + 100_000]


async def put(files, session, member, place: Place, data: bytes, *, upto: int | None = None, overwrite=False):
    begun = await files.put_begin(session.id, member, place)
    token, rest = place.token(member.id), data[begun.have : upto]
    have = await files.put(session.id, member, token, start=begun.have, length=len(rest), body=body(rest))
    if upto is None:
        sha256 = hashlib.sha256(data).hexdigest()
        await files.put_end(session.id, member, token, sha256=sha256, overwrite=overwrite)
    return begun, have


async def test_both_ways_with_their_digests_and_a_resumed_upload(server, cast, ssh, opened, files, sshd):
    data = os.urandom(3_000_001)
    (sshd.home / "dossier").mkdir()
    place = Place(key=f"{sshd.home}/dossier", names=("sous", "été.bin"), size=len(data), modified=1_700_000_000)
    _, have = await put(files, opened, cast.alice, place, data, upto=1_200_000)
    assert have == 1_200_000
    assert not (sshd.home / "dossier/sous/été.bin").exists()
    begun, have = await put(files, opened, cast.alice, place, data)
    assert (begun.have, have) == (1_200_000, len(data))
    there = sshd.home / "dossier/sous/été.bin"
    assert there.read_bytes() == data
    assert int(there.stat().st_mtime) == 1_700_000_000
    assert [path.name for path in there.parent.iterdir()] == ["été.bin"]
    key = f"{sshd.home}/dossier/sous/%C3%A9t%C3%A9.bin"
    download = await files.get(opened.id, cast.alice, key)
    assert b"".join([piece async for piece in download.pieces]) == data
    part = await files.get(opened.id, cast.alice, key, start=2_999_000)
    assert b"".join([piece async for piece in part.pieces]) == data[2_999_000:]
    room = server.services.remote.sessions._rooms.get(opened.id)
    labels = [mark.label for mark in await server.services.remote.recordings.markers(await _recording(server, opened))]
    assert room is not None
    assert any(label.startswith("files.put") for label in labels)
    assert any("files.get.done" in label and hashlib.sha256(data).hexdigest()[:20] in label for label in labels)


async def _recording(server, session):
    return await server.services.remote.recordings.get(session.id)


async def test_a_listing_tells_what_is_there(server, cast, ssh, opened, files, sshd):
    (sshd.home / "dossier").mkdir()
    (sshd.home / "b.txt").write_text("bonjour\n")
    (sshd.home / ".cache").write_text("")
    (sshd.home / "lien").symlink_to(sshd.home / "b.txt")
    top = await files.listed(opened.id, cast.alice, Look())
    assert [entry.key for entry in top.entries] == [str(sshd.home), "/"]
    listing = await files.listed(opened.id, cast.alice, Look(key=str(sshd.home)))
    assert [(entry.name, entry.kind.value) for entry in listing.entries] == [
        ("dossier", "folder"), ("b.txt", "file"), ("lien", "link"),
    ]  # fmt: skip
    assert listing.entries[2].to == str(sshd.home / "b.txt")


async def test_changes_never_destroy_what_nobody_named(server, cast, ssh, opened, files, sshd):
    home = str(sshd.home)
    (sshd.home / "a.txt").write_text("a")
    (sshd.home / "b.txt").write_text("b")
    (sshd.home / "plein").mkdir()
    (sshd.home / "plein/x").write_text("x")
    (sshd.home / "plein/ailleurs").symlink_to(sshd.home / "b.txt")
    await files.make(opened.id, cast.alice, home, "neuf")
    assert (sshd.home / "neuf").is_dir()
    with pytest.raises(Conflict):
        await files.rename(opened.id, cast.alice, f"{home}/a.txt", "b.txt")
    await files.rename(opened.id, cast.alice, f"{home}/a.txt", "c.txt")
    assert (sshd.home / "c.txt").read_text() == "a"
    with pytest.raises(AppError):
        await files.delete(opened.id, cast.alice, f"{home}/plein", whole=False)
    assert await files.delete(opened.id, cast.alice, f"{home}/plein", whole=True) == 3
    assert (sshd.home / "b.txt").read_text() == "b"
    place = Place(key=home, names=("b.txt",), size=3, modified=0)
    with pytest.raises(Conflict):
        await put(files, opened, cast.alice, place, b"neu")
    await put(files, opened, cast.alice, place, b"neu", overwrite=True)
    assert (sshd.home / "b.txt").read_text() == "neu"


async def test_links_on_the_way_are_not_followed(server, cast, ssh, opened, files, sshd):
    (sshd.home / "vrai").mkdir()
    (sshd.home / "vrai/secret").write_text("s")
    (sshd.home / "lien").symlink_to(sshd.home / "vrai")
    for refused in (f"{sshd.home}/lien", f"{sshd.home}/lien/secret"):
        with pytest.raises(AppError):
            await files.get(opened.id, cast.alice, refused)
        with pytest.raises(AppError):
            await files.listed(opened.id, cast.alice, Look(key=refused))
    with pytest.raises(AppError):
        await files.delete(opened.id, cast.alice, f"{sshd.home}/lien/secret", whole=False)
    assert (sshd.home / "vrai/secret").exists()


async def test_a_connection_that_broke_is_made_again(server, cast, ssh, opened, files, sshd):
    (sshd.home / "a.txt").write_text("a")
    assert (await files.listed(opened.id, cast.alice, Look(key=str(sshd.home)))).total >= 1
    await sshd.kill_all()
    with pytest.raises(AppError):
        await files.listed(opened.id, cast.alice, Look(key=str(sshd.home)))
    await sshd.start()
    assert (await files.listed(opened.id, cast.alice, Look(key=str(sshd.home)))).total >= 1


@pytest.mark.parametrize("key", ["", "a", "/a/../b", "/a//b", "/.", "/%00", "/a%2Fb", "/é", "/" + "a" * 300, "/%FF"])
def test_keys_that_are_no_path_are_refused(key):
    with pytest.raises(Fault):
        path_of(key)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\0", " a", "a\u202egpj.exe", "a\n", "x" * 300])
def test_names_that_hide_something_are_refused(name):
    with pytest.raises(Fault):
        new_name(name)


async def test_it_is_open_for_longer_than_half_a_minute(server, cast, ssh, opened, files):
    """What no process keeps alive is over after 30 s. That is said of terminals, which a process holds."""
    async with server.services.kernel.db.connection() as conn:
        await conn.execute("UPDATE remote_sessions SET opened_at = now() - interval '10 minutes'")
    await ssh.agents.keep_alive()
    assert (await server.services.remote.sessions.get(opened.id)).live
    assert (await files.listed(opened.id, cast.alice, Look(key=""))).entries is not None
