"""The page of a session for files in a real browser."""

import hashlib
import os
from urllib.parse import quote

import pytest
from remote_parts import is_open, signed_in, until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


async def test_send_cut_replace_download_rename_and_delete(server, cast, agent, ticket, browser, client_for, tmp_path):
    sessions = server.services.remote.sessions
    opened = await sessions.open(agent.machine_id, ticket, "Copier", cast.alice, capability="files")
    await until(lambda: is_open(server, opened.id), what="the session is open")
    place, mine = tmp_path / "Dossier client", tmp_path / "mine"
    place.mkdir()
    mine.mkdir()
    data = os.urandom(20_000_000)
    (mine / "été.bin").write_bytes(data)
    (place / "<b>gras.txt").write_text("bonjour <script>alert(1)</script>")
    page, trouble = await signed_in(browser, server, await client_for(cast.alice))
    await page.goto(f"{server.url}/sessions/{opened.id}#{quote(str(place))}")
    await page.wait_for_selector("tr[data-name='<b>gras.txt']")
    await page.click("tr[data-name='<b>gras.txt'] [data-act=preview]")
    assert "bonjour <script>" in await page.inner_text("#file-preview pre")
    await page.keyboard.press("Escape")
    await page.set_input_files("#files-input", str(mine / "été.bin"))
    await page.wait_for_selector(".transfer[data-state=sending]")
    await page.context.set_offline(True)
    await page.wait_for_selector(".transfer[data-state=cut]")
    await page.context.set_offline(False)
    await page.wait_for_selector(".transfer[data-state=done]", timeout=120_000)
    assert hashlib.sha256(data).hexdigest() in await page.inner_text(".transfer[data-state=done]")
    assert (place / "été.bin").read_bytes() == data
    (mine / "été.bin").write_bytes(b"shorter")
    await page.set_input_files("#files-input", str(mine / "été.bin"))
    await page.click(".transfer[data-state=asking] .btn-danger")
    await until(lambda: (place / "été.bin").read_bytes() == b"shorter", seconds=60)
    await page.wait_for_selector("tr[data-name='été.bin']")
    async with page.expect_download() as expected:
        await page.click("tr[data-name='été.bin'] a[download]")
    download = await expected.value
    assert download.suggested_filename == "été.bin"
    await page.wait_for_selector(f"text={hashlib.sha256(b'shorter').hexdigest()}")
    await page.focus("tr[data-name='été.bin'] [data-open]")
    await page.keyboard.press("F2")
    await page.fill("#file-name [name=name]", "hiver.bin")
    await page.keyboard.press("Enter")
    await page.wait_for_selector("tr[data-name='hiver.bin']")
    await page.focus("tr[data-name='hiver.bin'] [data-open]")
    await page.keyboard.press("Delete")
    await page.click("#file-delete .btn-danger")
    await until(lambda: [item.name for item in place.iterdir()] == ["<b>gras.txt"], seconds=30)
    # While the browser was offline, requests failed: that is what was asked for.
    assert [line for line in trouble if "ERR_INTERNET_DISCONNECTED" not in line and "htmx:" not in line] == []
