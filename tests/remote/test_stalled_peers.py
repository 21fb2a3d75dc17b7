"""A peer that stops reading costs itself its connection, and nobody else a second."""

import asyncio
import time
from types import SimpleNamespace

import pytest
from remote_parts import until

from compagnon_agent.protocol import messages
from remote import wire
from remote.control.connection import AgentConnection
from remote.sessions import rooms as rooms_module
from remote.sessions.model import EndReason
from remote.wire import AsgiOnly, Closed, Wire


class Stalled(AsgiOnly):
    """A connection whose other side does not read."""

    def __init__(self):
        super().__init__(self.receive)
        self.aborted = asyncio.Event()
        self.wire = Wire(self.receive, self.send, {"extensions": {wire.SOCKET: self}})

    def abort(self):
        self.aborted.set()

    async def receive(self):
        await self.aborted.wait()
        return {"type": "websocket.disconnect"}

    async def send(self, message):
        await asyncio.Event().wait()


@pytest.fixture
def hurried(monkeypatch):
    monkeypatch.setattr(wire, "PATIENCE", 0.1)
    monkeypatch.setattr(Wire.send, "__defaults__", (0.1,))


async def test_sending_to_it_is_given_up_and_its_reader_notices(hurried):
    stalled = Stalled()
    with pytest.raises(Closed):
        await asyncio.wait_for(stalled.wire.send("hello"), 2)
    assert stalled.aborted.is_set()
    with pytest.raises(Closed):
        await stalled.wire.receive()


async def test_closing_it_is_given_up_too(hurried):
    stalled = Stalled()
    await asyncio.wait_for(stalled.wire.close(wire.SILENT, "silent"), 2)
    assert stalled.aborted.is_set()


async def test_a_polite_close_that_never_leaves_is_cut_later(monkeypatch):
    monkeypatch.setattr(wire, "LINGER", 0.05)
    stalled = Stalled()

    async def buffered(message):
        return None

    stalled.wire._send = buffered
    await stalled.wire.close()
    await asyncio.wait_for(stalled.aborted.wait(), 2)


async def test_ending_a_session_waits_for_neither_page_nor_agent(server, cast, session, page_of):
    await page_of(cast.alice, session)
    sessions = server.services.remote.sessions
    room = sessions._rooms.get(session.id)
    await until(lambda: room.agent is not None)
    stalled = Stalled()
    room.agent = stalled.wire
    await asyncio.wait_for(sessions.end(session.id, EndReason.MEMBER), rooms_module.FINISHED_SOON + 3)
    assert not stalled.aborted.is_set(), "its own task waits for it"


async def test_the_watcher_of_the_rooms_waits_for_nobody(kernel):
    found = rooms_module.Rooms(kernel)
    stalled = Stalled()
    pumped = asyncio.Event()

    async def pump():
        pumped.set()
        await asyncio.Event().wait()

    viewer = SimpleNamespace(wire=stalled.wire, heard=time.monotonic() - 1000)
    room = SimpleNamespace(
        frozen=True, retry=lambda: None, look_around=lambda: None, look_at_link=lambda: None, pumping=False, pump=pump,
        silent=lambda: True, agent=Stalled().wire,
        viewers={"v": viewer}.values(),
    )  # fmt: skip
    found._rooms["0" * 32] = room
    found._look_after_rooms()
    await asyncio.wait_for(pumped.wait(), 2)
    await asyncio.sleep(0)
    assert stalled.wire.closed
    assert room.agent.closed
    for task in found._tasks:
        task.cancel()


async def test_the_watcher_of_the_agents_waits_for_nobody(server, agent):
    link = server.services.remote.link
    machine = link.connections[agent.machine_id].machine
    stalled = Stalled()
    silent = AgentConnection(stalled.wire, machine, None)
    silent.heard -= messages.SILENCE + 1
    link.connections[10**9] = silent
    try:
        await asyncio.wait_for(link.keep_present(), 3)
        await asyncio.sleep(0)
        assert stalled.wire.closed
    finally:
        del link.connections[10**9]


async def test_a_real_connection_that_does_not_read_is_dropped(server, agent, hurried):
    """The agent's process is stopped like a frozen machine; the buffers fill; the connection goes."""
    import os
    import signal

    link = server.services.remote.link
    connection = link.connections[agent.machine_id]
    os.kill(agent.process.pid, signal.SIGSTOP)
    try:
        with pytest.raises(Closed):
            for _ in range(400):
                await connection.wire.send("x" * 100_000)
        await until(lambda: link.connections.get(agent.machine_id) is not connection, seconds=5)
    finally:
        os.kill(agent.process.pid, signal.SIGCONT)
