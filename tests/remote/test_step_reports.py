"""Reports of steps: acknowledged only once they are kept, kept whoever waits, and never for another machine's step."""

import asyncio
import uuid
from datetime import UTC, datetime

import pytest
from remote_parts import until

from compagnon_agent.protocol import messages
from compagnon_agent.protocol.manifest import Command, Manifest, ManifestStep, RunOn, Shell
from procedures.ports import Phase, ReportState, StepRequest
from remote.control.connection import AgentConnection
from remote.machines.model import EnrolRequest
from tickets.desk.model import NewTicket

PROCEDURE = """\
---
id: tst-001
type: repair
title: Poser le témoin
locale: fr
applies_to: [poste-test]
esttime: PT5M
perskill: [impression]
risk: low
review_every: P6M
---

Quand le témoin manque.

## Étapes

### s1: Posez le témoin {importance=required}

```sh {run_on=agent timeout=30}
true
```

- stepresult: Le témoin est posé.
- check: {file: {/etc/passwd: {exists: true}}}
- on_fail: {then: {escalate: impression}}

## Résultat

Le témoin est là.

- check: {file: {/etc/passwd: {exists: true}}}

## Après l'intervention

Dites au client que c'est réparé.
"""


class Wire:
    """The server's end of an agent's connection: keeps what the agent is told."""

    def __init__(self):
        self.told = []
        self.closed = False

    async def send(self, data, patience=0):
        self.told.append(messages.decode(data))

    def of(self, kind):
        return [message for message in self.told if isinstance(message, kind)]


async def connected(services, member, client_id, number):
    """An approved machine with a connection of which the test plays the agent."""
    machines = services.remote.machines
    offer = await machines.offer(member, client_id)
    request = EnrolRequest(
        code=offer.code, public_key=bytes([number]) * 32, name="Poste", hostname="poste", os="Linux", version="1"
    )
    machine = await machines.enrol(request, "127.0.0.1")
    machine = await machines.approve(member, machine.id, name=f"Poste {number}", site_id=None, environment=None)
    connection = AgentConnection(Wire(), machine, None)
    services.remote.link.add(connection)
    return connection


@pytest.fixture
async def client(services, cast):
    from compagnon.audit import Actor

    return await services.kernel.directory.add_client(kind="company", name="Garage", actor=Actor.member(cast.alice.id))


@pytest.fixture
async def ticket(services, cast, client):
    return await services.tickets.desk.open(
        NewTicket(client_id=client.id, title="Panne", owner_id=cast.alice.id), cast.alice
    )


@pytest.fixture
async def one(services, cast, client):
    return await connected(services, cast.alice, client.id, 1)


@pytest.fixture
async def other(services, cast, client):
    return await connected(services, cast.alice, client.id, 2)


@pytest.fixture
async def asked(services, cast, ticket, one):
    """A run whose step the agent was asked to do: the attempt's id."""
    await services.procedures.library.import_text(PROCEDURE, cast.ada, publish=True)
    runs = services.procedures.runs
    run = await runs.start("tst-001", "fr", one.machine.id, ticket, cast.alice, {})
    attempt = await runs.ask(run.id, cast.alice, revision=run.revision, phase=Phase.EXECUTE)
    await until(lambda: one.wire.of(messages.Execute), what="the agent was asked")
    yield attempt.id
    for task in runs._tasks:
        task.cancel()
    await runs.settled()


def result(attempt_id, **more):
    now = datetime.now(UTC)
    values = {"attempt_id": attempt_id, "state": messages.StepState.DONE, "started": now, "ended": now, "exit_code": 0}
    return messages.StepResult(**(values | more))


async def state_of(services, attempt_id):
    async with services.kernel.db.connection() as conn:
        row = await (await conn.execute("SELECT state FROM run_attempts WHERE id = %s", (attempt_id,))).fetchone()
    return row[0]


async def test_it_is_kept_before_it_is_acknowledged(services, one, asked):
    states = []
    real = one.wire.send

    async def send(data, patience=0):
        if isinstance(messages.decode(data), messages.StepAck):
            states.append(await state_of(services, asked))
        await real(data)

    one.wire.send = send
    await services.remote.link.received(one, result(asked))
    assert states == ["done"]


async def test_a_late_one_that_nobody_waits_for_is_kept_too(services, cast, one, asked):
    """As after a restart of the server, or when the wait was given up."""
    for task in services.procedures.runs._tasks:
        task.cancel()
    await services.procedures.runs.settled()
    assert await state_of(services, asked) == "open"
    await services.remote.link.received(one, result(asked))
    assert await state_of(services, asked) == "done"
    await services.remote.link.received(one, result(asked))
    assert len(one.wire.of(messages.StepAck)) == 2, "brought again, it is acknowledged again"


async def test_one_that_cannot_be_kept_is_not_acknowledged(services, one, asked):
    keep = services.remote.link.reports

    async def broken(*_):
        raise OSError("the database is away")

    services.remote.link.reports = broken
    await services.remote.link.received(one, result(asked))
    assert not one.wire.of(messages.StepAck)
    services.remote.link.reports = keep
    await services.remote.link.received(one, result(asked))
    assert len(one.wire.of(messages.StepAck)) == 1


