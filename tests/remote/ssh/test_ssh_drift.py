"""A device's declared environment: looked at over SSH when asked and by itself, kept when it cannot be reached."""

from __future__ import annotations

import pytest
from remote_parts import until

from compagnon.errors import Unavailable

ENVIRONMENT = """\
---
id: nas-essai
type: environment
title: NAS d'essai
locale: fr
risk: low
review_every: P1Y
---
Le NAS des essais.

## Conformité

### comptes: Le fichier des comptes existe

- check: {file: {/etc/passwd: {exists: true}}}

### temoin: Le témoin est posé

- check: {file: {%s: {exists: true}}}
"""


@pytest.fixture
async def declared(server, cast, known, sshd):
    witness = sshd.home / "temoin"
    await server.services.procedures.library.import_text(ENVIRONMENT % witness, cast.ada, publish=True)
    await server.services.remote.machines.declare(cast.alice, known.machine_id, "nas-essai")
    return witness


async def test_drift_of_a_device_appears_goes_and_outlasts_its_absence(server, cast, ssh, known, declared, sshd):
    remote = server.services.remote
    await remote.drift.check(known.machine_id, cast.alice)
    assert await remote.machines.failing_checks(known.machine_id) == [("Le témoin est posé", None)]
    assert (await remote.machines.get(known.machine_id)).health == "drift"
    await sshd.kill_all()
    with pytest.raises(Unavailable):
        await remote.drift.check(known.machine_id, cast.alice)
    assert (await remote.machines.get(known.machine_id)).failing == 1
    await sshd.start()
    declared.touch()
    await remote.drift.check(known.machine_id, cast.alice)
    machine = await remote.machines.get(known.machine_id)
    assert (machine.failing, machine.health) == (0, "sound")


async def test_a_device_is_looked_at_by_itself_once_it_declares_an_environment(
    server, cast, ssh, known, declared, client_for
):
    alice = await client_for(cast.alice)
    machines = server.services.remote.machines
    await alice.post(f"/machines/{known.machine_id}/environment", data={"environment": ""})
    await alice.post(f"/machines/{known.machine_id}/environment", data={"environment": "nas-essai"})

    async def looked():
        return (await machines.get(known.machine_id)).checked_at is not None

    await until(looked, seconds=30, what="it was looked at")
    assert len(await machines.checks(known.machine_id)) == 2


async def test_a_revoked_device_is_let_go(server, cast, ssh, known, client_for):
    alice, link = await client_for(cast.alice), server.services.remote.link
    assert link.online(known.machine_id)
    assert (await alice.post(f"/machines/{known.machine_id}/revoke")).status_code == 303
    await until(lambda: not link.online(known.machine_id), what="nothing plays its agent any more")
