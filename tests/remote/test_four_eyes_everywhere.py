"""Four eyes in every kind of session, through real agents: nothing is done while one member is alone."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
from urllib.parse import quote_from_bytes

import pytest
from remote_parts import is_open, soon
from screen_parts import ScreenPage
from xvfb_parts import x

from compagnon.errors import Conflict
from compagnon_agent.protocol import calls
from compagnon_agent.protocol.channel import ChannelLost
from remote.files.model import Look, Place
from remote.sessions.call_room import ALONE_TOO, CallFailed
from remote.sessions.model import Capability
from remote.sessions.moderation import Moderation

BLUE = (32, 96, 192)


@pytest.fixture
async def moderated(server, cast, client):
    made = Moderation(server.services.kernel, server.services.remote.sessions._rooms)
    await made.set(cast.ada, client.id, on=True)
    return made


@pytest.fixture
async def session_of(server, cast, agent, ticket, moderated):
    """``await session_of(capability)``: an open session of Alice's, to which Bruno is invited."""

    async def opened(capability, **more):
        sessions = server.services.remote.sessions
        asked = await sessions.open(agent.machine_id, ticket, "Voir", cast.alice, capability=capability, **more)
        await soon(lambda: is_open(server, asked.id), what="the session is open")
        await sessions.invite(cast.alice, asked.id, cast.bruno.id)
        return await sessions.get(asked.id)

    return opened


@pytest.fixture
async def both(cast, page_of):
    """``bruno = await both(session)``: two members are there; ``await bruno.close()`` leaves Alice alone."""

    async def come(session):
        await page_of(cast.alice, session)
        return await page_of(cast.bruno, session, viewer="b" * 16)

    return come


async def room_of(server, cast, session):
    calling = server.services.remote.calling
    room = await calling.room(session.id, cast.alice, session.capability, changes=False)
    await soon(lambda: room.connected, what="its agent is there")
    return room


async def alone(room, page):
    await page.close()
    await soon(lambda: room.alone, what="one is alone")


def leaks_of(room):
    """What reaches the machine while one is alone, and is none of what may."""
    leaks, real = [], room._to_agent

    async def watched(data):
        if room.alone and isinstance(data, str):
            message = calls.decode(data)
            if isinstance(message, calls.Call) and message.method not in ALONE_TOO and not _lets_go(message):
                leaks.append(message)
        await real(data)

    room._to_agent = watched
    return leaks


def _lets_go(call):
    return call.method == "screen.do" and call.arguments == {"events": [{"what": "release"}]}


# -- screen


class TestScreen:
    @pytest.fixture
    def surroundings(self, screen_name):
        return {"DISPLAY": screen_name}

    @pytest.fixture
    async def look(self, server, client_for):
        async with contextlib.AsyncExitStack() as stack:

            async def make(member, session, viewer="0123456789abcdef"):
                http = await client_for(member)
                page = ScreenPage(base=server.url, http=http, session_id=session.id, viewer=viewer)
                stack.push_async_callback(page.close)
                await page.open()
                await soon(lambda: page.last("welcome"))
                return page

            yield make

    async def test_looking_control_keys_and_pointer(self, server, cast, desktop, session_of, look, screen_name, agent):
        screens = server.services.remote.called.screens
        session = await session_of("screen")
        alice = await look(cast.alice, session)
        room = await room_of(server, cast, session)
        leaks = leaks_of(room)
        await asyncio.sleep(1)
        with pytest.raises(Conflict):
            await screens.ask_control(session.id, cast.alice)
        assert (alice.picture, leaks) == (None, []), "alone nothing is begun"
        bruno = await look(cast.bruno, session, "b" * 16)
        await soon(lambda: alice.shows(500, 400, BLUE), what="the picture")
        await screens.ask_control(session.id, cast.alice)
        await soon(lambda: (alice.last("control") or {}).get("controller") == cast.alice.id)
        desktop.order("focus")
        await asyncio.sleep(0.3)
        await alice.say("input", events=[{"what": "text", "text": "un"}])
        await soon(lambda: "typed 'un'" in desktop.told, what="two are there: it is typed")
        await alice.say("input", events=[{"what": "key", "key": "Shift", "down": True}])
        await soon(lambda: not room._events)
        await asyncio.sleep(0.3)
        await alone(room, bruno)
        await asyncio.sleep(0.5)
        await x(screen_name, "key", "a")
        await soon(lambda: "typed 'una'" in desktop.told, what=f"no key stays pressed: {desktop.told}")
        await alice.say("input", events=[{"what": "text", "text": "deux"}])
        await alice.say("input", events=[{"what": "move", "x": 100, "y": 100}])
        await alice.say("pointer", x=100, y=100)
        before = alice.bytes
        desktop.order("background #f0f000")
        await soon(lambda: alice.bytes > before, what="what was begun is still shown")
        await asyncio.sleep(0.5)
        assert "deux" not in desktop.told
        assert leaks == []
        bruno = await look(cast.bruno, session, "c" * 16)
        await soon(lambda: not room.alone)
        await alice.say("input", events=[{"what": "text", "text": "trois"}])
        await soon(lambda: "typed 'unatrois'" in desktop.told, what="what was typed alone is never typed")
        assert alice.last("control")["controller"] == cast.alice.id, "the client is not asked anew"

    async def test_coming_and_going_while_typing(self, server, cast, desktop, session_of, look):
        screens, dice = server.services.remote.called.screens, random.Random(7)
        session = await session_of("screen")
        alice = await look(cast.alice, session)
        bruno = await look(cast.bruno, session, "b" * 16)
        await soon(lambda: alice.shows(500, 400, BLUE))
        await screens.ask_control(session.id, cast.alice)
        await soon(lambda: (alice.last("control") or {}).get("controller") == cast.alice.id)
        room = await room_of(server, cast, session)
        leaks = leaks_of(room)

        async def type_on():
            while True:
                await alice.say("input", events=[{"what": "text", "text": "x"}])
                await asyncio.sleep(0.004)

        desktop.order("focus")
        typing = asyncio.create_task(type_on())
        for _ in range(8):
            await asyncio.sleep(dice.random() / 3)
            await bruno.close()
            await asyncio.sleep(dice.random() / 5)
            bruno = await look(cast.bruno, session, f"{dice.randrange(2**60):016x}")
        typing.cancel()
        await alone(room, bruno)
        done = room._done
        await alice.say("input", events=[{"what": "text", "text": "y"}])
        await asyncio.sleep(0.5)
        assert room._done == done
        assert leaks == []
        assert "x" in desktop.told
        assert "y'" not in desktop.told


