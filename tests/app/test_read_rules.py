"""Who finds what: every kind in every situation, for every role, on every path that answers a search.

The table ``RULES`` is the one of docs/explanation/search.md. Each thing has a word of its own to ask for and a mark
that stands in what is shown of it; who may not read it must see the mark nowhere, find nothing and count nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest
from psycopg.types.json import Jsonb

from compagnon.audit import Actor
from compagnon.auth.model import Role
from kb.articles.model import Content, Solution
from kb.search.model import IndexPhase
from kb.search.records import record_query
from remote.machines.facts import Facts
from tickets.desk.model import NewTicket, Visibility

WHO = (
    "alice",
    "bruno",
    "chloe",
    "ada",
    "gone",
    "outsider",
)  # two members, a reviewer, an administrator; nobody any more
MEMBERS = frozenset(WHO[:4])
NOBODY: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """``word`` finds it, ``mark`` is seen where it is found; ``may``: who finds it. ``paths``: where it could show."""

    kind: str
    word: str
    mark: str
    may: frozenset[str] = MEMBERS


RULES: Mapping[str, Rule] = {
    "a ticket of one's own or another's": Rule(kind="ticket", word="zorgalice", mark="Panne de la scie"),
    "a ticket that nobody owns": Rule(kind="ticket", word="zorgnobody", mark="Panne du four"),
    "a closed ticket": Rule(kind="ticket", word="zorgclosed", mark="Panne du store"),
    "an internal message": Rule(kind="ticket", word="zorginternal", mark="Panne de la scie"),
    "a message for the client": Rule(kind="ticket", word="zorgpublic", mark="Panne de la scie"),
    "a machine": Rule(kind="machine", word="zorgserial", mark="Poste atelier"),
    "a machine that waits for approval": Rule(kind="machine", word="zorgpending", mark="Poste neuf"),
    "a machine that was turned away": Rule(kind="machine", word="zorgrevoked", mark="Poste perdu", may=NOBODY),
    "a client": Rule(kind="client", word="zorgclient", mark="Zorgclient Meubles"),
    "an archived client": Rule(kind="client", word="zorgarchived", mark="Zorgarchived Jadis", may=NOBODY),
    "a member": Rule(kind="member", word="bruno", mark="bruno@example.org"),
    "a member of before": Rule(kind="member", word="zorggone", mark="zorggone@example.org", may=NOBODY),
    "a finished recording, in it or not": Rule(kind="transcript", word="zorgterminal", mark="Voir la sauvegarde"),
    "a recording that is being made": Rule(kind="transcript", word="zorglive", mark="Voir le journal", may=NOBODY),
    "a procedure in force": Rule(kind="procedure", word="zorgforce", mark="Réparer le massicot"),
    "a draft of a procedure": Rule(kind="procedure", word="zorgdraft", mark="Réparer le pressoir", may=NOBODY),
    "an article in force": Rule(kind="article", word="zorgarticle", mark="Le massicot reste muet"),
    "a draft of an article": Rule(kind="article", word="zorgsketch", mark="Le pressoir reste muet", may=NOBODY),
}
PROCEDURE = """\
---
id: tst-00{number}
type: repair
title: {title}
locale: fr
applies_to: [poste-test]
esttime: PT5M
perskill: [impression]
risk: low
review_every: P6M
---

Suivez cette procédure quand {word} ne répond plus.

## Étapes

### s1: Redémarrez le service {{importance=required}}

- stepresult: Le service répond.
- on_fail: {{then: {{escalate: impression}}}}

## Résultat

Le service répond.

## Après l'intervention

Dites au client que c'est réparé.
"""
MACHINE = """
INSERT INTO machines (name, client_id, public_key, hostname, os, agent_version, state, approved_at, facts)
VALUES (%s, %s, decode(md5(%s) || md5(%s), 'hex'), 'pc', 'Debian GNU/Linux 12', '0.2.0', %s, now(), %s) RETURNING id
"""
SESSION = """
INSERT INTO remote_sessions (id, machine_id, ticket_id, reason, capability, short_code, requested_by)
VALUES (%s, %s, %s, %s, 'terminal', '1234', %s)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """``ask[who]`` is an HTTP client signed in as that person (or, for the last two, not any more, and never)."""

    server: Any
    cast: Any
    gone: Any
    ticket: int
    ask: Mapping[str, httpx.AsyncClient]

    def member(self, who: str) -> Any:
        return replace(self.gone, active=False) if who == "gone" else getattr(self.cast, who)


