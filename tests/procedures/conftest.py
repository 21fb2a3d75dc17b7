"""Procedures, environments and runs on a real database, with a small local agent in place of the remote one."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from compagnon.auth.model import Member, Role
from compagnon.auth.service import Members
from compagnon.directory.service import Directory
from compagnon.errors import Conflict, NotFound, Unavailable
from compagnon.events import EventHub
from compagnon.jobs import Jobs
from compagnon.kernel import Kernel
from compagnon.web.ws_tickets import WsTickets
from compagnon_agent.protocol.checks import CheckResult, Outcome, bind_checks
from compagnon_agent.protocol.manifest import RunOn, prepare
from procedures.environments.service import Environments
from procedures.library.service import Library
from procedures.ports import MachineRef, Phase, ReportState, RunRef, StepReport, StepRequest, TicketRef
from procedures.runs.service import Runs

PASSWORD = "correct horse battery"

PROCEDURE = """\
---
id: tst-001
type: repair
title: Rétablir le fichier témoin
locale: fr
applies_to: [poste-test]
esttime: PT5M
perskill: [impression]
parameters:
  path: {type: path, required: true, label: "Chemin du fichier témoin"}
risk: low
review_every: P6M
---

Suivez cette procédure quand le fichier témoin manque.

## Étapes

### s1: Demandez si le poste est allumé {importance=required}

- phone: « Voyez-vous le bureau ? »
- stepresult: La personne voit son bureau.

### s2: Créez le fichier témoin {importance=required}

```sh {run_on=agent timeout=30}
touch {{path}}
```

- stepresult: Le fichier existe.
- check: {file: {"{{path}}": {exists: true}}}
- on_fail: {goto: s1, max: 1, then: {escalate: impression}}

### s3: Notez la couleur du voyant {importance=optional}

- stepresult: La couleur est notée.
- evidence: note

## Résultat

Le fichier témoin est là.

- check: {file: {"{{path}}": {exists: true}}}

## Après l'intervention

Dites au client que c'est réparé.
"""


ENVIRONMENT = """\
---
id: poste-test
type: environment
title: Poste de test
locale: fr
risk: low
review_every: P1Y
---

Le poste de test.

## Conformité

### temoin: Le fichier témoin existe

- check: {file: {/etc/hostname: {exists: true}}}
- repair: tst-001

## Bureau

