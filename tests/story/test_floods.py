"""Whoever sends too much, reads nothing or finds the disk full holds up nobody else. Real processes."""

import asyncio
import os
import secrets
import shutil
import statistics
import subprocess
import sys
import time
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta

import pytest
from kill_parts import World, world
from remote_parts import Agent, Page, until
from up_parts import as_url, new_up
from websockets.exceptions import ConnectionClosed

from compagnon_agent.identity import Identity, load
from compagnon_agent.link import dial, shake_hands
from compagnon_agent.protocol import frames, messages, signing
from compagnon_agent.protocol.stream import Stream

pytestmark = pytest.mark.timeout(240)
KEYS = int(os.environ.get("COMPAGNON_BENCH_KEYS", "60"))
UNHARMED = 0.15  # seconds: the echo of a key, at the median, while others flood


@pytest.fixture
async def here(database, tmp_path):
    with new_up() as up:
        up.environ = {"COMPAGNON_DATABASE_URL": as_url(database)}
        async with world(up, tmp_path / "agent", database=database) as made:
            yield made


@pytest.fixture
async def page(here):
    made = await here.open_terminal()
    await made.type("stty -icanon; echo pr''et; cat\r")
    await made.see("pret\r\n")
    yield made
    await made.close()


async def echoes(page: Page) -> list[float]:
    """Seconds until each of some keys is shown."""
    took = []
    for _ in range(KEYS):
        before, begun = len(page.output), time.monotonic()
        await page.type("x")
        while len(page.output) == before:
            await asyncio.sleep(0)
            assert time.monotonic() - begun < 10, "the key is not shown"
        took.append(time.monotonic() - begun)
        await asyncio.sleep(0.01)
    return took


def told(what: str, took: list[float]) -> float:
    middle = statistics.median(took)
    print(f"\necho {what}: {middle * 1000:.1f} ms at the median, {max(took) * 1000:.0f} ms at most, {len(took)} keys")
    return middle


# -- pages -------------------------------------------------------------------------------------------------------------


class Silent(Page):
    """A page that is connected and reads nothing."""

    async def _read(self) -> None:
        await asyncio.Event().wait()


@pytest.mark.parametrize("kind", ["keys", "unknown", "pings"])
async def test_a_page_that_floods_harms_no_driver(here, page, kind):
    told("alone", await echoes(page))
    other = Page(base=here.up.url, http=here.alice, session_id=page.session_id, viewer="f" * 16)
    await other.open()
    payload = os.urandom(frames.MAX_PAYLOAD)
    message = {
        "keys": frames.data(payload, 1 << 40).encode(),  # far ahead of what it may say
        "unknown": bytes([200]) + frames.data(payload, 0).encode()[1:],
        "pings": '{"type": "ping"}',
    }[kind]
    async with flooding(other.socket, message) as sent:
        middle = told(f"beside a page that floods with {kind}", await echoes(page))
    assert sent[0] > 0
    print(f"{sent[0]} messages")
    assert middle < UNHARMED
    await other.close()


@asynccontextmanager
async def flooding(socket, message):
    """As fast as it goes, and, should the server hang up, no more."""
    sent = [0]

    async def flood() -> None:
        with suppress(ConnectionClosed):
            while True:
                await socket.send(message)
                sent[0] += 1
                await asyncio.sleep(0)  # what measures runs beside it

    task = asyncio.create_task(flood())
    try:
        yield sent
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_page_that_reads_nothing_holds_up_neither_output_nor_keys(here):
    page = await here.open_terminal()
    silent = Silent(base=here.up.url, http=here.alice, session_id=page.session_id, viewer="d" * 16)
    await silent.open()
    begun = time.monotonic()
    await page.type("seq 1 300000; echo do''ne; stty -icanon; cat\r")
    await page.see("done\r\n", seconds=60)
    print(f"\n{page.offset} bytes beside a page that reads nothing: {time.monotonic() - begun:.1f} s")
    assert told("beside a page that reads nothing", await echoes(page)) < UNHARMED
    silent.socket.transport.abort()
    await page.close()


# -- an agent in wrong hands -------------------------------------------------------------------------------------------


class Rogue:
    """Its key is good, it says yes to everything, and in a session it says ``message`` for ever."""

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        self.message: bytes = b""
        self.sent = 0
        self.hung_up = 0
        self._tasks: set[asyncio.Task] = set()

    async def run(self) -> None:
        async with dial(self.identity, "/agent/control") as socket:
            await shake_hands(socket, self.identity, signing.CONTROL, ("terminal",))
            async for raw in socket:
                message = messages.decode(raw) if raw else None
                if isinstance(message, messages.ConsentRequest):
                    answer = messages.ConsentAnswer(
                        request_id=message.request_id, granted=True, source=messages.ConsentSource.POLICY,
                        until=datetime.now(UTC) + timedelta(hours=1),
                    )  # fmt: skip
                    await socket.send(messages.encode(answer))
                elif isinstance(message, messages.OpenSession):
                    self._tasks.add(asyncio.create_task(self._session(message.session_id)))

    async def _session(self, session_id: str) -> None:
        while True:
            with suppress(ConnectionClosed):
                async with dial(self.identity, f"/agent/sessions/{session_id}") as socket:
                    await shake_hands(socket, self.identity, signing.session_purpose(session_id), ())
                    await socket.send(Stream().connected().encode())
                    while True:
                        await socket.send(self.message)
                        self.sent += 1
                        await asyncio.sleep(0)
            self.hung_up += 1
            await asyncio.sleep(0.2)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@pytest.fixture