@pytest.fixture
async def world(server: Any, cast: Any, client_for: Any) -> Any:
    services = server.services
    gone = await services.kernel.members.create(
        email="zorggone@example.org", name="Zorggone", role=Role.MEMBER, password="correct horse battery"
    )
    ticket = await _records(services, cast)
    await _library(services, cast)
    asking = {who: await client_for(gone if who == "gone" else getattr(cast, who)) for who in WHO[:5]}
    await services.kernel.members.set_active(gone.id, False, actor=Actor.member(cast.ada.id))
    async with httpx.AsyncClient(base_url=server.url, headers={"origin": server.url}) as outsider:
        yield World(server=server, cast=cast, gone=gone, ticket=ticket, ask={**asking, "outsider": outsider})


async def _records(services: Any, cast: Any) -> int:
    clients = services.kernel.directory
    client = await clients.add_client(kind="company", name="Zorgclient Meubles", actor=Actor.member(cast.ada.id))
    former = await clients.add_client(kind="company", name="Zorgarchived Jadis", actor=Actor.member(cast.ada.id))
    await clients.set_active(former.id, False, actor=Actor.member(cast.ada.id))
    desk = services.tickets.desk

    async def opened(title: str, symptom: str, **more: Any) -> int:
        return int(await desk.open(NewTicket(client_id=client.id, title=title, symptom=symptom, **more), cast.alice))

    ticket = await opened("Panne de la scie", "zorgalice", owner_id=cast.alice.id)
    await desk.say(ticket, cast.alice, "zorginternal", Visibility.INTERNAL)
    await desk.say(ticket, cast.alice, "zorgpublic", Visibility.PUBLIC)
    await opened("Panne du four", "zorgnobody")
    closed = await opened("Panne du store", "zorgclosed", owner_id=cast.alice.id)
    async with services.kernel.db.transaction() as conn:
        await conn.execute("UPDATE tickets SET state = 'closed', closed_at = now() WHERE id = %s", (closed,))
    machines = [
        await _machine(services, client.id, name, serial, state)
        for name, serial, state in (
            ("Poste atelier", "zorgserial", "approved"),
            ("Poste neuf", "zorgpending", "pending"),
            ("Poste perdu", "zorgrevoked", "revoked"),
        )
    ]
    await _recording(services, cast, machines[0], ticket, "a" * 32, "Voir la sauvegarde", "zorgterminal")
    await _recording(services, cast, machines[0], ticket, "b" * 32, "Voir le journal", "zorglive", finished=False)
    return ticket


async def _machine(services: Any, client_id: int, name: str, serial: str, state: str) -> int:
    facts = Jsonb(Facts.report({"hardware": {"serial": serial}}).as_json())
    async with services.kernel.db.transaction() as conn:
        row = await (await conn.execute(MACHINE, (name, client_id, name, name, state, facts))).fetchone()
    return int(row[0])


async def _recording(
    services: Any, cast: Any, machine_id: int, ticket: int, session: str, reason: str, word: str, finished: bool = True
) -> None:
    async with services.kernel.db.transaction() as conn:
        await conn.execute(SESSION, (session, machine_id, ticket, reason, cast.alice.id))
    recorder, _ = await services.remote.recordings.begin(session, title="t", columns=80, rows=24)
    recorder.output(f"{word} is here\r\n".encode())
    recorder.close()
    await services.remote.recordings.finish(session)
    if not finished:  # with its words there already: the rule alone keeps it back
        async with services.kernel.db.transaction() as conn:
            await conn.execute("UPDATE recordings SET state = 'recording' WHERE session_id = %s", (session,))


async def _library(services: Any, cast: Any) -> None:
    library, articles = services.procedures.library, services.kb.articles
    force = PROCEDURE.format(number=1, title="Réparer le massicot", word="zorgforce")
    await library.import_text(force, cast.ada, publish=True)
    await library.import_text(PROCEDURE.format(number=2, title="Réparer le pressoir", word="zorgdraft"), cast.alice)
    solution = (Solution(cause="Il est débranché.", remedy="1. Branchez-le."),)
    shown = Content(title="Le massicot reste muet", condition="zorgarticle ne part pas", solutions=solution)
    draft = await articles.create(shown, "fr", cast.alice)
    await articles.submit(draft.article_id, cast.alice, seen=draft.digest)
    await articles.publish(draft.article_id, cast.bruno, seen=draft.digest)
    hidden = Content(title="Le pressoir reste muet", condition="zorgsketch ne part pas", solutions=solution)
    await articles.create(hidden, "fr", cast.alice)
    for _ in range(400):
        if (await services.kb.search.progress()).phase is IndexPhase.READY and await services.kb.search.library(
            "zorgarticle"
        ):
            return
        await asyncio.sleep(0.025)
    raise AssertionError("the index is not ready")


Path = Callable[[World, str, Rule], Awaitable[str]]


