"""A screen through the whole path: a real display and window, a real agent, the server, several pages."""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
from contextlib import AsyncExitStack

import pytest
from remote_parts import is_open, until
from screen_parts import ScreenPage

from compagnon.errors import Conflict, Forbidden
from compagnon_agent.protocol.tiles import Kind, Reader
from remote.recordings import cast as recording_file
from remote.sessions.model import EndReason

BLUE, GREEN, RED, YELLOW = (32, 96, 192), (0, 192, 0), (208, 0, 0), (240, 240, 0)
CORNER = (930, 700)
ENTRY = (200, 215)
BUTTON = (150, 295)


@pytest.fixture
def surroundings(screen_name):
    return {"DISPLAY": screen_name}


@pytest.fixture
async def screen(server, cast, desktop, agent, ticket):
    opened = await server.services.remote.sessions.open(
        agent.machine_id, ticket, "Voir l'écran", cast.alice, capability="screen"
    )
    await until(lambda: is_open(server, opened.id), what="the session is open")
    return await server.services.remote.sessions.get(opened.id)


@pytest.fixture
async def look(server, screen, client_for):
    """``await look(member)``: that member's page of the screen."""
    async with AsyncExitStack() as stack:

        async def make(member, *, slow: bool = False, viewer: str = "0123456789abcdef") -> ScreenPage:
            http = await client_for(member)
            page = ScreenPage(base=server.url, http=http, session_id=screen.id, viewer=viewer, slow=slow)
            stack.push_async_callback(page.close)
            await page.open()
            return page

        yield make


