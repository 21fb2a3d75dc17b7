"""Kill -9 of the server while files go both ways: what was sent arrives once and whole, what broke off is seen to."""

import asyncio
import hashlib
import os
from contextlib import suppress
from urllib.parse import quote

import httpx
import pytest
from kill_parts import World, world
from remote_parts import until
from up_parts import as_url, new_up

pytestmark = pytest.mark.timeout(300)
PIECE = 2 * 1024 * 1024
KILLS = int(os.environ.get("COMPAGNON_BENCH_KILLS", "2"))


@pytest.fixture
async def here(database, tmp_path):
    with new_up() as up:
        up.environ = {"COMPAGNON_DATABASE_URL": as_url(database)}
        async with world(up, tmp_path / "agent", database=database) as made:
            yield made


async def open_files(here: World) -> str:
    await until(here.online, what="the agent is online")
    form = {"ticket_id": here.ticket, "reason": "Copier", "capability": "files"}
    answer = await here.alice.post(f"/machines/{here.agent.machine_id}/sessions", data=form)
    session_id = answer.headers["location"].rpartition("/")[2]

    async def is_open() -> bool:
        return (await here.alice.post(f"/sessions/{session_id}/ticket")).json()["state"] == "open"

    await until(is_open, what="the session is open")
    return f"/sessions/{session_id}/files"


async def test_an_upload_goes_on_after_each_kill(here, tmp_path):
    base = f"{await open_files(here)}/uploads"
    data = os.urandom(40_000_000)
    about = {"key": quote(str(tmp_path)), "names": ["x.bin"], "size": len(data), "modified": 1}
    sent = asyncio.Event()

    async def tries() -> httpx.Response:
        token = (await here.alice.post(base, json=about)).json()["token"]
        have = (await here.alice.post(base, json=about)).json()["have"]
        while have < len(data):
            sent.set()
            answer = await here.alice.put(f"{base}/{token}?start={have}", content=data[have : have + PIECE])
            have = answer.json()["have"]
        return await here.alice.post(f"{base}/{token}/end", json={"sha256": hashlib.sha256(data).hexdigest()})

    async def send() -> None:
        while True:
            with suppress(httpx.TransportError, KeyError, ValueError):
                if (await tries()).status_code == 200:
                    return
            await asyncio.sleep(0.2)

    sending = asyncio.create_task(send())
    for _ in range(KILLS):
        sent.clear()
        await asyncio.wait_for(sent.wait(), 60)
        await here.restart()
    await asyncio.wait_for(sending, 120)
    assert (tmp_path / "x.bin").read_bytes() == data
    assert not list(tmp_path.glob(".*.compagnon-part"))
    assert await here.audit_is_whole()


async def test_a_download_is_resumed_by_its_range(here, tmp_path):
    base = await open_files(here)
    data = os.urandom(60_000_000)
    (tmp_path / "x.bin").write_bytes(data)
    address, got, tag = f"{base}/download?path={quote(quote(str(tmp_path / 'x.bin')))}", bytearray(), ""
    killed = False
    while len(got) < len(data):
        headers = {"range": f"bytes={len(got)}-", "if-range": tag} if got else {}
        with suppress(httpx.TransportError):
            async with here.alice.stream("GET", address, headers=headers) as answer:
                if answer.status_code not in (200, 206):
                    await asyncio.sleep(0.5)
                    continue
                assert answer.status_code == (206 if got else 200)
                tag = answer.headers["etag"]
                async for piece in answer.aiter_raw():
                    got += piece
                    if not killed and len(got) > 5_000_000:
                        killed = True
                        here.up.kill()
        if here.up.process.poll() is not None:
            await here.start()
    assert hashlib.sha256(got).digest() == hashlib.sha256(data).digest()