```yaml
panel:
  position: bottom
  items:
    - {id: menu, label: Menu, icon: apps, zone: start}
    - {id: imprimantes, label: Imprimantes, icon: printer, zone: end}
icons:
  - {id: corbeille, label: Corbeille, icon: trash, column: 1, row: 1}
menus:
  - id: applications
    label: Applications
    opens: menu
    items:
      - {id: parametres, label: Paramètres, icon: settings}
```
"""


class RecordingSearch:
    """Remembers which documents were announced as changed; the index itself has its own tests."""

    def __init__(self) -> None:
        self.announced: list[tuple[str, str]] = []
        self.sources: dict[str, Any] = {}

    async def changed(self, conn: Any, kind: str, id: str) -> None:
        self.announced.append((kind, id))

    def library_source(self, kind: str, source: Any) -> None:
        self.sources[kind] = source

    async def library(self, text: str, *, filters: Any, limit: int, boosts: Any) -> list[Any]:
        return []


@dataclass
class LocalAgent:
    """Really runs the scripts and looks at the files of this machine, under ``folder`` only. Keeps a journal."""

    machines: dict[int, MachineRef] = field(default_factory=dict)
    journal: dict[str, StepReport] = field(default_factory=dict)
    executed: list[tuple[str, str]] = field(default_factory=list)
    cancelled: list[tuple[int, str]] = field(default_factory=list)
    hold: asyncio.Event | None = None  # set: answers wait for it
    online: bool = True

    async def reference(self, machine_id: int) -> MachineRef:
        if machine_id not in self.machines:
            raise NotFound("There is no such machine.")
        return self.machines[machine_id]

    async def run_checks(
        self,
        machine_id: int,
        checks: Any,
        *,
        parameters: Mapping[str, str],
        ticket_id: int | None,
        member_id: int | None,
        timeout: float,
    ) -> list[CheckResult]:
        if not self.online:
            raise Unavailable("The machine is offline.")
        return [self._look(check) for check in bind_checks(checks, parameters)]

    async def execute_step(self, request: StepRequest) -> StepReport:
        if not self.online:
            return self._report(ReportState.UNREACHABLE, "", None, ())
        if request.attempt_id not in self.journal:
            self.journal[request.attempt_id] = self._do(request)
        if self.hold:
            await self.hold.wait()
        return self.journal[request.attempt_id]

    async def cancel_step(self, machine_id: int, attempt_id: str) -> None:
        self.cancelled.append((machine_id, attempt_id))

    def _do(self, request: StepRequest) -> StepReport:
        step = prepare(request.manifest, request.step_id, dict(request.parameters))
        if request.phase is not Phase.EXECUTE:
            return self._report(ReportState.DONE, "", None, tuple(self._look(check) for check in step.checks))
        self.executed.append((request.attempt_id, request.step_id))
        output, code = "", 0
        for command in step.commands:
            if command.run_on is RunOn.AGENT:
                done = subprocess.run(["/bin/sh", "-c", command.script], capture_output=True, text=True, timeout=30)
                output, code = output + done.stdout + done.stderr, done.returncode
        return self._report(ReportState.FAILED if code else ReportState.DONE, output, code, ())

    def _look(self, check: Any) -> CheckResult:
        exists = Path(check.key).exists()
        wanted = bool(check.attributes.get("exists", True))
        outcome = Outcome.PASSED if exists == wanted else Outcome.FAILED
        return CheckResult(
            check=check, outcome=outcome, observed={"exists": exists}, reason="" if exists else "missing"
        )

    def _report(self, state: ReportState, output: str, code: int | None, checks: tuple[CheckResult, ...]) -> StepReport:
        now = datetime.now(UTC)
        return StepReport(state=state, output=output, exit_code=code, checks=checks, started=now, ended=now)


@dataclass
class Desk:
    """Tickets as a run knows them; asks the pool for a connection as the real one does."""

    db: Any
    tickets: dict[int, TicketRef] = field(default_factory=dict)
    allowed: set[tuple[int, int]] = field(default_factory=set)
    closed: set[int] = field(default_factory=set)

    async def require_open(self, ticket_id: int, *, conn: Any = None) -> TicketRef:
        if ticket_id in self.closed:
            raise Conflict("Ticket {id} is closed.", id=ticket_id)
        if ticket_id not in self.tickets:
            raise NotFound("There is no such ticket.")
        return self.tickets[ticket_id]

    async def may_act(self, ticket_id: int, member_id: int, *, conn: Any = None) -> bool:
        async with self.db.using(conn) as used:
            await used.execute("SELECT 1")
        return (ticket_id, member_id) in self.allowed


@dataclass
class Watcher:
    """Sees what observers see."""

    seen: list[tuple[str, str]] = field(default_factory=list)

    async def step_started(self, run: RunRef, step_id: str) -> None:
        self.seen.append(("started", step_id))

    async def step_ended(self, run: RunRef, step_id: str, outcome: str) -> None:
        self.seen.append((outcome, step_id))
        if outcome == "failed":
            raise RuntimeError("an observer in trouble changes nothing")


@dataclass(kw_only=True)
class Rooms:
    kernel: Kernel
    search: RecordingSearch
    agent: LocalAgent
    desk: Desk
    watcher: Watcher
    library: Library
    environments: Environments
    runs: Runs
    alice: Member
    bruno: Member
    chloe: Member
    david: Member
    ada: Member
    machine: int
    ticket: int


@pytest.fixture
async def rooms(db, settings):
    members = Members(db, settings)
    kernel = Kernel(
        settings=settings,
        db=db,
        hub=EventHub(db.url),
        jobs=Jobs(db),
        members=members,
        directory=Directory(db),
        ws_tickets=WsTickets(db),
    )
    digest = await _password_hash(members)
    cast = {
        name: await _member(members, db, name, role, digest)
        for name, role in (
            ("alice", Role.MEMBER),
            ("bruno", Role.MEMBER),
            ("chloe", Role.REVIEWER),
            ("david", Role.REVIEWER),
            ("ada", Role.ADMINISTRATOR),
        )
    }
    client, machine, ticket = await _place(db, cast["alice"].id)
    agent, desk, watcher, search = LocalAgent(), Desk(db), Watcher(), RecordingSearch()
    agent.machines[machine] = MachineRef(
        id=machine, name="poste", client_id=client, environment="poste-test", online=True
    )
    desk.tickets[ticket] = TicketRef(
        id=ticket, title="Rien", client_id=client, owner_id=cast["alice"].id, state="in_progress"
    )
    desk.allowed.add((ticket, cast["alice"].id))
    library = Library(kernel, search)
    runs = Runs(kernel, library, agent, desk, [watcher])
    await library.import_text(ENVIRONMENT, cast["ada"], publish=True)
    search.announced.clear()
    yield Rooms(
        kernel=kernel,
        search=search,
        agent=agent,
        desk=desk,
        watcher=watcher,
        library=library,
        environments=Environments(db, library),
        runs=runs,
        machine=machine,
        ticket=ticket,
        **cast,
    )
    await runs.settled()


_hashes: list[str] = []


async def _password_hash(members: Members) -> str:
    """Hashing is slow on purpose: once for all tests."""
    if not _hashes:
        _hashes.append(await members.passwords.hash(PASSWORD))
    return _hashes[0]


async def _member(members: Members, db, name: str, role: Role, digest: str) -> Member:
    async with db.transaction() as conn:
        row = await (
            await conn.execute(
                "INSERT INTO members (email, name, password_hash, role) VALUES (%s, %s, %s, %s) RETURNING id",
                (f"{name}@example.org", name.title(), digest, role),
            )
        ).fetchone()
    return await members.get(row[0])


async def _place(db, member_id: int) -> tuple[int, int, int]:
    async with db.transaction() as conn:

        async def value(query: str, **params: object) -> int:
            row = await (await conn.execute(query, params)).fetchone()
            return int(row[0])

        client = await value("INSERT INTO clients (kind, name) VALUES ('company', 'Boulangerie') RETURNING id")
        machine = await value(
            "INSERT INTO machines (name, client_id, public_key, hostname, os, agent_version)"
            " VALUES ('poste', %(client)s, %(key)s, 'poste', 'Debian', '1') RETURNING id",
            client=client,
            key=bytes(32),
        )
        ticket = await value(
            "INSERT INTO tickets (client_id, machine_id, title, impact, urgency, priority, opened_by)"
            " VALUES (%(client)s, %(machine)s, 'Rien', 'low', 'low', 4, %(member)s) RETURNING id",
            client=client,
            machine=machine,
            member=member_id,
        )
    return client, machine, ticket


@pytest.fixture
def procedure_text() -> str:
    return PROCEDURE


@pytest.fixture
def environment_text() -> str:
    return ENVIRONMENT
