"""Files while everything breaks: cut links, a killed server, a killed agent, a full disk, a source that changes."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import subprocess
from contextlib import suppress
from urllib.parse import quote_from_bytes

import httpx
import pytest
from remote_parts import is_open, until

from remote.sessions.model import SessionState

PIECE = 2 * 1024 * 1024


def key_of(path) -> str:
    return quote_from_bytes(os.fsencode(path), safe="/")


@pytest.fixture
def place(tmp_path):
    made = tmp_path / "client"
    made.mkdir()
    return made


@pytest.fixture
async def files(server, cast, agent, ticket):
    sessions = server.services.remote.sessions
    opened = await sessions.open(agent.machine_id, ticket, "Copier", cast.alice, capability="files")
    await until(lambda: is_open(server, opened.id), what="the session is open")
    return await sessions.get(opened.id)


@pytest.fixture
async def alice(client_for, cast):
    return await client_for(cast.alice)


def room_of(server, session):
    return server.services.remote.called.files._calling.rooms.get(session.id)


def cut(server, session) -> None:
    """The agent's connection is gone, without a word."""
    room = room_of(server, session)
    if room and (wire := room.agent):
        room.detach(wire)
        wire.dismiss(1012, "cut by the test")


async def upload(http, session, folder, name, data) -> httpx.Response:
    """As the page does it: again and again from where the machine has got to."""
    base = f"/sessions/{session.id}/files/uploads"
    about = {"key": key_of(folder), "names": [name], "size": len(data), "modified": 1}
    ended = False
    for _ in range(60):
        with suppress(httpx.TransportError):
            answer = await http.post(base, json=about)
            if answer.status_code == 200:
                token, at = answer.json()["token"], len(data) if ended else answer.json()["have"]
                while at < len(data):
                    answer = await http.put(f"{base}/{token}?start={at}", content=data[at : at + PIECE])
                    if answer.status_code != 200:
                        break
                    at = answer.json()["have"]
                else:
                    ended = True
                    answer = await http.post(f"{base}/{token}/end", json={"sha256": hashlib.sha256(data).hexdigest()})
                    if answer.status_code == 200:
                        return answer
            if answer.status_code not in (400, 409, 503):
                return answer
        await asyncio.sleep(0.2)
    raise AssertionError(f"it never ended: {answer.text}")


async def test_an_upload_goes_through_five_cuts(server, files, alice, place):
    data = os.urandom(24_000_000)
    going = asyncio.create_task(upload(alice, files, place, "x.bin", data))
    for _ in range(5):
        await asyncio.sleep(0.3)
        cut(server, files)
    assert (await asyncio.wait_for(going, 60)).status_code == 200
    assert (place / "x.bin").read_bytes() == data
    assert [item.name for item in place.iterdir()] == ["x.bin"]


async def test_a_download_goes_through_five_cuts(server, files, alice, place):
    data = os.urandom(24_000_000)
    (place / "x.bin").write_bytes(data)
    got = bytearray()
    async with alice.stream("GET", f"/sessions/{files.id}/files/download?path={key_of(place)}/x.bin") as answer:
        cuts = iter(range(2_000_000, 20_000_000, 4_000_000))
        due = next(cuts)
        async for piece in answer.aiter_raw():
            got += piece
            if len(got) >= due:
                cut(server, files)
                due = next(cuts, len(data) + 1)
    assert hashlib.sha256(got).digest() == hashlib.sha256(data).digest()


async def test_a_page_that_leaves_and_comes_back_goes_on(files, alice, place):
    """A request's body ends in the middle: what came is kept, and the next begin says how much."""
    data = os.urandom(3_000_000)
    base = f"/sessions/{files.id}/files/uploads"
    about = {"key": key_of(place), "names": ["x.bin"], "size": len(data), "modified": 1}
    token = (await alice.post(base, json=about)).json()["token"]

    async def body():
        yield data[:1_000_000]
        await asyncio.sleep(0.3)
        raise ConnectionError("the browser was closed")

    with pytest.raises(ConnectionError):
        await alice.put(f"{base}/{token}?start=0", content=body(), headers={"content-length": "2000000"})

    async def kept():
        return (await alice.post(base, json=about)).json()["have"] == 1_000_000

    await until(kept, what="the machine has what came")
    assert (await upload(alice, files, place, "x.bin", data)).status_code == 200
    assert (place / "x.bin").read_bytes() == data


async def test_a_stopped_download_leaves_the_session_usable(server, files, alice, place):
    (place / "x.bin").write_bytes(os.urandom(30_000_000))
    address = f"/sessions/{files.id}/files/download?path={key_of(place)}/x.bin"
    for _ in range(20):  # more than there are channels at once
        async with alice.stream("GET", address) as answer:
            assert answer.status_code == 200
            await anext(answer.aiter_raw())
        await until(lambda: not room_of(server, files)._opened, what="its channel is given back")
    assert len((await alice.get(address)).content) == 30_000_000


