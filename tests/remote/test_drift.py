"""Drift of a real machine from an environment, waivers, and what a page says about both."""

from datetime import date, timedelta

import pytest
from remote_parts import until

from compagnon.errors import Conflict, Invalid, NotFound

ENVIRONMENT = """\
---
id: poste-essai
type: environment
title: Poste d'essai
locale: fr
risk: low
review_every: P1Y
---
Le poste des essais.

## Conformité

### comptes: Le fichier des comptes existe

- check: {file: {/etc/passwd: {exists: true}}}

### temoin: Le témoin est posé

- check: {file: {%s: {exists: true}}}
- repair: sys-001
"""


@pytest.fixture
async def declared(server, cast, agent, tmp_path):
    """The agent's machine declares an environment of which one check fails."""
    witness = tmp_path / "temoin"
    await server.services.procedures.library.import_text(ENVIRONMENT % witness, cast.ada, publish=True)
    await server.services.remote.machines.declare(cast.alice, agent.machine_id, "poste-essai")
    return witness


async def test_drift_appears_names_its_repair_and_goes(server, cast, agent, declared, client_for):
    remote = server.services.remote
    await remote.drift.check(agent.machine_id, cast.alice)
    assert await remote.machines.failing_checks(agent.machine_id) == [("Le témoin est posé", "sys-001")]
    machine = await remote.machines.get(agent.machine_id)
    assert (machine.failing, machine.health) == (1, "drift")
    alice = await client_for(cast.alice)
    text = (await alice.get(machine.url)).text
    assert "Le témoin est posé" in text
    assert "/procedures/sys-001" in text
    assert "Accueil" in (await alice.get("/machines?show=drifting")).text
    declared.touch()
    assert (await alice.post(f"{machine.url}/check")).status_code == 303
    assert await remote.machines.failing_checks(agent.machine_id) == []
    kinds = [event.kind for event in await remote.machines.history(agent.machine_id)]
    assert kinds[:2] == ["check_pass", "check_fail"], "changes only: the check that always passed is no event"
    await remote.drift.check(agent.machine_id)
    assert [event.kind for event in await remote.machines.history(agent.machine_id)] == kinds


async def test_a_waiver_holds_until_its_day(server, cast, agent, declared):
    remote = server.services.remote
    states = await remote.drift.check(agent.machine_id)
    key = next(state.key for state in states if state.failing)
    tomorrow = date.today() + timedelta(days=1)
    with pytest.raises(Invalid):
        await remote.drift.waive(cast.alice, agent.machine_id, key, "court", tomorrow)
    with pytest.raises(Invalid):
        await remote.drift.waive(cast.alice, agent.machine_id, key, "Le client le veut ainsi", date(2020, 1, 1))
    with pytest.raises(NotFound):
        await remote.drift.waive(cast.alice, agent.machine_id, "rien", "Le client le veut ainsi", tomorrow)
    await remote.drift.waive(cast.alice, agent.machine_id, key, "Le client le veut ainsi", tomorrow)
    with pytest.raises(Conflict):
        await remote.drift.waive(cast.alice, agent.machine_id, key, "Le client le veut ainsi", tomorrow)
    machine = await remote.machines.get(agent.machine_id)
    assert (machine.failing, machine.waived) == (0, 1)
    assert await remote.machines.failing_checks(agent.machine_id) == []
    async with server.services.kernel.db.transaction() as conn:
        await conn.execute("UPDATE waivers SET created_at = now() - interval '2 days', expires_at = now()")
    await remote.drift.expire()
    machine = await remote.machines.get(agent.machine_id)
    assert (machine.failing, machine.waived) == (1, 0)


async def test_a_machine_is_compared_when_it_connects(server, cast, agent, declared):
    await agent.stop()
    await until(lambda: not server.services.remote.link.online(agent.machine_id))
    await agent.start()

    async def checked():
        return (await server.services.remote.machines.get(agent.machine_id)).failing == 1

    await until(checked, seconds=30, what="the drift is known without anybody asking")
