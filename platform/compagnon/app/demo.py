"""The demo's data: a co-operative, its clients, the starter library in force, a week's tickets, and articles.

Everything goes through the services, as members would do it, so that the demo is a true history: drafts are reviewed by
two others, tickets have intervals, each change is in the audit log.
"""

from __future__ import annotations

import asyncio
import tomllib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compagnon import audit
from compagnon.app import demo_articles
from compagnon.app.wiring import Services
from compagnon.audit import Actor
from compagnon.audit import store as audit_store
from compagnon.auth.model import Member, Role
from compagnon.directory.model import ClientHit, ClientKind, NewContact, NewSite
from kb.synonyms import starter as synonyms_starter
from procedures import starter
from procedures.library.errors import NotReady
from procedures.library.model import Version
from tickets.desk.model import Impact, NewTicket, State, Ticket, Urgency, Visibility

DATA = Path(__file__).parent / "demo_data"
PASSWORD = "quatre mots pour essayer"  # noqa: S105 - of made-up accounts, and printed when the demo starts
MACHINE_CLIENT = "Menuiserie Le Goff"
"""The client whose machine the demo's agent is."""
OWNER = "alice@example.org"
SUBJECT = "demo:data"
AUTHOR, REVIEWERS = "fanny", ("chloe", "david")
AT_ONCE = 3  # approving hashes a password: use the cores there are, within the limits of memory
NAMESPACE = uuid.UUID("6f2d1f0e-6f0c-4a53-9a4e-2a8f4c1d7b90")


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An account that the demo announces."""

    email: str
    name: str
    role: Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """Who enrols the demo's machine, and for which client; None where they were removed since."""

    owner: Member | None
    client_id: int | None


async def load(services: Services) -> Demo:
    """Fill an empty installation; changes nothing where it was done before, and goes on where it was interrupted."""
    if not await loaded(services):
        await _fill(services)
    owner, hit = await services.kernel.members.by_email(OWNER), await client(services, MACHINE_CLIENT)
    return Demo(owner=owner, client_id=hit.id if hit else None)


async def _fill(services: Services) -> None:
    members = await _members(services)
    await _clients(services)
    await _library(services, members)
    await _synonyms(services, members)
    tickets = await _tickets(services, members)
    await demo_articles.load(services.kb.articles, services.tickets.desk, members, tickets)
    async with services.kernel.db.transaction() as conn:
        await audit.record(conn, actor=Actor.system(), action="demo.loaded", subject=SUBJECT)


async def loaded(services: Services) -> bool:
    """Whether the demo's data were loaded to the end."""
    async with services.kernel.db.connection() as conn:
        return bool(await audit_store.recent(conn, subject=SUBJECT, actor=None, before=None, limit=1))


def accounts() -> list[Account]:
    """The demo's accounts, in the order to announce them; the password is :data:`PASSWORD` for all."""
    return [Account(email=one["email"], name=one["name"], role=_role(one)) for one in _data("members")]


def _data(kind: str) -> list[dict[str, Any]]:
    with (DATA / f"{kind}.toml").open("rb") as file:
        entries: list[dict[str, Any]] = tomllib.load(file)[kind.removesuffix("s")]
    return entries


def _role(entry: Mapping[str, Any]) -> Role:
    return Role(entry.get("role", Role.MEMBER))


# -- members and clients -----------------------------------------------------------------------------------------------


async def _members(services: Services) -> dict[str, Member]:
    """The demo's members by the local part of their address."""
    found = await asyncio.gather(*(_member(services, entry) for entry in _data("members")))
    return {member.email.partition("@")[0]: member for member in found}


async def _member(services: Services, entry: Mapping[str, Any]) -> Member:
    members = services.kernel.members
    known = await members.by_email(entry["email"])
    if known:
        return known
    made = await members.create(
        email=entry["email"],
        name=entry["name"],
        password=PASSWORD,
        role=_role(entry),
        phone=entry["phone"],
        departements=entry["departements"],
        skills=entry["skills"],
    )
    if not entry.get("available", True):
        await members.set_availability(made.id, False)
    return made


async def _clients(services: Services) -> None:
    for entry in _data("clients"):
        if await client(services, entry["name"]) is None:
            await services.kernel.directory.add_client(
                kind=ClientKind(entry["kind"]),
                name=entry["name"],
                actor=Actor.system(),
                notes=entry.get("notes", ""),
                phones=entry["phones"],
                mails=entry["mails"],
                sites=[NewSite(**site) for site in entry["sites"]],
                contacts=[_contact(contact) for contact in entry.get("contacts", ())],
            )


def _contact(entry: Mapping[str, Any]) -> NewContact:
    return NewContact(name=entry["name"], job=entry["job"], phones=tuple(entry["phones"]))


async def client(services: Services, name: str) -> ClientHit | None:
    """The client of exactly this name."""
    return next((hit for hit in await services.kernel.directory.search(name) if hit.name == name), None)


# -- the library -------------------------------------------------------------------------------------------------------


