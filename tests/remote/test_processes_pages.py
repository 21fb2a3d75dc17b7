"""Processes and services through the whole path: a member's page, the recording, the agent."""

from __future__ import annotations

import json
import subprocess

import psutil
import pytest
from remote_parts import is_open, signed_in, until

from remote.recordings import cast as recording_file


@pytest.fixture
async def processes(server, cast, agent, ticket):
    """An open ``processes`` session of Alice's, with its agent there."""
    sessions = server.services.remote.sessions
    opened = await sessions.open(agent.machine_id, ticket, "Voir", cast.alice, capability="processes")
    await until(lambda: is_open(server, opened.id), what="the session is open")
    return await sessions.get(opened.id)


@pytest.fixture
def stubborn():
    """A process that does not end when it is asked."""
    script = "trap '' TERM; echo ready; while :; do sleep 1; done"
    started = subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE)
    assert started.stdout.readline() == b"ready\n"
    yield psutil.Process(started.pid)
    started.kill()
    started.wait()
    started.stdout.close()


async def labels(server, session):
    recordings = server.services.remote.recordings
    path = recordings.path(await recordings.get(session.id))
    with path.open("rb") as file:
        return [marker.label for marker in recording_file.markers(iter(file))]


async def test_killing_is_a_second_act(server, cast, agent, processes, stubborn, client_for):
    alice = await client_for(cast.alice)
    form = {"pid": stubborn.pid, "started": int(stubborn.create_time()), "name": "sh"}
    url = f"/sessions/{processes.id}/processes/end"
    early = await alice.post(url, data={**form, "kill": "on"}, headers={"HX-Request": "true"})
    assert early.status_code == 409, "it was not asked to end yet"
    asked = await alice.post(url, data=form, headers={"HX-Request": "true"})
    assert 'data-outcome="runs"' in asked.text
    assert stubborn.is_running()
    killed = await alice.post(url, data={**form, "kill": "on"}, headers={"HX-Request": "true"})
    assert killed.status_code == 200, killed.text
    await until(lambda: stubborn.status() == psutil.STATUS_ZOMBIE)
    assert f"processes.kill: {stubborn.pid} sh" in await labels(server, processes)
    written = [json.loads(line) for line in (agent.folder / "audit.jsonl").read_text().splitlines()]
    assert any(line["event"] == "processes.kill" and line["details"]["pid"] == stubborn.pid for line in written)


async def test_the_agent_itself_is_left_alone(server, cast, agent, processes, client_for):
    alice = await client_for(cast.alice)
    own = psutil.Process(agent.process.pid)
    page = (await alice.get(f"/sessions/{processes.id}/processes")).text
    assert f'data-pid="{own.pid}"' in page
    assert 'data-guarded="agent"' in page
    form = {"pid": own.pid, "started": int(own.create_time()), "name": "python"}
    answer = await alice.post(f"/sessions/{processes.id}/processes/end", data=form)
    assert answer.status_code == 409
    assert own.is_running()


async def test_services_are_listed_and_an_unknown_one_is_refused(server, cast, processes, client_for):
    alice = await client_for(cast.alice)
    page = (await alice.get(f"/sessions/{processes.id}/services")).text
    assert "data-manager=" in page
    answer = await alice.post(f"/sessions/{processes.id}/services", data={"name": "no-such-thing", "action": "stop"})
    assert answer.status_code == 409
    answer = await alice.post(f"/sessions/{processes.id}/services", data={"name": "cups", "action": "reboot"})
    assert answer.status_code == 422
    assert "processes.service: stop no-such-thing" in await labels(server, processes)


async def test_looking_is_recorded_once(server, cast, processes, client_for):
    alice = await client_for(cast.alice)
    for _ in range(3):
        await alice.get(f"/sessions/{processes.id}/processes")
    assert (await labels(server, processes)).count(f"processes.list: {cast.alice.name}") == 1


async def test_the_page_keeps_choice_focus_and_scroll_while_it_looks_again(
    server, cast, processes, browser, client_for, stubborn
):
    page, trouble = await signed_in(
        browser, server, await client_for(cast.alice), viewport={"width": 1100, "height": 700}
    )
    await page.goto(f"{server.url}/sessions/{processes.id}")
    await page.locator("#processes tbody tr").first.wait_for()
    await page.keyboard.press("f")
    await page.keyboard.type("trap")
    row = page.locator(f"#processes tr[data-pid='{stubborn.pid}']")
    await row.wait_for()
    await page.keyboard.press("ArrowDown")
    assert await row.get_attribute("aria-selected") == "true"
    before = await row.element_handle()
    await page.evaluate("document.querySelector('.rows-box').scrollTop = 5")
    scrolled = await page.evaluate("document.querySelector('.rows-box').scrollTop")
    async with page.expect_response(lambda answer: answer.url.endswith("/processes")):
        pass  # it looks again by itself
    await page.wait_for_timeout(200)
    assert await page.evaluate("document.activeElement.id") == "processes"
    assert await page.evaluate("row => row.isConnected && row.getAttribute('aria-selected')", before) == "true"
    assert await page.evaluate("document.querySelector('.rows-box').scrollTop") == scrolled
    await page.keyboard.press("Delete")
    await page.locator("#confirm button[value=yes]").click()
    await page.locator("[data-outcome=runs]").wait_for()
    await page.locator("[data-act=kill] button").click()
    await page.locator("#confirm button[value=yes]").click()
    await until(lambda: stubborn.status() == psutil.STATUS_ZOMBIE)
    assert trouble == []
