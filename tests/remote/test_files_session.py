"""Files of a machine through the whole path: a member's HTTP requests, the server, a real agent."""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
from urllib.parse import quote, quote_from_bytes

import pytest
from remote_parts import is_open, until

from remote.recordings import cast as recording_file


def key_of(path) -> str:
    return quote_from_bytes(os.fsencode(path), safe="/")


@pytest.fixture
async def files(server, cast, agent, ticket):
    """An open ``files`` session of Alice's, with its agent there."""
    sessions = server.services.remote.sessions
    opened = await sessions.open(agent.machine_id, ticket, "Copier", cast.alice, capability="files")
    await until(lambda: is_open(server, opened.id), what="the session is open")
    return await sessions.get(opened.id)


@pytest.fixture
def place(tmp_path):
    made = tmp_path / "client files"
    made.mkdir()
    return made


class Sender:
    """What the page's script does to send a file."""

    def __init__(self, http, session, folder) -> None:
        self.http = http
        self.base = f"/sessions/{session.id}/files/uploads"
        self.folder = key_of(folder)

    async def begin(self, names, data, modified: int = 1_700_000_000):
        about = {"key": self.folder, "names": list(names), "size": len(data), "modified": modified}
        return await self.http.post(self.base, json=about)

    async def piece(self, token, data, start):
        return await self.http.put(f"{self.base}/{token}?start={start}", content=data)

    async def end(self, token, data, *, overwrite: bool = False):
        body = {"sha256": hashlib.sha256(data).hexdigest(), "overwrite": overwrite}
        return await self.http.post(f"{self.base}/{token}/end", json=body)

    async def whole(self, names, data, **how):
        begun = (await self.begin(names, data)).json()
        if data:
            assert (await self.piece(begun["token"], data, 0)).json()["have"] == len(data)
        return await self.end(begun["token"], data, **how)


@pytest.fixture
async def sender(client_for, cast, files, place):
    return Sender(await client_for(cast.alice), files, place)


async def test_a_folder_is_shown_and_its_files_come_whole(client_for, cast, files, place):
    alice = await client_for(cast.alice)
    content = os.urandom(3_000_001)
    (place / "été & co.bin").write_bytes(content)
    page = await alice.get(f"/sessions/{files.id}/files", params={"path": key_of(place)})
    assert page.status_code == 200, page.text
    assert "été &amp; co.bin" in page.text
    key = key_of(place / "été & co.bin")
    answer = await alice.get(f"/sessions/{files.id}/files/download", params={"path": key})
    assert answer.content == content
    assert answer.headers["content-length"] == "3000001"
    assert answer.headers["content-type"] == "application/octet-stream"
    assert "sandbox" in answer.headers["content-security-policy"]
    disposition = answer.headers["content-disposition"]
    assert disposition == "attachment; filename=\"_t_ _ co.bin\"; filename*=UTF-8''" + quote("été & co.bin")
    rest = await alice.get(
        f"/sessions/{files.id}/files/download",
        params={"path": key},
        headers={"range": "bytes=2999000-", "if-range": answer.headers["etag"]},
    )
    assert rest.status_code == 206
    assert rest.headers["content-range"] == "bytes 2999000-3000000/3000001"
    assert rest.content == content[2_999_000:]


async def test_an_upload_is_whole_dated_and_written_down_on_both_sides(server, agent, files, place, sender):
    content = os.urandom(1_500_000)
    answer = await sender.whole(["Nouveau", "sous", "photo.jpg"], content)
    assert answer.status_code == 200, answer.text
    written = place / "Nouveau" / "sous" / "photo.jpg"
    assert written.read_bytes() == content
    assert written.stat().st_mtime == 1_700_000_000
    assert [item.name for item in written.parent.iterdir()] == ["photo.jpg"]
    digest = hashlib.sha256(content).hexdigest()
    lines = [json.loads(line) for line in (agent.folder / "audit.jsonl").read_text().splitlines()]
    done = [line["details"] for line in lines if line["event"] == "files.put.done"]
    assert done[0]["path"] == str(written)
    assert done[0]["sha256"] == digest
    recordings = server.services.remote.recordings
    path = recordings.path(await recordings.get(files.id))
    with path.open("rb") as file:
        labels = [marker.label for marker in recording_file.markers(iter(file))]
    assert any(label.startswith("files.put:") for label in labels)
    assert any(label.startswith("files.put.done:") and digest in label for label in labels)


async def test_a_folder_comes_as_a_zip_archive(client_for, cast, files, place):
    alice = await client_for(cast.alice)
    (place / "a").mkdir()
    (place / "a" / "un.txt").write_bytes(b"1" * 700_000)
    (place / "vide").mkdir()
    (place / "loin").symlink_to("/etc")
    answer = await alice.get(f"/sessions/{files.id}/files/archive", params={"path": key_of(place)})
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    assert sorted(archive.namelist()) == [
        "client files/",
        "client files/a/",
        "client files/a/un.txt",
        "client files/vide/",
    ]
    assert archive.read("client files/a/un.txt") == b"1" * 700_000


async def test_nothing_is_written_over_without_a_yes(place, sender):
    (place / "lettre.txt").write_bytes(b"before")
    answer = await sender.whole(["lettre.txt"], b"after")
    assert answer.status_code == 409
    assert answer.json()["code"] == "exists"
    assert (place / "lettre.txt").read_bytes() == b"before"
    begun = (await sender.begin(["lettre.txt"], b"after")).json()
    assert begun["exists"]
    assert begun["have"] == 5
    assert (await sender.end(begun["token"], b"after", overwrite=True)).status_code == 200
    assert (place / "lettre.txt").read_bytes() == b"after"


async def test_pieces_twice_late_and_early_do_no_harm(place, sender):
    content = os.urandom(300_000)
    token = (await sender.begin(["x.bin"], content)).json()["token"]
    first, second = content[:200_000], content[200_000:]
    assert (await sender.piece(token, second, 200_000)).json() == {"have": 0}
    assert (await sender.piece(token, first, 0)).json() == {"have": 200_000}
    assert (await sender.piece(token, first, 0)).json() == {"have": 200_000}
    assert (await sender.piece(token, content[100_000:], 100_000)).json() == {"have": 300_000}
    assert (await sender.piece(token, second, 200_000)).json() == {"have": 300_000}
    assert (await sender.end(token, content)).status_code == 200
    assert (await sender.end(token, content)).status_code == 200  # its answer was lost: said again
    assert (place / "x.bin").read_bytes() == content


async def test_what_does_not_arrive_as_it_was_is_not_kept(place, sender):
    content = os.urandom(1000)
    token = (await sender.begin(["x.bin"], content)).json()["token"]
    await sender.piece(token, content[:500] + b"?" + content[501:], 0)
    answer = await sender.end(token, content)
    assert answer.status_code == 400
    assert answer.json()["code"] == "damaged"
    assert list(place.iterdir()) == []


async def test_an_upload_that_is_given_up_leaves_nothing(place, sender):
    token = (await sender.begin(["x.bin"], b"12345")).json()["token"]
    await sender.piece(token, b"123", 0)
    assert len(list(place.iterdir())) == 1
    assert (await sender.http.post(f"{sender.base}/{token}/drop")).status_code == 200
    assert list(place.iterdir()) == []