async def _library(services: Services, members: Mapping[str, Member]) -> None:
    """All drafts first: procedures refer to one another, and a review wants every name to be known."""
    await _forget_unfinished_approvals(services, members)
    library = services.procedures.library
    drafts = [await library.import_text(text.text, members[AUTHOR]) for text in starter.texts()]
    room = asyncio.Semaphore(AT_ONCE)

    async def publish(draft: Version) -> None:
        async with room:
            await _publish(services, draft, members)

    try:
        async with asyncio.TaskGroup() as group:  # when one fails the others end, so that a second try finds peace
            for draft in drafts:
                if draft.open:
                    group.create_task(publish(draft))
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None


async def _forget_unfinished_approvals(services: Services, members: Mapping[str, Member]) -> None:
    """A loading that was killed while it checked passwords left tries behind that look like wrong ones."""
    async with services.kernel.db.transaction() as conn:
        for name in REVIEWERS:
            await services.kernel.members.attempts.forget(conn, members[name].email)


async def _publish(services: Services, draft: Version, members: Mapping[str, Member]) -> None:
    library, first = services.procedures.library, members[REVIEWERS[0]]
    if draft.state == "draft":
        await _submit(services, draft, members[AUTHOR])
    for name in REVIEWERS:
        await library.approve(draft.id, members[name], password=PASSWORD, seen=draft.digest)
    await library.publish(draft.id, first, seen=draft.digest)


async def _submit(services: Services, draft: Version, author: Member) -> None:
    try:
        await services.procedures.library.submit(draft.id, author, seen=draft.digest)
    except NotReady as error:
        raise RuntimeError(f"{draft.code} ({draft.locale}) of the starter library does not pass: {error}") from error


async def _synonyms(services: Services, members: Mapping[str, Member]) -> None:
    """The starter groups, each proposed by one member and approved by another."""
    synonyms = services.kb.synonyms
    for number, wording in enumerate(synonyms_starter.wordings()):
        key = _key(f"synonyms/{number}")
        group_id = await synonyms.propose(members[AUTHOR], wording, synonyms_starter.REASON, request_key=key)
        proposal = (await synonyms.history(group_id)).proposal
        if proposal is not None:
            await synonyms.approve(members[REVIEWERS[0]], proposal.id)


# -- tickets -----------------------------------------------------------------------------------------------------------


async def _tickets(services: Services, members: Mapping[str, Member]) -> dict[str, int]:
    """Their ids by the demo's own keys."""
    found = {}
    for entry in _data("tickets"):
        ticket_id = found[entry["key"]] = await _open(services, entry, members)
        await _converse(services, ticket_id, entry, members)
        await _move(services, ticket_id, entry, members)
    return found


async def _open(services: Services, entry: Mapping[str, Any], members: Mapping[str, Member]) -> int:
    hit = await client(services, entry["client"])
    if hit is None:
        raise RuntimeError(f"demo ticket {entry['key']}: no client {entry['client']}")
    owner = members.get(entry.get("owner", ""))
    new = NewTicket(
        client_id=hit.id,
        title=entry["title"],
        symptom=entry["symptom"],
        impact=Impact(entry["impact"]),
        urgency=Urgency(entry["urgency"]),
        caller_name=entry["caller"],
        caller_phone=hit.phone,
        skill=entry["skill"],
        departement=hit.departement,
        owner_id=owner.id if owner else None,
        request_key=_key(entry["key"]),
    )
    return await services.tickets.desk.open(new, members[entry["by"]])


async def _converse(
    services: Services, ticket_id: int, entry: Mapping[str, Any], members: Mapping[str, Member]
) -> None:
    desk = services.tickets.desk
    for number, said in enumerate(entry.get("messages", ())):
        key = _key(f"{entry['key']}/{number}")
        author, seen_by = members[said["by"]], Visibility(said["visibility"])
        await desk.say(ticket_id, author, said["body"], seen_by, request_key=key)
    if "minutes" in entry:
        key = _key(f"{entry['key']}/minutes")
        await desk.add_time(ticket_id, members[entry["owner"]], entry["minutes"], request_key=key)


async def _move(services: Services, ticket_id: int, entry: Mapping[str, Any], members: Mapping[str, Member]) -> None:
    """To its state, by the way a ticket goes: what is resolved was worked on."""
    actor, desk = members[entry.get("owner", entry["by"])], services.tickets.desk
    for state in _way(await desk.get(ticket_id), State(entry["state"])):
        ticket = await desk.get(ticket_id)
        await desk.move(ticket_id, actor, to=state, revision=ticket.revision, reason=entry.get("reason", ""))


async def name_machine(services: Services, client_id: int, member: Member, machine_id: int) -> None:
    """Say in the client's open tickets that name no machine yet that it is this one, as its member would."""
    for ticket in await services.tickets.desk.of_client(client_id, only_open=True):
        if ticket.machine_id is None:
            await services.tickets.desk.edit(
                ticket.id,
                member,
                revision=ticket.revision,
                title=ticket.title,
                impact=ticket.impact,
                urgency=ticket.urgency,
                skill=ticket.skill,
                machine_id=machine_id,
            )


def _way(ticket: Ticket, end: State) -> list[State]:
    if ticket.state is end:
        return []
    if end is State.RESOLVED and ticket.state is not State.IN_PROGRESS:
        return [State.IN_PROGRESS, end]
    return [end]


def _key(name: str) -> str:
    return str(uuid.uuid5(NAMESPACE, name))
