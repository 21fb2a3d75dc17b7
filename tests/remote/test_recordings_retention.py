"""Recordings are compressed when they end, erased when their time is over, and the proof stays."""

import asyncio
import gzip
import hashlib
import time
from datetime import UTC, datetime, timedelta

import pytest
from remote_parts import until

from compagnon import audit
from compagnon.errors import Conflict, Forbidden, Invalid, NotFound
from remote.recordings import files
from remote.recordings.model import RecordingState
from remote.recordings.service import Recordings
from remote.sessions.model import EndReason

LATER = datetime.now(UTC) + timedelta(days=400)


@pytest.fixture
def remote(server):
    """Of a co-operative that keeps recordings for a year."""
    server.services.remote.retentions.default_days = 365
    return server.services.remote


@pytest.fixture
async def recorded(server, cast, remote, session, page_of):
    """A finished recording in which a word stands that is nowhere else."""
    page = await page_of(cast.alice, session)
    await page.type("echo ornitho''rynque\r")
    await page.see("ornithorynque")
    await remote.sessions.end(session.id, EndReason.MEMBER)
    await remote.recordings.finish(session.id)
    return await remote.recordings.get(session.id)


async def records(server, session_id):
    """(action, details) of the audit log about this session's recording, oldest first."""
    async with server.services.kernel.db.connection() as conn:
        rows = await conn.execute(
            "SELECT action, details FROM audit_log WHERE subject = %s AND action LIKE 'recording.%%' ORDER BY seq",
            [f"session:{session_id}"],
        )
        return await rows.fetchall()


async def found(server, word):
    async with server.services.kernel.db.connection() as conn:
        rows = await conn.execute(
            "SELECT session_id FROM recordings WHERE transcript LIKE %s OR words::text LIKE %s", [f"%{word}%"] * 2
        )
        return await rows.fetchall()


async def test_it_is_compressed_when_the_session_ends_and_its_chain_still_holds(remote, recorded):
    assert recorded.state is RecordingState.COMPLETE
    assert recorded.file.endswith(".cast.gz")
    path = remote.recordings.path(recorded)
    assert files.copies(path) == [path]
    assert b"ornithorynque" in gzip.decompress(path.read_bytes())
    assert [report.sound for _, report in await remote.recordings.verify_all()] == [True]
    content = gzip.decompress(path.read_bytes()).replace(b"rynque", b"rYnque")
    path.write_bytes(gzip.compress(content))
    assert [report.sound for _, report in await remote.recordings.verify_all()] == [False]