def at(x: int, y: int) -> dict[str, int]:
    return {"x": x * 65_535 // 1280, "y": y * 65_535 // 800}


async def calm(page, *, seconds: float = 0.9) -> None:
    """Until nothing comes any more: every tile is there, in good quality."""
    before = -1
    while before != page.bytes:
        before = page.bytes
        await asyncio.sleep(seconds)


async def allow(server, cast, screen, page) -> None:
    await server.services.remote.called.screens.ask_control(screen.id, cast.alice)
    await until(lambda: (page.last("control") or {}).get("controller") == cast.alice.id, what="control is given")


async def test_what_is_on_the_screen_arrives_and_a_change_costs_few_tiles(server, cast, desktop, look):
    page = await look(cast.alice)
    await until(lambda: page.shows(500, 400, BLUE), what="the window's background")
    await until(lambda: page.shows(*CORNER, GREEN))
    await calm(page)
    assert page.picture.size == (1280, 800)
    before = page.tiles
    desktop.order("corner #d00000")
    await until(lambda: page.shows(*CORNER, RED), what="the corner is red")
    await calm(page)
    assert 1 <= page.tiles - before <= 4


async def test_who_joins_late_sees_everything_from_what_the_server_keeps(server, cast, screen, desktop, look):
    alice = await look(cast.alice)
    await until(lambda: alice.shows(*CORNER, GREEN))
    await calm(alice)
    room = server.services.remote.sessions._rooms.get(screen.id)
    starts = alice.bytes
    await server.services.remote.sessions.invite(cast.alice, screen.id, cast.bruno.id)
    bruno = await look(cast.bruno, viewer="fedcba9876543210")
    await until(lambda: bruno.shows(*CORNER, GREEN) and bruno.tiles == 70, what="every tile")
    assert bruno.tiles == 70
    assert alice.bytes - starts < 20_000
    assert bruno.picture.tobytes() == alice.picture.tobytes()
    assert room.picture.size < 300_000


async def test_a_slow_page_gets_the_newest_state_and_holds_nobody_up(server, cast, screen, desktop, look):
    await server.services.remote.sessions.invite(cast.alice, screen.id, cast.bruno.id)
    slow = await look(cast.bruno, slow=True, viewer="fedcba9876543210")
    alice = await look(cast.alice)
    await until(lambda: alice.shows(*CORNER, GREEN))
    for colour in ("#d00000", "#00c000") * 8:
        desktop.order(f"background {colour}")
        await asyncio.sleep(0.25)
    desktop.order("background #f0f000")
    await until(lambda: alice.shows(500, 400, YELLOW), seconds=20, what="the others are not held up")
    await calm(alice)
    assert slow.bytes < 400_000
    slow.slow = False
    eye = server.services.remote.sessions._rooms.get(screen.id)._eyes
    [lagging] = [each for viewer, each in eye.items() if viewer.member_id == cast.bruno.id]
    lagging.drew(lagging.sent)
    next(viewer for viewer in eye if viewer.member_id == cast.bruno.id).wake()
    await until(lambda: slow.shows(500, 400, YELLOW), what="it catches up with what is now")


async def test_without_the_separate_yes_nothing_is_typed(server, cast, agent, screen, desktop, look):
    page = await look(cast.alice)
    await until(lambda: page.shows(500, 400, BLUE))
    desktop.order("focus")
    await page.say("input", events=[{"what": "text", "text": "non"}])
    room = server.services.remote.sessions._rooms.get(screen.id)
    (agent.folder / "policy.toml").write_text('mode = "attended"\n')
    room.controller = cast.alice.id  # a server in wrong hands: the agent decides
    await page.say("input", events=[{"what": "text", "text": "non"}])
    await until(lambda: room.controller is None, what="the agent refused")
    assert "typed" not in desktop.told
    assert "screen.control" in (agent.folder / "audit.jsonl").read_text()


async def test_control_types_and_clicks_and_stop_ends_it(server, cast, agent, screen, desktop, look):
    page = await look(cast.alice)
    await until(lambda: page.shows(500, 400, BLUE))
    await allow(server, cast, screen, page)
    with pytest.raises(Conflict):
        await server.services.remote.called.screens.ask_control(screen.id, cast.alice)
    click = [{"what": "button", "button": 0, "down": True}, {"what": "button", "button": 0, "down": False}]
    await page.say("input", events=[{"what": "move", **at(*ENTRY)}, *click])
    desktop.order("focus")
    await asyncio.sleep(0.3)
    await page.say("input", events=[{"what": "text", "text": each} for each in "Été 5€ Ω"])
    await until(lambda: "typed " + ascii("Été 5€ Ω") in desktop.told, what=desktop.told)
    select = [{"what": "key", "key": key, "down": down} for key, down in (("Control", True), ("a", True), ("a", False))]
    for key in ("Home", "Delete"):
        await page.say("input", events=[{"what": "key", "key": key, "down": down} for down in (True, False)])
    await until(lambda: "typed " + ascii("té 5€ Ω") in desktop.told, what=desktop.told)
    await page.say("input", events=[{"what": "move", **at(*BUTTON)}, *click])
    await until(lambda: "clicked" in desktop.told, what="the button is clicked")
    await page.say("input", events=select)
    status, said = await agent.cli("stop-session")
    assert status == 0, said
    await until(lambda: page.last("ended"))
    before = desktop.told.count("typed")
    recordings = server.services.remote.recordings
    assert (await server.services.remote.sessions.get(screen.id)).end_reason is EndReason.CLIENT
    report = await recordings.verify(await recordings.get(screen.id))
    assert report.sound, report
    await until(lambda: "screen.control.ended" in (agent.folder / "audit.jsonl").read_text())
    written = (agent.folder / "audit.jsonl").read_text()
    assert '"clicks":2' in written
    assert "Été" not in written
    assert desktop.told.count("typed") == before


async def test_control_is_given_back_and_asked_for_anew(server, cast, agent, screen, desktop, look):
    page = await look(cast.alice)
    await until(lambda: page.shows(500, 400, BLUE))
    screens = server.services.remote.called.screens
    for _ in range(2):
        await allow(server, cast, screen, page)
        await page.say("input", events=[{"what": "key", "key": "Control", "down": True}])
        await asyncio.sleep(0.3)
        await screens.give_back(screen.id, cast.alice)
        await until(lambda: page.last("control")["controller"] is None)

    def ended():
        return (agent.folder / "audit.jsonl").read_text().count("screen.control.ended")

    await until(lambda: ended() == 2, what="the agent let go twice")
    await server.services.remote.sessions.invite(cast.alice, screen.id, cast.bruno.id)
    with pytest.raises(Forbidden):
        await screens.ask_control(screen.id, cast.bruno)


async def test_hands_that_are_not_the_driver_s_do_nothing(server, cast, screen, desktop, look):
    page = await look(cast.alice)
    await server.services.remote.sessions.invite(cast.alice, screen.id, cast.bruno.id)
    bruno = await look(cast.bruno, viewer="fedcba9876543210")
    await until(lambda: page.shows(500, 400, BLUE))
    await allow(server, cast, screen, page)
    desktop.order("focus")
    await bruno.say("input", events=[{"what": "text", "text": "non"}])
    await page.say("input", events=[{"what": "text", "text": "oui"}])
    await until(lambda: "typed 'oui'" in desktop.told, what=desktop.told)
    assert "n" not in desktop.told.replace("clicked", "")


async def test_a_pointer_is_drawn_on_the_screen_and_told_to_the_others(server, cast, screen, desktop, look):
    await server.services.remote.sessions.invite(cast.alice, screen.id, cast.bruno.id)
    alice, bruno = await look(cast.alice), await look(cast.bruno, viewer="fedcba9876543210")
    await until(lambda: alice.shows(500, 400, BLUE))
    await calm(alice)
    await bruno.say("pointer", **at(500, 400))
    await until(lambda: not alice.shows(505, 405, BLUE), what="the arrow is on the screen")
    note = alice.last("pointer")
    assert (note["id"], note["name"]) == (cast.bruno.id, cast.bruno.name)
    assert bruno.last("pointer") is None


@pytest.mark.parametrize(
    "note",
    [
        {"type": "pointer"},
        {"type": "pointer", "x": -1, "y": 5},
        {"type": "pointer", "x": "5", "y": 5},
        {"type": "view", "width": 10**9},
        {"type": "view", "monitor": True},
        {"type": "input", "events": "x"},
        {"type": "input", "events": [{"what": "shell", "text": "rm"}]},
        {"type": "input", "events": [{"what": "text", "text": "x" * 21}]},
        {"type": "input", "events": [{"what": "text", "text": "x"}] * 65},
    ],
)
async def test_a_page_that_speaks_nonsense_is_cut_off(server, cast, look, note):
    page = await look(cast.alice)
    await page.socket.send(json.dumps(note))
    await until(lambda: page._reader.done(), what="it is closed")
    assert page.socket.close_code == 4000


async def test_what_was_seen_is_in_the_recording_and_can_be_drawn_again(server, cast, screen, desktop, look):
    page = await look(cast.alice)
    await until(lambda: page.shows(*CORNER, GREEN))
    desktop.order("corner #d00000")
    await until(lambda: page.shows(*CORNER, RED))
    await calm(page)
    seen = page.picture.copy()
    recordings = server.services.remote.recordings
    reader, again, times = Reader(), ScreenPage(base="", http=None, session_id=""), []
    with recordings.path(await recordings.get(screen.id)).open("rb") as file:
        chunks = [chunk for chunk, _ in recording_file.read(iter(file))]
    for chunk in (chunk for chunk in chunks if chunk.code == "s"):
        for record in reader.feed(base64.b64decode(chunk.data)):
            times.append(record.kind)
            await _drawn(again, record)
    assert times[0] is Kind.SCREEN
    assert again.picture.tobytes() == seen.tobytes()
    await server.services.remote.sessions.end(screen.id, EndReason.MEMBER)
    assert (await recordings.verify(await recordings.get(screen.id))).sound


async def _drawn(page: ScreenPage, record) -> None:
    import io

    from PIL import Image

    if record.kind is Kind.SCREEN:
        page.picture = Image.new("RGB", (record.width, record.height))
    else:
        page.picture.paste(Image.open(io.BytesIO(record.payload)), (record.x, record.y))


async def test_nobody_looks_when_no_page_is_there(server, cast, agent, screen, desktop, look):
    page = await look(cast.alice)
    await until(lambda: page.shows(500, 400, BLUE))
    room = server.services.remote.sessions._rooms.get(screen.id)
    await page.close()
    await until(lambda: room._looking.done(), seconds=20, what="the screen is left alone")
    size = room.recorder.size
    desktop.order("background #f0f000")
    await asyncio.sleep(1)
    assert room.recorder.size == size
    again = await look(cast.alice)
    await until(lambda: again.shows(500, 400, YELLOW), what="a page that comes back sees what is now")


async def test_the_picture_goes_on_after_a_cut_link(server, cast, screen, desktop, look):
    page = await look(cast.alice)
    await until(lambda: page.shows(*CORNER, GREEN))
    room = server.services.remote.sessions._rooms.get(screen.id)
    wire = room.agent
    wire.dismiss(1012, "cut by the test")
    room.detach(wire)
    desktop.order("corner #d00000")
    await until(lambda: page.shows(*CORNER, RED))


async def test_a_program_that_was_killed_is_started_anew(server, cast, agent, screen, desktop, look):
    page = await look(cast.alice)
    await until(lambda: page.shows(*CORNER, GREEN))
    subprocess.run(["pkill", "-P", str(agent.process.pid), "-f", "screen.eye"], check=True)
    desktop.order("corner #d00000")
    await until(lambda: page.shows(*CORNER, RED), seconds=20)