def page(address: str, *, htmx: bool = False, json: bool = False) -> Path:
    async def read(world: World, who: str, rule: Rule) -> str:
        headers = {"HX-Request": "true"} if htmx else {"Accept": "application/json" if json else "text/html"}
        asked = address.format(word=rule.word, kind=rule.kind, ticket=world.ticket)
        answer = await world.ask[who].get(asked, headers=headers)
        if who in MEMBERS:
            assert answer.status_code == 200, (who, asked)
        else:
            assert answer.status_code in {303, 401}, (who, asked)
        return str(answer.text)

    return read


async def everywhere(world: World, who: str, rule: Rule) -> str:
    """What the service says, whatever stands before it."""
    if who == "outsider":
        return ""
    found = await world.server.services.kb.search.answer(world.member(who), rule.word, typing=True)
    records = [group for group in found.groups if who != "gone" or group.kind not in {"procedure", "article"}]
    return str(
        [(group.kind, hit.title, [piece.text for piece in hit.snippet]) for group in records for hit in group.hits]
    )


PATHS: Mapping[str, Path] = {
    "the search page": page("/search?q={word}"),
    "the search page while typing": page("/search?q={word}", htmx=True),
    "the search page, one kind": page("/search?q={word}&kind={kind}"),
    "the filter in the question": page("/search?q={word}+type:{kind}"),
    "the suggestions and the palette": page("/search/suggest?q={word}", json=True),
    "the suggestions of a page": page("/search/suggest?q={word}", htmx=True),
    "a part of the word": page("/search/suggest?q={word:.7}", json=True),
    "the service": everywhere,
}


@pytest.mark.parametrize("path", PATHS)
async def test_everybody_finds_what_they_may_read_and_nothing_else(world: World, path: str) -> None:
    wrong = []
    for situation, rule in RULES.items():
        for who in WHO:
            seen = rule.mark in await PATHS[path](world, who, rule)
            if seen != (who in rule.may):
                wrong.append(f"{who} {'finds' if seen else 'does not find'} {situation}")
    assert wrong == []


async def test_what_nobody_may_read_is_counted_by_no_facet_and_completed_by_no_spelling(world: World) -> None:
    search = world.server.services.kb.search
    for rule in RULES.values():
        if rule.kind in {"procedure", "article"}:
            found = await search.find(rule.word)
            assert (found.total > 0, bool(found.facets.kind)) == (bool(rule.may), bool(rule.may)), rule.word
    near = await search.find("zorgdrafd zorgsketsh")
    assert not near.corrected
    assert not near.hits


async def test_the_link_picker_offers_tickets_to_members_only(world: World) -> None:
    wrong = []
    for word, mark in (("zorgnobody", "Panne du four"), ("zorgclosed", "Panne du store")):
        rule = Rule(kind="ticket", word=word, mark=mark)
        for who in WHO:
            text = await page("/tickets/{ticket}/links/candidates?other={word}", htmx=True)(world, who, rule)
            if (mark in text) != (who in MEMBERS):
                wrong.append((who, word))
    links = world.server.services.tickets.links
    assert wrong == []
    assert await links.candidates(world.ticket, world.member("gone"), "zorgnobody") == []


async def test_previews_are_shown_to_members_only(world: World) -> None:
    for who in WHO:
        text = await page("/search/preview/ticket/{ticket}", htmx=True)(world, who, next(iter(RULES.values())))
        assert ("zorgpublic" in text) == (who in MEMBERS), who
    panel = await world.server.services.kb.search.previews.show(world.member("gone"), "ticket", str(world.ticket))
    assert panel is None


@pytest.mark.parametrize(("kind", "table"), [("machine", "machines"), ("client", "clients")])
async def test_what_nobody_finds_has_no_preview_either(world: World, kind: str, table: str) -> None:
    previews = world.server.services.kb.search.previews
    async with world.server.services.kernel.db.connection() as conn:
        ids = dict(await (await conn.execute(f"SELECT name, id FROM {table}")).fetchall())
    for rule in (rule for rule in RULES.values() if rule.kind == kind):
        for who in WHO:
            answer = await world.ask[who].get(
                f"/search/preview/{kind}/{ids[rule.mark]}", headers={"HX-Request": "true"}
            )
            shown = who in rule.may
            assert (answer.status_code == 200, rule.mark in answer.text) == (shown, shown), (who, rule.mark)
        assert await previews.show(world.member("gone"), kind, str(ids[rule.mark])) is None, rule.mark


async def test_each_source_filters_in_its_own_sql(world: World) -> None:
    """Even called by itself, for somebody who is no member any more."""
    for source in world.server.services.kb.search._records.values():
        for rule in RULES.values():
            for limit in (1, 50):
                found = await source.search(world.member("gone"), record_query(rule.word), limit)
                assert not found.hits, (source.kind, rule.word)
