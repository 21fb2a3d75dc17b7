"""A server in its own process that can be killed, an agent of a client's machine, and Alice over HTTP."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psycopg
from remote_parts import Agent, Page, until
from up_parts import Up
from wired_fixtures import PASSWORD, Cast, make_cast

from compagnon.app.wiring import Services, build_services, running
from compagnon.audit import Actor, verify
from compagnon.settings import Settings
from remote.recordings import cast as recording_file
from remote.recordings.files import opened
from tickets.desk.model import NewTicket

SECRET = "k" * 40
PROCEDURE = """---
id: tst-001
type: repair
title: Écrire deux lignes dans un fichier
locale: fr
applies_to: []
esttime: PT1M
perskill: [linux]
reqconds: ["Le fichier est connu."]
parameters:
  fichier: {type: path, required: true, label: "Fichier"}
risk: low
review_every: P6M
---
Suivez cette procédure pour essayer une coupure.

## Étapes

### s1: Écrivez les deux lignes {importance=required}

```sh {run_on=agent timeout=60}
echo commence >> {{fichier}}
sleep 3
echo finit >> {{fichier}}
echo sortie de la commande
```

- stepresult: Le fichier existe.
- check: {file: {"{{fichier}}": {exists: true}}}
- on_fail: {then: {escalate: linux}}

### s2: Regardez le fichier {importance=required}

- stepresult: Le fichier a deux lignes.
- on_fail: {then: {escalate: linux}}

## Résultat

Le fichier a deux lignes.
"""


@dataclass(slots=True, kw_only=True)
class World:
    up: Up
    database: str
    settings: Settings
    cast: Cast
    client_id: int
    ticket: int
    agent: Agent
    alice: httpx.AsyncClient

    async def start(self) -> None:
        await asyncio.to_thread(self.up.started)

    async def restart(self) -> None:
        """Kill -9, then start again, as a supervisor does."""
        self.up.kill()
        await self.start()

    def ask(self, query: str, *values: object) -> list[tuple]:
        with psycopg.connect(self.database) as conn:
            return conn.execute(query, values).fetchall()

    @asynccontextmanager
    async def services(self) -> AsyncIterator[Services]:
        built = build_services(self.settings, self.database)
        async with running(built, background=False):
            yield built

    async def audit_is_whole(self) -> bool:
        async with self.services() as services, services.kernel.db.connection() as conn:
            return (await verify(conn)).broken is None

    async def open_terminal(self, base: str = "") -> Page:
        """Asked for over HTTP, granted by the machine's policy, connected."""
        await until(self.online, what="the agent is online")
        form = {"ticket_id": self.ticket, "reason": "Regarder le journal"}
        answer = await self.alice.post(f"/machines/{self.agent.machine_id}/sessions", data=form)
        assert answer.status_code == 303, answer.text
        session_id = answer.headers["location"].rpartition("/")[2]

        async def is_open() -> bool:
            return (await self.alice.post(f"/sessions/{session_id}/ticket")).json()["state"] == "open"

        await until(is_open, what="the session is open")
        page = Page(base=base or self.up.url, http=self.alice, session_id=session_id)
        await page.open()
        await until(lambda: page.last("welcome"), what="the page is welcome")
        return page

    def online(self) -> bool:
        return bool(self.ask("SELECT online FROM machines WHERE id = %s", self.agent.machine_id)[0][0])

    def recorded(self) -> bytes:
        """The output in the one recording there is, read and its chain verified up to its last whole line."""
        (file,) = (self.up.data / "recordings").rglob("*.cast")
        return self._output(file)

    def recorded_of(self, session_id: str) -> bytes:
        """The same for one of several sessions, also when it is over."""
        return self._output(self.up.data / "recordings" / session_id[:2] / f"{session_id}.cast")

    def _output(self, file: Path) -> bytes:
        with opened(file) as recording:
            lines = recording.read().splitlines(keepends=True)
        return b"".join(chunk.output for chunk, _ in recording_file.read(iter(lines)))


@asynccontextmanager
async def world(
    up: Up,
    folder: Path,
    *,
    database: str,
    procedures: Sequence[str] = (),
    through: str = "",
    agent_within: tuple[str, ...] = (),
) -> AsyncIterator[World]:
    """Everything started; ``procedures`` (texts) are in force. ``through``: the address that agents and pages know."""
    up.environ = {**up.environ, "COMPAGNON_SECRET_KEY": SECRET}
    await asyncio.to_thread(up.started)
    settings = Settings.load({}, data_dir=up.data, secret_key=SECRET, port=up.port, database_url=database)
    built = build_services(settings, database)
    agent = Agent(folder=folder, within=agent_within, abroad=bool(agent_within))
    folder.mkdir(mode=0o700)
    async with AsyncExitStack() as stack:
        async with running(built, background=False):
            made = await _populate(built, agent, through or up.url)
            for text in procedures:
                await _publish(built, made[0], text)
        stack.push_async_callback(agent.stop)
        await agent.start()
        alice = await stack.enter_async_context(signed_in(up.url, made[0].alice.email, origin=through))
        cast, client_id, ticket = made
        yield World(
            up=up, database=database, settings=settings, cast=cast, client_id=client_id, ticket=ticket,
            agent=agent, alice=alice,
        )  # fmt: skip


async def _populate(services: Services, agent: Agent, url: str) -> tuple[Cast, int, int]:
    cast = await make_cast(services)
    client = await services.kernel.directory.add_client(
        kind="company", name="Garage", actor=Actor.member(cast.alice.id)
    )
    ticket = await services.tickets.desk.open(
        NewTicket(client_id=client.id, title="Panne", owner_id=cast.alice.id), cast.alice
    )
    offer = await services.remote.machines.offer(cast.alice, client.id)
    await agent.enrol(url, offer.code)
    agent.policy()
    await services.remote.machines.approve(cast.alice, agent.machine_id, name="Pont", site_id=None, environment=None)
    return cast, client.id, ticket


async def _publish(services: Services, cast: Cast, text: str) -> None:
    library = services.procedures.library
    draft = await library.import_text(text, cast.alice)
    await library.submit(draft.id, cast.alice, seen=draft.digest)
    for reviewer in (cast.chloe, cast.david):
        await library.approve(draft.id, reviewer, password=PASSWORD, seen=draft.digest)
    await library.publish(draft.id, cast.chloe, seen=draft.digest)


@asynccontextmanager
async def signed_in(url: str, email: str, *, origin: str = "") -> AsyncIterator[httpx.AsyncClient]:
    find = re.compile(r'name="_csrf_token"[^>]*value="([^"]+)"')
    async with httpx.AsyncClient(
        base_url=url, headers={"origin": origin or url, "accept-language": "en"}, timeout=30
    ) as client:
        token = find.search((await client.get("/sign-in")).text).group(1)
        answer = await client.post("/sign-in", data={"email": email, "password": PASSWORD, "_csrf_token": token})
        assert answer.status_code == 303, answer.text
        client.headers["x-csrftoken"] = find.search((await client.get("/account")).text).group(1)
        yield client