async def test_a_source_that_changes_is_not_taken_for_whole(files, alice, place):
    source = place / "x.bin"
    source.write_bytes(os.urandom(40_000_000))

    async def read() -> None:
        address = f"/sessions/{files.id}/files/download?path={key_of(source)}"
        async with alice.stream("GET", address) as answer:
            first = True
            async for _ in answer.aiter_raw():
                if first:
                    os.truncate(source, 39_000_000)
                    first = False

    with pytest.raises(httpx.RemoteProtocolError):
        await read()


async def test_two_members_at_the_same_name(server, cast, ticket, agent, files, alice, client_for, place):
    """Two sessions of one visit send another file to one name: one of them is told, nothing is mixed."""
    sessions = server.services.remote.sessions
    await server.services.tickets.desk.add_collaborator(ticket, cast.alice, cast.bruno.id)
    other = await sessions.open(agent.machine_id, ticket, "Aussi", cast.bruno, capability="files")
    await until(lambda: is_open(server, other.id))
    other = await sessions.get(other.id)
    bruno = await client_for(cast.bruno)
    one, two = os.urandom(4_000_000), os.urandom(4_000_000)

    async def send(http, session, data):
        base = f"/sessions/{session.id}/files/uploads"
        about = {"key": key_of(place), "names": ["x.bin"], "size": len(data), "modified": 1}
        token = (await http.post(base, json=about)).json()["token"]
        for at in range(0, len(data), PIECE):
            await http.put(f"{base}/{token}?start={at}", content=data[at : at + PIECE])
        return await http.post(f"{base}/{token}/end", json={"sha256": hashlib.sha256(data).hexdigest()})

    answers = await asyncio.gather(send(alice, files, one), send(bruno, other, two))
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    assert (place / "x.bin").read_bytes() == (one if answers[0].status_code == 200 else two)


async def test_the_agent_is_killed_in_the_middle(server, cast, agent, ticket, files, alice, place):
    data = os.urandom(20_000_000)
    (place / "y.bin").write_bytes(data)
    first = agent.process  # what is still on its way arrives after the next one has been started

    async def download() -> bytes:
        async with alice.stream("GET", f"/sessions/{files.id}/files/download?path={key_of(place)}/y.bin") as answer:
            got = b""
            async for piece in answer.aiter_raw():
                got += piece
                if first.returncode is None:
                    first.kill()
                    await first.wait()
            return got

    going = asyncio.create_task(download())
    await until(lambda: first.returncode is not None)
    await agent.start()
    sessions = server.services.remote.sessions
    await sessions.stop(cast.alice, files.id)  # nobody waits the five minutes for it
    with pytest.raises(httpx.RemoteProtocolError):
        await asyncio.wait_for(going, 30)
    await until(lambda: server.services.remote.link.online(agent.machine_id), seconds=60, what="the agent is back")
    again = await sessions.open(agent.machine_id, ticket, "Copier", cast.alice, capability="files")
    await until(lambda: is_open(server, again.id), seconds=30)
    assert (await upload(alice, again, place, "x.bin", data)).status_code == 200
    assert (place / "x.bin").read_bytes() == data


async def test_the_end_of_a_session_takes_what_is_unfinished_away(server, cast, files, alice, place):
    base = f"/sessions/{files.id}/files/uploads"
    about = {"key": key_of(place), "names": ["x.bin"], "size": 1000, "modified": 1}
    token = (await alice.post(base, json=about)).json()["token"]
    await alice.put(f"{base}/{token}?start=0", content=b"x" * 500)
    assert len(list(place.iterdir())) == 1
    await server.services.remote.sessions.stop(cast.alice, files.id)
    await until(lambda: not list(place.iterdir()), what="nothing is left")
    assert (await server.services.remote.sessions.get(files.id)).state is SessionState.ENDED
    assert (await alice.put(f"{base}/{token}?start=500", content=b"x")).status_code == 409


async def test_only_the_driver_changes_anything_and_others_see_nothing(server, cast, ticket, files, client_for, place):
    (place / "x").write_bytes(b"x")
    await server.services.tickets.desk.add_collaborator(ticket, cast.alice, cast.bruno.id)
    bruno, chloe = await client_for(cast.bruno), await client_for(cast.chloe)
    base, key = f"/sessions/{files.id}/files", key_of(place)
    assert (await bruno.get(base, params={"path": key})).status_code == 200
    about = {"key": key, "names": ["y"], "size": 1, "modified": 1}
    assert (await bruno.post(f"{base}/uploads", json=about)).status_code == 403
    assert (await bruno.post(f"{base}/delete", data={"key": f"{key}/x"})).status_code == 403
    for path in ("", "/download", "/preview", "/archive", "/picture"):
        assert (await chloe.get(f"{base}{path}", params={"path": f"{key}/x"})).status_code == 403
    assert (place / "x").exists()