async def rogue(here, tmp_path):
    """A second machine, whose agent is this."""
    folder = Agent(folder=tmp_path / "rogue")
    folder.folder.mkdir(mode=0o700)
    async with here.services() as services:
        offer = await services.remote.machines.offer(here.cast.alice, here.client_id)
        await folder.enrol(here.up.url, offer.code)
        await services.remote.machines.approve(
            here.cast.alice, folder.machine_id, name="Voleur", site_id=None, environment=None
        )
    made = Rogue(load(folder.folder))
    running = asyncio.create_task(made.run())
    online = "SELECT online FROM machines WHERE id = %s"
    await until(lambda: here.ask(online, folder.machine_id) == [(True,)], what="it is online")
    yield made, folder.machine_id
    running.cancel()
    await made.stop()
    await asyncio.gather(running, return_exceptions=True)


@pytest.mark.parametrize("kind", ["unknown", "pings", "beyond"])
async def test_an_agent_that_floods_harms_no_other_machines_driver(here, page, rogue, kind):
    told("alone", await echoes(page))
    agent, machine_id = rogue
    payload = os.urandom(frames.MAX_PAYLOAD)
    agent.message = {
        "unknown": bytes([200]) + frames.data(payload, 0).encode()[1:],
        "pings": frames.ping(secrets.randbits(53)).encode(),
        "beyond": frames.data(payload, 1 << 20).encode(),  # more than it was told to send: each costs its connection
    }[kind]
    form = {"ticket_id": here.ticket, "reason": "Voir"}
    answer = await here.alice.post(f"/machines/{machine_id}/sessions", data=form)
    assert answer.status_code == 303, answer.text
    await until(lambda: agent.sent > 50, what="it floods")
    took = await echoes(page)
    middle = told(f"beside an agent that floods with {kind}", took)
    print(f"{agent.sent} frames, {agent.hung_up} times hung up")
    assert middle < UNHARMED
    assert max(took) < 1.5, "thousands of frames in one packet do not stop everything"


# -- the disk ----------------------------------------------------------------------------------------------------------


@pytest.fixture
async def small_disk(database, tmp_path):
    """The server has a file system of 2 MiB for its recordings, in a mount namespace of its own."""
    if os.geteuid() != 0 or not shutil.which("unshare") or not shutil.which("nsenter"):
        pytest.skip("needs root, to give the server a small disk")
    with new_up() as up:
        folder = up.data / "recordings"
        folder.mkdir(parents=True)
        mount = f'mount -t tmpfs -o size=2m,mode=700 none {folder} && exec "$@"'
        up.command = ["unshare", "--mount", "sh", "-c", mount, "sh", sys.executable]
        up.environ = {"COMPAGNON_DATABASE_URL": as_url(database)}
        async with world(up, tmp_path / "agent", database=database) as made:
            yield made


def larger(here: World) -> None:
    folder = here.up.data / "recordings"
    enter = ["nsenter", f"--mount=/proc/{here.up.process.pid}/ns/mnt", "--"]
    subprocess.run([*enter, "mount", "-o", "remount,size=64m", str(folder)], check=True)


async def test_a_full_disk_stops_what_is_typed_and_says_so_until_there_is_room(small_disk):
    here = small_disk
    page = await here.open_terminal()
    await page.type("seq -f line-%.0f- 1 250000; echo all''done\r")
    await until(lambda: (page.last("frozen") or {}).get("frozen"), seconds=60, what="the page is told")
    stopped = len(page.output)
    await page.type("echo hid''den\r")
    await asyncio.sleep(2)
    assert len(page.output) == stopped, "nothing is shown that is not recorded"
    assert page.arrived < len(page.typed), "nothing is typed that is not recorded"
    larger(here)
    await until(lambda: page.last("frozen") == {"type": "frozen", "frozen": False}, what="the page is told again")
    await page.see("alldone", seconds=60)
    await page.see("hidden")
    assert (await here.alice.post(f"/sessions/{page.session_id}/end")).status_code == 303
    query = "SELECT state FROM recordings WHERE session_id = %s"
    await until(lambda: here.ask(query, page.session_id)[0][0] == "complete", what="the recording is whole")
    await page.close()


# -- two technicians ---------------------------------------------------------------------------------------------------


async def test_two_members_open_end_and_take_at_the_same_moment(here):
    """Two clicks at once: each of them has its session, one end counts, one hand holds the keyboard."""
    form = {"ticket_id": here.ticket, "reason": "Voir"}
    address = f"/machines/{here.agent.machine_id}/sessions"
    await until(here.online, what="the agent is online")
    answers = await asyncio.gather(*(here.alice.post(address, data=form) for _ in range(4)))
    sessions = [answer.headers["location"].rpartition("/")[2] for answer in answers]
    assert len(set(sessions)) == 4
    query = "SELECT count(*) FROM remote_sessions WHERE state = 'open'"
    await until(lambda: here.ask(query) == [(4,)], what="all of them open")
    ends = await asyncio.gather(*(here.alice.post(f"/sessions/{sessions[0]}/end") for _ in range(4)))
    assert sorted(answer.status_code for answer in ends) == [303, 409, 409, 409]
    ended = "SELECT count(*) FROM audit_log WHERE action = 'session.ended' AND subject = %s"
    assert here.ask(ended, f"session:{sessions[0]}") == [(1,)]
    assert await here.audit_is_whole()