async def test_the_page_gets_it_whole_packed_or_not(remote, cast, recorded, client_for):
    alice = await client_for(cast.alice)
    url = f"/recordings/{recorded.session_id}/file"
    plain = gzip.decompress(remote.recordings.path(recorded).read_bytes())
    packed = await alice.get(url, headers={"accept-encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.content == plain
    unpacked = await alice.get(url, headers={"accept-encoding": "identity"})
    assert "content-encoding" not in unpacked.headers
    assert unpacked.content == plain
    older = await alice.get(f"{url}?download=1&version=v2")
    assert older.content.startswith(b'{"version": 2')
    assert ".v2.cast" in older.headers["content-disposition"]
    assert (await alice.get(f"{url}?version=v9")).status_code == 400


async def test_a_kill_between_the_copies_is_tidied_at_the_next_start(remote, recorded):
    """As if killed after the database knew the compressed copy, and, worse, before."""
    path = remote.recordings.path(recorded)
    plain = path.with_name(path.name.removesuffix(".gz"))
    plain.write_bytes(b"left behind")
    await remote.recordings.finish_left_over()
    assert files.copies(path) == [path]
    plain.write_bytes(gzip.decompress(path.read_bytes()))
    async with remote.recordings._db.transaction() as conn:
        await conn.execute("UPDATE recordings SET file = %s", [recorded.file.removesuffix(".gz")])
    await remote.recordings.finish_left_over()
    again = await remote.recordings.get(recorded.session_id)
    assert again.file == recorded.file
    assert files.copies(path) == [path]
    assert (await remote.recordings.verify(again)).sound


async def test_several_that_finish_it_at_once_leave_one_copy(server, cast, remote, session, page_of, monkeypatch):
    """The page that ends it, the server that is told of the end, another server process that starts."""
    compress = files.compress

    def slowly(path):
        packed = compress(path)
        time.sleep(0.3)  # a long recording
        return packed

    monkeypatch.setattr("remote.recordings.service.files.compress", slowly)
    page = await page_of(cast.alice, session)
    await page.type("echo bon''jour\r")
    await page.see("bonjour")
    room = remote.sessions._rooms.get(session.id)
    room.recorder.close()
    elsewhere = Recordings(server.services.kernel)
    await asyncio.gather(*(of.finish(session.id) for of in (remote.recordings, elsewhere) for _ in range(4)))
    await remote.recordings.finish(session.id)
    recording = await remote.recordings.get(session.id)
    assert recording.file.endswith(".cast.gz")
    assert [path.name for path in files.copies(remote.recordings.path(recording))] == [f"{session.id}.cast.gz"]
    assert (await remote.recordings.verify(recording)).sound


async def test_a_recording_whose_file_is_gone_is_failed_and_holds_up_no_start(remote, cast, session, page_of):
    page = await page_of(cast.alice, session)
    await page.type("echo bon''jour\r")
    await page.see("bonjour")
    remote.recordings.path(await remote.recordings.get(session.id)).unlink()
    await remote.sessions.end(session.id, EndReason.MEMBER)
    await remote.recordings.finish_left_over()
    assert (await remote.recordings.get(session.id)).state is RecordingState.FAILED


async def test_a_start_leaves_the_recordings_of_sessions_that_go_on_alone(remote, cast, session, page_of):
    """Their files are as plain as those that were left over, and between two servers nobody holds them."""
    page = await page_of(cast.alice, session)
    await page.type("echo bon''jour\r")
    await page.see("bonjour")
    remote.sessions._rooms.get(session.id).recorder.close()
    assert await remote.recordings.finish_left_over() == 0
    assert (await remote.recordings.get(session.id)).state is RecordingState.RECORDING


async def test_a_full_disk_leaves_it_plain_and_sound(server, cast, remote, session, page_of, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("remote.recordings.service.files.compress", full)
    page = await page_of(cast.alice, session)
    await page.type("echo bon''jour\r")
    await page.see("bonjour")
    await remote.sessions.end(session.id, EndReason.MEMBER)
    recording = await remote.recordings.get(session.id)
    assert recording.file.endswith(".cast")
    assert (await remote.recordings.verify(recording)).sound


async def test_past_its_time_it_is_erased_and_the_proof_says_what_was(server, cast, remote, recorded, client_for):
    path = remote.recordings.path(recorded)
    digest = hashlib.sha256(gzip.decompress(path.read_bytes())).hexdigest()
    assert await found(server, "ornithorynque")
    assert await remote.retentions.erase_due() == 0, "not yet"
    assert await remote.retentions.erase_due(LATER) == 1
    gone = await remote.recordings.get(recorded.session_id)
    assert gone.state is RecordingState.ERASED
    assert files.copies(path) == []
    assert await found(server, "ornithorynque") == []
    (began, before), (ended, after) = await records(server, recorded.session_id)
    assert (began, ended) == ("recording.erasing", "recording.erased")
    proof = {"chunks": recorded.chunks, "bytes": recorded.bytes, "head": recorded.head, "sha256": digest}
    assert {name: before[name] for name in proof} == proof
    assert {name: after[name] for name in proof} == proof
    assert (before["days"], after["files"]) == (365, 1)
    async with server.services.kernel.db.connection() as conn:
        assert (await audit.verify(conn)).broken is None
    assert (await remote.recordings.verify(gone)).sound
    assert await remote.retentions.erase_due(LATER) == 0, "once"
    alice = await client_for(cast.alice)
    page = (await alice.get(f"/recordings/{recorded.session_id}")).text
    assert "effacé" in page
    assert digest in page
    assert 'id="player"' not in page
    assert (await alice.get(f"/recordings/{recorded.session_id}/file")).status_code == 404


async def test_a_file_that_is_there_again_after_the_erasure_is_reported(remote, recorded):
    path = remote.recordings.path(recorded)
    await remote.retentions.erase_due(LATER)
    path.write_bytes(b"back from a backup")
    gone = await remote.recordings.get(recorded.session_id)
    assert "still there" in (await remote.recordings.verify(gone)).problem


async def test_an_erasure_that_was_cut_off_is_finished_by_the_next(server, remote, recorded, monkeypatch):
    path = remote.recordings.path(recorded)

    def killed(_):
        raise OSError(5, "killed here")

    with monkeypatch.context() as patch:
        patch.setattr("remote.recordings.retention.files.erase", killed)
        assert await remote.retentions.erase_due(LATER) == 0
    half = await remote.recordings.get(recorded.session_id)
    assert half.state is RecordingState.ERASING
    assert path.exists()
    assert await found(server, "ornithorynque") == [], "its words went with the decision"
    assert await remote.retentions.finish_erasing() == 1
    assert not path.exists()
    actions = [action for action, _ in await records(server, recorded.session_id)]
    assert actions == ["recording.erasing", "recording.erased"]


async def test_an_index_made_while_it_was_erased_brings_no_word_back(server, remote, recorded):
    from remote.recordings import store

    spoken = await remote.recordings.spoken(recorded.session_id)
    await remote.retentions.erase_due(LATER)
    async with remote.recordings._db.transaction() as conn:
        await store.index(conn, recorded.session_id, spoken)
    assert await remote.recordings.index_old() == 0
    assert await found(server, "ornithorynque") == []


async def test_each_client_has_its_own_number_of_days(server, cast, remote, recorded, client):
    soon = datetime.now(UTC) + timedelta(days=31)
    with pytest.raises(Forbidden):
        await remote.retentions.set_days(cast.alice, client.id, 30)
    for days in (0, 3651):
        with pytest.raises(Invalid):
            await remote.retentions.set_days(cast.ada, client.id, days)
    with pytest.raises(NotFound):
        await remote.retentions.set_days(cast.ada, 10**9, 30)
    assert await remote.retentions.erase_due(soon) == 0
    await remote.retentions.set_days(cast.ada, client.id, 700)
    assert await remote.retentions.erase_due(LATER) == 0
    await remote.retentions.set_days(cast.ada, client.id, 30)
    assert (await remote.retentions.of_client(client.id)).days == 30
    assert await remote.retentions.erase_due(soon) == 1


async def test_nothing_is_erased_until_somebody_decides_for_how_long(server, remote, recorded):
    remote.retentions.default_days = server.services.kernel.settings.recording_days
    assert await remote.retentions.erase_due(datetime.now(UTC) + timedelta(days=20_000)) == 0
    assert await remote.retentions.ends(recorded) is None


async def test_what_is_held_is_kept_until_an_administrator_lets_it_go(server, cast, remote, recorded, client_for):
    with pytest.raises(Invalid):
        await remote.retentions.hold(cast.alice, recorded.session_id, "x")
    await remote.retentions.hold(cast.alice, recorded.session_id, "Litige avec l'assureur")
    with pytest.raises(Conflict):
        await remote.retentions.hold(cast.bruno, recorded.session_id, "Encore")
    assert await remote.retentions.erase_due(LATER) == 0
    page = (await (await client_for(cast.alice)).get(f"/recordings/{recorded.session_id}")).text
    assert "Litige avec l&#39;assureur" in page
    assert "/release" not in page
    with pytest.raises(Forbidden):
        await remote.retentions.release(cast.alice, recorded.session_id)
    await remote.retentions.release(cast.ada, recorded.session_id)
    assert await remote.retentions.erase_due(LATER) == 1
    with pytest.raises(Conflict):
        await remote.retentions.hold(cast.alice, recorded.session_id, "Trop tard")


async def test_a_hold_that_comes_while_it_is_read_wins(remote, cast, recorded, monkeypatch):
    real = remote.retentions._digest

    async def late(recording):
        await remote.retentions.hold(cast.alice, recording.session_id, "Juste à temps")
        return await real(recording)

    monkeypatch.setattr(remote.retentions, "_digest", late)
    assert await remote.retentions.erase_due(LATER) == 0
    assert remote.recordings.path(recorded).exists()


async def test_a_recording_that_grows_is_never_erased(remote, session, cast, page_of):
    await page_of(cast.alice, session)
    await until(lambda: remote.sessions._rooms.get(session.id))
    assert await remote.retentions.erase_due(LATER) == 0


async def test_the_client_page_says_how_long_and_administrators_set_it(server, remote, cast, client, client_for):
    alice, ada = await client_for(cast.alice), await client_for(cast.ada)
    url = f"/clients/{client.id}"
    assert "365 jours" in (await alice.get(url)).text
    assert (await alice.post(f"{url}/recordings", data={"days": "30"})).status_code == 403
    assert (await ada.post(f"{url}/recordings", data={"days": "0"})).status_code in (400, 422)
    assert (await ada.post(f"{url}/recordings", data={"days": "30"})).status_code == 303
    assert "30 jours" in (await alice.get(url)).text
    assert (await ada.post(f"{url}/recordings", data={"days": ""})).status_code == 303
    assert "365 jours" in (await alice.get(url)).text