async def test_hostile_requests_are_refused_and_change_nothing(files, alice, agent, place):
    base = f"/sessions/{files.id}/files"
    own = key_of(agent.folder)
    for key in (own, f"{own}/key.pem", "/etc", "/proc/self", f"{key_of(place)}/../..", "/tmp/%00", "x", "//"):
        answer = await alice.get(base, params={"path": key})
        assert answer.status_code == 400, (key, answer.text)
        assert (await alice.get(f"{base}/download", params={"path": key})).status_code == 400
    names: list[object] = [
        ["../x"],
        ["a/b"],
        [""],
        [],
        ["x" * 300],
        "x",
        [1],
        None,
        ["..", "x"],
        ["x\u202e"],
    ]
    for name in names:
        answer = await alice.post(f"{base}/uploads", json={"key": key_of(place), "names": name, "size": 1})
        assert answer.status_code in (400, 422), (name, answer.text)
    for body in (b"", b"{", b"[]", b"{}", b"\xff", b'{"key": 1}', b"x" * 100_000):
        answer = await alice.post(f"{base}/uploads", content=body, headers={"content-type": "application/json"})
        assert answer.status_code in (400, 413, 422), body[:20]
    for size in (-1, 2**60, "1", None, 1.5):
        answer = await alice.post(f"{base}/uploads", json={"key": key_of(place), "names": ["x"], "size": size})
        assert answer.status_code == 422
    too_much = {"key": key_of(place), "names": ["x"], "size": 2**52}
    answer = await alice.post(f"{base}/uploads", json=too_much)
    assert (answer.status_code, answer.json()["code"]) == (400, "full")
    assert list(place.iterdir()) == []


async def test_names_of_any_bytes_and_empty_and_huge_files(files, alice, place):
    strange = os.fsencode(place) + b"/caf\xe9 \xff.txt"
    with open(strange, "wb") as file:  # noqa: PTH123 - bytes that are no UTF-8
        file.write(b"content")
    address = f"/sessions/{files.id}/files/download"
    assert (await alice.get(address, params={"path": key_of(strange)})).content == b"content"
    (place / "empty").write_bytes(b"")
    answer = await alice.get(address, params={"path": f"{key_of(place)}/empty"})
    assert (answer.status_code, answer.content) == (200, b"")
    assert (await upload(alice, files, place, "nothing", b"")).status_code == 200
    assert (place / "nothing").read_bytes() == b""
    with (place / "huge").open("wb") as file:
        file.truncate(5 * 2**30)
        file.seek(5 * 2**30 - 3)
        file.write(b"end")
    start = 5 * 2**30 - 10
    rest = await alice.get(
        address, params={"path": f"{key_of(place)}/huge"}, headers={"range": f"bytes={start}-{start + 6}"}
    )
    assert rest.status_code == 206
    assert rest.headers["content-range"] == f"bytes {start}-{start + 6}/{5 * 2**30}"
    assert rest.content == b"\0" * 7
    past = await alice.get(address, params={"path": f"{key_of(place)}/huge"}, headers={"range": f"bytes={6 * 2**30}-"})
    assert past.status_code == 416
    begun = await alice.post(
        f"/sessions/{files.id}/files/uploads",
        json={"key": key_of(place), "names": ["big"], "size": 5 * 2**30, "modified": 1},
    )
    assert begun.status_code == 200


async def test_pieces_in_any_order_end_in_the_whole_file(files, alice, place):
    data = os.urandom(500_000)
    base = f"/sessions/{files.id}/files/uploads"
    about = {"key": key_of(place), "names": ["x.bin"], "size": len(data), "modified": 1}
    token = (await alice.post(base, json=about)).json()["token"]
    chance = random.Random(7)
    have = 0
    while have < len(data):
        at = max(0, chance.choice([have, have, have - 70_000, have + 50_000, 0]))
        piece = data[at : at + 100_000]
        have_now = (await alice.put(f"{base}/{token}?start={at}", content=piece)).json()["have"]
        assert have_now >= have
        have = have_now
    digest = hashlib.sha256(data).hexdigest()
    assert (await alice.post(f"{base}/{token}/end", json={"sha256": digest})).status_code == 200
    assert (place / "x.bin").read_bytes() == data


@pytest.fixture
def small_disk(place):
    """A disk of 6 MB, where the tests may mount one."""
    command = ["mount", "-t", "tmpfs", "-o", "size=6m", "none", str(place)]
    if os.geteuid() != 0 or subprocess.run(command, check=False).returncode != 0:
        pytest.skip("a small disk can be mounted by root only")
    yield place
    subprocess.run(["umount", str(place)], check=True)


async def test_a_full_disk_is_told_and_leaves_nothing(files, alice, small_disk):
    data = os.urandom(5_000_000)
    base = f"/sessions/{files.id}/files/uploads"
    about = {"key": key_of(small_disk), "names": ["x.bin"], "size": len(data), "modified": 1}
    token = (await alice.post(base, json=about)).json()["token"]
    (small_disk / "other").write_bytes(os.urandom(3_000_000))  # meanwhile somebody else fills it
    answer = await alice.put(f"{base}/{token}?start=0", content=data)
    assert (answer.status_code, answer.json()["code"]) == (400, "full")
    assert [item.name for item in small_disk.iterdir()] == ["other"]
    answer = await alice.post(base, json=about)
    assert (answer.status_code, answer.json()["code"]) == (400, "full")
