"""From a search to a run to its good end: what runs teach, and how they are counted."""

from __future__ import annotations

from typing import Any

import pytest

from compagnon.audit import Actor
from compagnon.directory.model import ClientKind
from kb.learning.model import Outcome as Runs
from procedures.runs import store
from procedures.runs.lessons import AGE
from procedures.runs.model import Outcome, Run
from tickets.desk.model import NewTicket

PROCEDURE = """\
---
id: tst-009
type: repair
title: Vider la file d'impression
locale: fr
applies_to: [poste-debian-12]
esttime: PT5M
perskill: [impression]
risk: low
review_every: P6M
---

Suivez cette procédure quand des travaux restent en attente.

## Étapes

### s1: Videz la file {importance=required}

- stepresult: La file est vide.
- on_fail: {then: {escalate: impression}}

## Résultat

La file est vide.

## Après l'intervention

Dites au client que c'est réparé.
"""
KEY = "procedure:tst-009.fr"


@pytest.fixture
async def procedure(services: Any, cast: Any) -> str:
    await services.procedures.library.import_text(PROCEDURE, cast.ada, publish=True)
    return "tst-009"


async def start(services: Any, member: Any, ticket: int | None = None) -> Run:
    run: Run = await services.procedures.runs.start("tst-009", "fr", None, ticket, member, {})
    return run


async def finish(services: Any, member: Any, run: Run) -> None:
    await services.procedures.runs.attest(run.id, member, revision=run.revision, outcome=Outcome.DONE)


async def taught(services: Any) -> tuple[str, ...]:
    return tuple((await services.kb.learning.queries([KEY])).get(KEY, ()))


@pytest.mark.usefixtures("procedure")
async def test_a_question_whose_procedure_was_followed_to_its_end_is_learned(services: Any, cast: Any) -> None:
    learning = services.kb.learning
    await learning.opened(cast.alice, "rien ne sort de l'imprimante", "procedure", "tst-009.fr")
    run = await start(services, cast.alice)
    assert await taught(services) == ()
    await finish(services, cast.alice, run)
    assert await taught(services) == ("rien ne sort de l'imprimante",)
    document = await services.procedures.library.document("procedure", "tst-009.fr")
    assert document is not None
    assert document.queries == ()  # they come with the index, not with the procedure


@pytest.mark.usefixtures("procedure")
async def test_what_the_ticket_says_is_a_question_too(services: Any, cast: Any) -> None:
    client = await services.kernel.directory.add_client(
        kind=ClientKind.COMPANY, name="Menuiserie", actor=Actor.system()
    )
    new = NewTicket(client_id=client.id, title="Plus rien ne sort, rappeler au 02 99 00 11 22", owner_id=cast.alice.id)
    ticket = await services.tickets.desk.open(new, cast.alice)
    await finish(services, cast.alice, await start(services, cast.alice, ticket))
    assert await taught(services) == ("Plus rien ne sort, rappeler au",)


@pytest.mark.usefixtures("procedure")
async def test_anothers_run_and_one_given_up_teach_nothing(services: Any, cast: Any) -> None:
    await services.kb.learning.opened(cast.alice, "rien ne sort", "procedure", "tst-009.fr")
    await finish(services, cast.bruno, await start(services, cast.bruno))
    run = await start(services, cast.alice)
    await services.procedures.runs.abandon(run.id, cast.alice, revision=run.revision, reason="Autre panne")
    assert await taught(services) == ()


@pytest.mark.usefixtures("procedure")
async def test_how_runs_ended_is_counted_by_environment_and_in_all(services: Any, cast: Any) -> None:
    for number in range(3):
        await finish(services, cast.alice, await start(services, cast.alice))
        if number == 0:
            async with services.kernel.db.transaction() as conn:
                await conn.execute("UPDATE runs SET environment = 'poste-debian-12'")
    given_up = await start(services, cast.alice)
    await services.procedures.runs.abandon(given_up.id, cast.alice, revision=given_up.revision, reason="Panne secteur")
    await start(services, cast.alice)  # goes on
    async with services.kernel.db.connection() as conn:
        found = await store.outcomes(conn, AGE)
    assert {outcome.environment: outcome for outcome in found} == {
        "": Runs(document=KEY, well=3, total=4),
        "poste-debian-12": Runs(document=KEY, environment="poste-debian-12", well=1, total=1),
    }