# -- files


def key_of(path) -> str:
    return quote_from_bytes(os.fsencode(path), safe="/")


@pytest.fixture
def place(tmp_path):
    made = tmp_path / "client files"
    made.mkdir()
    (made / "reste.txt").write_text("là")
    return made


async def test_files_are_neither_written_nor_taken(server, cast, session_of, both, place):
    files, alice = server.services.remote.called.files, cast.alice
    session = await session_of("files")
    room = await room_of(server, cast, session)
    bruno = await both(session)
    leaks = leaks_of(room)
    upload = Place(key=key_of(place), names=("grand.bin",), size=3_000_000, modified=1_700_000_000)
    await files.put_begin(session.id, alice, upload)
    token = upload.token(alice.id)
    gate = asyncio.Event()

    async def body():
        yield b"a" * 100_000
        await gate.wait()
        yield b"b" * 900_000

    sending = asyncio.create_task(files.put(session.id, alice, token, start=0, length=1_000_000, body=body()))
    await soon(lambda: _part(place) >= 100_000, what="while they are two it arrives")
    await alone(room, bruno)
    gate.set()
    await asyncio.sleep(1)
    assert _part(place) == 100_000, "what was accepted before does not leave"
    look = Look(key=key_of(place))
    tried = {
        "list": lambda: files.listed(session.id, alice, look),
        "get": lambda: files.get(session.id, alice, key_of(place / "reste.txt")),
        "preview": lambda: files.preview(session.id, alice, key_of(place / "reste.txt")),
        "zip": lambda: files.archive(session.id, alice, key_of(place)),
        "make": lambda: files.make(session.id, alice, key_of(place), "neuf"),
        "rename": lambda: files.rename(session.id, alice, key_of(place / "reste.txt"), "autre"),
        "delete": lambda: files.delete(session.id, alice, key_of(place / "reste.txt"), whole=False),
        "put_begin": lambda: files.put_begin(session.id, alice, upload),
        "put": lambda: files.put(session.id, alice, token, start=0, length=0, body=_nothing()),
        "put_end": lambda: files.put_end(session.id, alice, token, sha256="0" * 64, overwrite=True),
    }
    for name, attempt in tried.items():
        with pytest.raises(Conflict):
            await attempt()
        assert leaks == [], name
    assert sorted(path.name for path in place.iterdir() if not path.name.startswith(".")) == ["reste.txt"]
    again = await both(session)
    assert await asyncio.wait_for(sending, 20) == 1_000_000, "it goes on once they are two again"
    await files.make(session.id, alice, key_of(place), "neuf")
    assert (place / "neuf").is_dir()
    await again.close()


def _part(place) -> int:
    return sum(path.stat().st_size for path in place.glob(".*compagnon-part"))


async def _nothing():
    return
    yield b""


