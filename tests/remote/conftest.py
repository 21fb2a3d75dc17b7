"""Real agents against the real server: enrolled, approved, with a terminal open."""

from __future__ import annotations

from contextlib import AsyncExitStack

import pytest
from remote_parts import Agent, Ear, Page, is_open, until
from screen_parts import desktop_on
from xvfb_parts import display

from compagnon.audit import Actor
from remote.control.connection import AgentConnection, Proof
from remote.machines.model import Arrival, EnrolRequest
from remote.sessions import rooms
from tickets.desk.model import NewTicket


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    """On a busy machine too, a session that has ended has its recording finished."""
    monkeypatch.setattr(rooms, "FINISHED_SOON", 30.0)


@pytest.fixture
def surroundings():
    """What the agents find in their environment beside the usual."""
    return {}


@pytest.fixture
async def agents(tmp_path, surroundings):
    """``await agents()``: a folder for one more agent; all are stopped at the end."""
    made: list[Agent] = []

    def make() -> Agent:
        folder = tmp_path / f"agent{len(made)}"
        folder.mkdir(mode=0o700)
        made.append(Agent(folder=folder, extra=dict(surroundings)))
        return made[-1]

    yield make
    for agent in made:
        await agent.stop()


@pytest.fixture
def screen_name():
    with display() as name:
        yield name


@pytest.fixture
def desktop(screen_name):
    """A scripted desktop on a screen of its own."""
    with desktop_on(screen_name) as made:
        yield made


@pytest.fixture
async def client(server, cast):
    """A client of the co-operative."""
    return await server.services.kernel.directory.add_client(
        kind="company", name="Boulangerie Le Goff", actor=Actor.member(cast.alice.id)
    )


@pytest.fixture
async def ticket(server, cast, client):
    """Alice's open ticket."""
    new = NewTicket(client_id=client.id, title="Rien ne s'imprime", owner_id=cast.alice.id)
    return await server.services.tickets.desk.open(new, cast.alice)


@pytest.fixture
async def agent(server, cast, client, agents):
    """A real agent, enrolled, approved by Alice, connected."""
    machines = server.services.remote.machines
    offer = await machines.offer(cast.alice, client.id)
    made = agents()
    await made.enrol(server.url, offer.code)
    made.policy()
    await machines.approve(cast.alice, made.machine_id, name="Accueil", site_id=None, environment=None)
    await made.start()
    await until(lambda: server.services.remote.link.online(made.machine_id), what="the agent is connected")

    async def known():
        return (await machines.get(made.machine_id)).capabilities

    await until(known, what="what the agent can do is known")
    return made


@pytest.fixture
async def session(server, cast, agent, ticket):
    """An open session, asked for by Alice."""
    sessions = server.services.remote.sessions
    asked = await sessions.open(agent.machine_id, ticket, "Regarder la file d'impression", cast.alice)
    await until(lambda: is_open(server, asked.id), what="the session is open")
    return await sessions.get(asked.id)


@pytest.fixture
async def page_of(server, client_for):
    """``await page_of(member, session)``: that member's page of the session, connected."""
    async with AsyncExitStack() as stack:

        async def make(member, session, *, viewer: str = "0123456789abcdef", connected: bool = True) -> Page:
            page = Page(base=server.url, http=await client_for(member), session_id=session.id, viewer=viewer)
            stack.push_async_callback(page.close)
            if connected:
                await page.open()
                await until(lambda: page.last("welcome"), what="the page is welcome")
            return page

        yield make


@pytest.fixture
async def intruder(server, cast, client):
    """Another machine, approved and connected, whose agent is hostile."""
    link = server.services.remote.link
    offer = await link.machines.offer(cast.alice, client.id)
    request = EnrolRequest(code=offer.code, public_key=b"i" * 32, name="I", hostname="i", os="Linux", version="1")
    machine = await link.machines.enrol(request, "127.0.0.1")
    machine = await link.machines.approve(cast.alice, machine.id, name="Intrus", site_id=None, environment=None)
    connection = AgentConnection(Ear(), machine, Proof("control", machine.id, bytes(32), bytes(32)))
    await link.arrive(connection, Arrival(id=machine.id, version="1", capabilities=()))
    yield connection
    await link.left(connection)
