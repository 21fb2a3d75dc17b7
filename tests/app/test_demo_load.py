"""The demo's data, loaded by the real services into a real database: twice only, because it hashes many passwords."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from compagnon import audit
from compagnon.app import demo
from compagnon.app.wiring import Services
from compagnon.audit import store as audit_store
from compagnon.auth.attempts import PER_ACCOUNT_AND_ADDRESS
from compagnon.errors import TooMany
from procedures import starter
from tickets.desk.model import State

# https://www.arcep.fr: numbers kept for films and books
FICTION = re.compile(r"^(01 99 00|02 61 91|03 53 01|04 65 71|05 36 49|06 39 98) \d\d \d\d$")


async def records(services: Services) -> Counter[str]:
    async with services.kernel.db.connection() as conn:
        return Counter([record.action async for record in audit_store.every(conn)])


def assert_complete(done: Counter[str]) -> None:
    texts = len(list(starter.texts()))
    assert done["member.created"] == 8
    assert done["client.added"] == 25
    assert done["procedure.published"] == texts
    assert done["procedure.approved"] >= 2 * texts
    assert done["ticket.opened"] == 12
    assert done["article.published"] == 10
    assert done["article.drafted"] == 12
    assert done["demo.loaded"] == 1


@pytest.mark.timeout(240)
async def test_it_fills_an_empty_installation_once(services: Services) -> None:
    found = await demo.load(services)
    assert found.owner is not None
    assert found.owner.name == "Alice Martin"
    assert found.client_id is not None
    first = await records(services)
    assert_complete(first)

    assert await demo.load(services) == found
    assert await records(services) == first, "a second load changed something"
    async with services.kernel.db.connection() as conn:
        assert (await audit.verify(conn)).broken is None

    await approved_by_two_others(services)
    await the_announced_password_fits(services)
    tickets = {ticket.title: ticket.state for ticket in await services.tickets.desk.of_client(found.client_id)}
    assert tickets["Rien ne s'imprime à l'accueil"] is State.IN_PROGRESS
    assert tickets["Impossible d'ouvrir les factures du dossier partagé"] is State.NEW


async def approved_by_two_others(services: Services) -> None:
    library = services.procedures.library
    for text in starter.texts():
        version = await library.published(text.code, text.locale)
        assert version.number == 1
        reviews, verdict = await library.reviews(version)
        assert verdict.settled
        judges = {review.member_id for review in reviews}
        assert len(judges) == 2
        assert version.author_id not in judges


async def the_announced_password_fits(services: Services) -> None:
    for account in demo.accounts():
        member = await services.kernel.members.by_email(account.email)
        assert member is not None
        assert (member.name, member.role) == (account.name, account.role)
        await services.kernel.members.confirm_password(member, demo.PASSWORD)


@pytest.mark.timeout(240)
async def test_an_interrupted_load_goes_on(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    approve = services.procedures.library.approve
    count = 0

    async def cut_off(*arguments: object, **named: object) -> None:
        nonlocal count
        count += 1
        if count == 9:
            raise ConnectionError("the cable was pulled")
        await approve(*arguments, **named)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(services.procedures.library, "approve", cut_off)
        with pytest.raises(ConnectionError):
            await demo.load(services)
    assert not await demo.loaded(services)
    with pytest.raises(TooMany):  # as if it had been killed, again and again, while it checked a password
        for _ in range(PER_ACCOUNT_AND_ADDRESS + 1):
            await services.kernel.members.attempts.begin(f"{demo.REVIEWERS[0]}@example.org", "")

    await demo.load(services)
    assert_complete(await records(services))


def test_nobody_real_is_named() -> None:
    for entry in demo._data("clients"):
        contacts = entry.get("contacts", ())
        phones = [*entry["phones"], *(phone for contact in contacts for phone in contact["phones"])]
        assert all(FICTION.match(phone) for phone in phones), phones
        assert all(mail.endswith(("@example.org", ".example.org")) for mail in entry["mails"])
    for entry in demo._data("members"):
        assert FICTION.match(entry["phone"])
        assert entry["email"].endswith("@example.org")