async def test_a_machine_reports_its_own_attempts_only(services, one, other, asked):
    await services.remote.link.received(other, result(asked))
    assert await state_of(services, asked) == "open"
    assert other.wire.of(messages.StepAck), "nothing is kept, so it need not be said again"


async def test_what_belongs_to_no_run_may_be_forgotten(services, one):
    for attempt_id in (str(uuid.uuid4()), "not-a-uuid"):
        await services.remote.link.received(one, result(attempt_id))
    assert len(one.wire.of(messages.StepAck)) == 2


async def test_nobody_waits_the_agent_is_told(services, one, asked):
    await services.remote.link.cancel_step(one.machine.id, asked)
    assert [message.id for message in one.wire.of(messages.Cancel)] == [asked]
    await services.remote.link.cancel_step(10**6, asked)  # out of reach: nothing to tell


def request(one, ticket, cast):
    step = ManifestStep(
        id="s1",
        title="Un",
        commands=(Command(shell=Shell.SH, script="true", timeout=30, run_on=RunOn.AGENT),),
        checks=(),
        rollback=(),
    )
    manifest = Manifest(procedure="tst-002", version=1, title="Deux", parameters=(), steps=(step,), result=())
    return StepRequest(
        attempt_id=str(uuid.uuid4()),
        machine_id=one.machine.id,
        ticket_id=ticket,
        run_id=1,
        member_id=cast.alice.id,
        member_name="Alice",
        manifest=manifest,
        step_id="s1",
        parameters={},
        phase=Phase.EXECUTE,
    )


async def test_a_question_is_withdrawn_with_the_last_step_that_waits_for_it(services, cast, ticket, one):
    link = services.remote.link
    wanted = [request(one, ticket, cast), request(one, ticket, cast)]
    waiting = [asyncio.create_task(link.execute_step(found)) for found in wanted]
    for number, found in enumerate(wanted, 1):
        await until(lambda number=number: len(one.wire.of(messages.Execute)) >= number)
        refused = result(found.attempt_id, state=messages.StepState.REFUSED, needs_consent=True, exit_code=None)
        await link.received(one, refused)
    await until(lambda: one.wire.of(messages.ConsentRequest))
    (question,) = one.wire.of(messages.ConsentRequest)
    await until(lambda: [len(asking.attempts) for asking in link._asking.values()] == [2])
    await link.cancel_step(one.machine.id, wanted[0].attempt_id)
    assert len(link.consents(one.machine.id)) == 1, "the other one still waits"
    await link.cancel_step(one.machine.id, wanted[1].attempt_id)
    reports = await asyncio.wait_for(asyncio.gather(*waiting), 5)
    assert {report.state for report in reports} == {ReportState.UNREACHABLE}
    await until(lambda: question.request_id in [message.id for message in one.wire.of(messages.Cancel)])
    assert not link.consents(one.machine.id)
    assert len(one.wire.of(messages.Execute)) == 2, "nothing was tried again"


async def test_a_cancelled_step_is_not_done_on_a_later_yes(services, cast, ticket, one):
    link = services.remote.link
    wanted = [request(one, ticket, cast), request(one, ticket, cast)]
    waiting = [asyncio.create_task(link.execute_step(found)) for found in wanted]
    for number, found in enumerate(wanted, 1):
        await until(lambda number=number: len(one.wire.of(messages.Execute)) >= number)
        await link.received(
            one, result(found.attempt_id, state=messages.StepState.REFUSED, needs_consent=True, exit_code=None)
        )
    await until(lambda: [len(asking.attempts) for asking in link._asking.values()] == [2])
    await until(lambda: one.wire.of(messages.ConsentRequest))
    await link.cancel_step(one.machine.id, wanted[0].attempt_id)
    yes = messages.ConsentAnswer(
        request_id=one.wire.of(messages.ConsentRequest)[0].request_id,
        granted=True,
        source=messages.ConsentSource.DIALOG,
        until=datetime.now(UTC),
    )
    await link.received(one, yes)
    assert (await asyncio.wait_for(waiting[0], 5)).state is ReportState.UNREACHABLE
    await until(lambda: len(one.wire.of(messages.Execute)) == 3)
    assert one.wire.of(messages.Execute)[-1].attempt_id == wanted[1].attempt_id
    waiting[1].cancel()
    await asyncio.gather(waiting[1], return_exceptions=True)


async def test_ending_a_session_withdraws_its_question(services, cast, ticket, one):
    sessions = services.remote.sessions
    async with services.kernel.db.transaction() as conn:
        await conn.execute("UPDATE machines SET capabilities = '{terminal}' WHERE id = %s", [one.machine.id])
    session = await sessions.open(one.machine.id, ticket, "Regarder la file", cast.alice)
    await until(lambda: one.wire.of(messages.ConsentRequest))
    await sessions.stop(cast.alice, session.id)
    wanted = one.wire.of(messages.ConsentRequest)[0].request_id
    await until(lambda: wanted in [message.id for message in one.wire.of(messages.Cancel)])