async def test_what_waits_for_the_link_is_not_done_alone(server, cast, agent, session_of, both, place):
    """Asked while two were there and the link was cut; the second leaves before the machine is back."""
    files = server.services.remote.called.files
    session = await session_of("files")
    room = await room_of(server, cast, session)
    bruno = await both(session)
    await files.listed(session.id, cast.alice, Look(key=key_of(place)))
    os.killpg(agent.process.pid, signal.SIGSTOP)
    try:
        room.agent.dismiss(1012, "cut")
        await soon(lambda: not room.connected)
        deleting = asyncio.create_task(files.delete(session.id, cast.alice, key_of(place / "reste.txt"), whole=False))
        await soon(lambda: room._replies, what="it waits for the machine")
        await alone(room, bruno)
    finally:
        os.killpg(agent.process.pid, signal.SIGCONT)
    with pytest.raises(Conflict, match="not known"):
        await asyncio.wait_for(deleting, 20)
    await soon(lambda: room.connected)
    await asyncio.sleep(0.5)
    assert (place / "reste.txt").exists()


# -- tunnels


@pytest.fixture
async def target():
    """A service in the client's network: what it got, and connections to it."""
    got, count = bytearray(), [0]

    async def serve(reader, writer):
        count[0] += 1
        while data := await reader.read(65536):
            got.extend(data)
            writer.write(data)
            await writer.drain()
        writer.close()

    made = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield made.sockets[0].getsockname()[1], got, count
    made.close()


async def test_no_connection_and_no_byte_goes_through_a_tunnel(server, cast, session_of, both, target):
    port, got, count = target
    tunnels = server.services.remote.called.tunnels
    session = await session_of("tunnel", target=f"127.0.0.1:{port}")
    room = await room_of(server, cast, session)
    with pytest.raises(Conflict):
        async with tunnels.connection(session.id, cast.alice, via="test"):
            pass
    assert count == [0]
    bruno = await both(session)
    async with tunnels.connection(session.id, cast.alice, via="test") as end:
        await end.write(b"deux")
        assert await end.read() == b"deux"
        await alone(room, bruno)
        await end.write(b"seule")
        with pytest.raises(Conflict):
            async with tunnels.connection(session.id, cast.alice, via="test"):
                pass
        await asyncio.sleep(1)
        assert (bytes(got), count) == (b"deux", [1])
        await both(session)
        assert await asyncio.wait_for(end.read(), 10) == b"seule"
        with contextlib.suppress(ChannelLost):
            await end.finish()


async def test_who_is_alone_may_still_close_a_tunnels_connection(server, cast, session_of, both, target):
    port, _, _ = target
    tunnels = server.services.remote.called.tunnels
    session = await session_of("tunnel", target=f"127.0.0.1:{port}")
    room = await room_of(server, cast, session)
    bruno = await both(session)
    async with tunnels.connection(session.id, cast.alice, via="test") as end:
        await end.write(b"x")
        await end.read()
        await alone(room, bruno)
    await soon(lambda: not any(one.live for one in room.connections))


# -- processes, logs, chat


@pytest.mark.parametrize(
    ("capability", "method", "arguments"),
    [
        ("processes", "processes.list", {}),
        ("processes", "processes.services", {}),
        ("processes", "processes.kill", {"pid": 1, "started": 0}),
        ("processes", "processes.service", {"name": "cron", "action": "stop"}),
        ("logs", "logs.sources", {}),
        ("logs", "logs.read", {"source": "journal"}),
        ("logs", "logs.follow", {"source": "journal", "follow": "f"}),
        ("files", "files.later", {}),
    ],
)
async def test_whatever_is_not_named_is_refused(server, cast, session_of, page_of, capability, method, arguments):
    session = await session_of(capability)
    room = await room_of(server, cast, session)
    await page_of(cast.alice, session)
    leaks = leaks_of(room)
    with pytest.raises(Conflict):
        await room.call(method, arguments, member_id=cast.alice.id)
    assert leaks == []
    await page_of(cast.bruno, session, viewer="b" * 16)
    with contextlib.suppress(CallFailed):  # it is asked: the machine may not have it
        await room.call(method, arguments, member_id=cast.alice.id)


async def test_the_person_there_can_be_written_to_alone(server, cast, session_of, page_of):
    assert {"chat.say", "chat.typing"} <= ALONE_TOO
    assert not [name for name in ALONE_TOO if name.split(".")[0] not in {one.value for one in Capability}]


async def test_somebody_leaving_while_it_is_asked(server, cast, session_of, both):
    """The last look is taken when everything else is ready: no moment between it and the wire."""
    session = await session_of("processes")
    room = await room_of(server, cast, session)
    bruno = await both(session)
    leaks, real = leaks_of(room), room.pump

    async def leaves_now():
        for viewer in [viewer for viewer in room.viewers if viewer.member_id == cast.bruno.id]:
            room.leave(viewer)
        await real()

    room.pump = leaves_now
    with pytest.raises(Conflict):
        await room.call("processes.list", {}, member_id=cast.alice.id, record="processes.looked")
    assert leaks == []
    assert room._replies == {}
    await bruno.close()


async def test_the_pages_say_what_is_stopped(server, cast, session_of, page_of, client_for):
    session = await session_of("processes")
    await page_of(cast.alice, session)
    alice = await client_for(cast.alice)
    assert "rien de ce qui est demandé n’atteint la machine" in (await alice.get(f"/sessions/{session.id}/side")).text
