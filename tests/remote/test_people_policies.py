"""A client's consent rules: written in versions, shown at the machine, and what holds where is seen on the pages."""

import asyncio
import contextlib
import os
import pty
import sys

import pytest
from remote_parts import until

from compagnon.errors import Conflict, Invalid, NotFound, Unavailable
from compagnon_agent.protocol.agreements import Attendance, Terms
from compagnon_agent.protocol.manifest import Risk

TERMS = Terms(attendance=Attendance.UNATTENDED, capabilities=("terminal",), hours=3, days=90, words="La nuit aussi")


@pytest.fixture
def policies(server):
    return server.services.remote.policies


class Tty:
    """The terminal on which the agent runs, and a person reads and types."""

    def __init__(self):
        self.master, self.slave = pty.openpty()
        os.set_blocking(self.master, False)
        self.text = ""

    def shows(self, wanted):
        with contextlib.suppress(BlockingIOError):
            self.text += os.read(self.master, 65536).decode("utf-8", "replace")
        return wanted in self.text


@pytest.fixture
async def person(server, agent):
    """The agent again, asking in a terminal."""
    await agent.stop()
    agent.policy('mode = "attended"\n')
    tty = Tty()
    agent.process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "compagnon_agent.cli", "run",
        env=agent.environment() | {"LANG": "fr_FR.UTF-8"}, stdin=tty.slave, stdout=tty.slave, stderr=tty.slave,
    )  # fmt: skip
    os.close(tty.slave)
    link = server.services.remote.link
    await asyncio.sleep(0.2)
    await until(lambda: link.online(agent.machine_id), what="the agent is back")
    yield tty
    await agent.stop()
    os.close(tty.master)


async def actions(server, machine_id):
    async with server.services.kernel.db.connection() as conn:
        rows = await conn.execute(
            "SELECT action FROM audit_log WHERE subject = %s AND action LIKE 'policy.%%' ORDER BY seq",
            [f"machine:{machine_id}"],
        )
        return [row[0] for row in await rows.fetchall()]


async def test_versions_follow_each_other_and_two_writers_get_one_conflict(policies, cast, client):
    assert await policies.write(cast.alice, client.id, TERMS, after=0) == 1
    with pytest.raises(Conflict):
        await policies.write(cast.bruno, client.id, TERMS, after=0)
    both = await asyncio.gather(
        policies.write(cast.alice, client.id, TERMS, after=1),
        policies.write(cast.bruno, client.id, TERMS, after=1),
        return_exceptions=True,
    )
    assert sorted(type(one).__name__ for one in both) == ["Conflict", "int"]
    newest, *older = await policies.versions(client.id)
    assert (newest.version, [one.version for one in older]) == (2, [1])
    assert newest.proposal.terms == TERMS
    assert newest.digest != older[0].digest
    with pytest.raises(Invalid):
        await policies.write(cast.alice, client.id, Terms(attendance=Attendance.PREAGREED), after=2)
    with pytest.raises(NotFound):
        await policies.write(cast.alice, 10**9, TERMS, after=0)


async def test_it_holds_once_the_person_there_says_yes_and_ends_when_they_take_it_back(
    server, cast, client, agent, person, policies, client_for, ticket
):
    await policies.write(cast.alice, client.id, TERMS, after=0)
    (place,) = await policies.machines(client.id)
    assert place.holding is None
    alice = await client_for(cast.alice)
    assert (await alice.post(f"/machines/{agent.machine_id}/policy", data={"version": 1})).status_code == 303
    await until(lambda: person.shows("même quand personne n'est là"))
    (asked,) = server.services.remote.link.consents(agent.machine_id)
    await until(lambda: person.shows(asked.short_code), what="the same code on both sides")
    assert asked.short_code in (await alice.get(f"/machines/{agent.machine_id}")).text
    with pytest.raises(Conflict):
        await policies.propose(cast.alice, agent.machine_id, 1)
    await until(lambda: person.shows("je refuse"))
    os.write(person.master, b"o\n")

    async def holds():
        (place,) = await policies.machines(client.id)
        return place.holding and place.holding.version == 1 and place.latest

    await until(holds, what="the machine says that version 1 holds")
    page = (await alice.get(f"/machines/{agent.machine_id}")).text
    assert "Version 1 des règles de ce client" in page
    assert await actions(server, agent.machine_id) == ["policy.proposed", "policy.accepted"]
    session = await server.services.remote.sessions.open(agent.machine_id, ticket, "Essai", cast.alice)

    async def granted():
        return (await server.services.remote.sessions.get(session.id)).consent_by.startswith("policy")

    await until(granted, what="granted without a question")
    await policies.write(cast.alice, client.id, TERMS, after=1)
    (place,) = await policies.machines(client.id)
    assert (place.holding.version, place.latest) == (1, False), "a new version is words until somebody there agrees"
    assert (await agent.cli("policy", "--withdraw"))[0] == 0

    async def gone():
        (place,) = await policies.machines(client.id)
        return place.holding is None

    await until(gone, what="it is taken back")

    async def ended():
        return not (await server.services.remote.sessions.get(session.id)).live

    await until(ended, what="what it had granted ends")


async def test_a_no_and_a_machine_that_is_away(server, cast, client, agent, person, policies):
    await policies.write(cast.alice, client.id, TERMS, after=0)
    with pytest.raises(NotFound):
        await policies.propose(cast.alice, agent.machine_id, 9)
    await policies.propose(cast.alice, agent.machine_id, 1)
    await until(lambda: person.shows("je refuse"))
    os.write(person.master, b"n\n")

    async def refused():
        return await actions(server, agent.machine_id) == ["policy.proposed", "policy.refused"]

    await until(refused)
    (place,) = await policies.machines(client.id)
    assert place.holding is None
    await agent.stop()
    await until(lambda: not server.services.remote.link.online(agent.machine_id))
    with pytest.raises(Unavailable):
        await policies.propose(cast.alice, agent.machine_id, 1)


async def test_the_form_on_the_clients_page(policies, cast, client, client_for):
    alice = await client_for(cast.alice)
    data = {
        "after": "0", "attendance": "preagreed", "capabilities": ["terminal", "logs"], "procedures": "low",
        "hours": "2", "days": "365", "words": "<script>",
    }  # fmt: skip
    url = f"/clients/{client.id}"
    assert (await alice.post(f"{url}/policy", data=data)).status_code == 303
    (version,) = await policies.versions(client.id)
    assert (version.capabilities, version.procedures) == (("terminal", "logs"), Risk.LOW)
    text = (await alice.get(url)).text
    assert "&lt;script&gt;" in text
    assert "<script>»" not in text
    for wrong in ({"capabilities": ["tunnel"]}, {"hours": "99"}, {"procedures": "huge"}, {"attendance": "x"}):
        assert (await alice.post(f"{url}/policy", data=data | {"after": "1"} | wrong)).status_code in (400, 422)
    assert (await alice.post(f"{url}/policy", data=data)).status_code == 409
    assert len(await policies.versions(client.id)) == 1


async def test_what_a_machine_claims_about_another_text_is_shown_as_such(server, cast, client, agent, policies):
    machines = server.services.remote.machines
    machine = await machines.get(agent.machine_id)
    lie = {"digest": "f" * 64, "attendance": "<b>", "since": "yesterday", "until": None, "person": "x" * 999}
    async with server.services.kernel.db.transaction() as conn:
        await machines.keep_policy(conn, machine, {"mode": "attended", "agreement": lie})
    (place,) = await policies.machines(client.id)
    assert place.holding.version is None
    assert (place.holding.since, len(place.holding.person)) == (None, 120)
