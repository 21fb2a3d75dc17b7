from __future__ import annotations

import pytest

from compagnon.audit import Actor
from compagnon.directory import store
from compagnon.directory.model import ClientKind, NewContact, NewSite
from compagnon.errors import Conflict, Invalid, NotFound
from compagnon.kernel import Kernel

SYSTEM = Actor.system()


@pytest.fixture
async def fournil(bare: Kernel) -> int:
    made = await bare.directory.add_client(
        kind=ClientKind.COMPANY,
        name="Boulangerie de l'Étoile",
        actor=SYSTEM,
        phones=["+33 2 99 00 10 20"],
        mails=["Contact@Etoile.example"],
        sites=[NewSite(town="Cesson-Sévigné", postcode="35510"), NewSite(town="Rennes", postcode="35000")],
        contacts=[NewContact(name="Jeanne Kerbœuf", job="gérante", phones=("06 99 88 77 66",))],
    )
    for name in ("Garage Étoile", "Mairie de Cesson"):
        await bare.directory.add_client(kind=ClientKind.COMPANY, name=name, actor=SYSTEM)
    return made.id


@pytest.mark.parametrize(
    "typed",
    [
        "boulang",
        "ETOILE boulangerie",
        "l'etoile",
        "02 99 00 10",
        "0299001020",
        "+33299001020",
        "10 20",
        "88 77 66",
        "contact@etoile",
        "etoile.example",
        "kerboeuf",
        "Kerbœuf",
        "cesson-sevigne",
        "rennes boulangerie",
        "35510",
    ],
)
async def test_any_fragment_finds_the_client(bare: Kernel, fournil: int, typed: str) -> None:
    assert fournil in [hit.id for hit in await bare.directory.search(typed)]


@pytest.mark.parametrize(
    "typed", ["boulangerie brest", "0299001021", "%", "_", "*", "()", "\\", "'; DROP TABLE clients"]
)
async def test_other_searches_do_not(bare: Kernel, fournil: int, typed: str) -> None:
    assert fournil not in [hit.id for hit in await bare.directory.search(typed)]


async def test_names_that_begin_with_the_word_come_first(bare: Kernel, fournil: int) -> None:
    found = {hit.name for hit in await bare.directory.search("cesson")}
    assert found == {"Mairie de Cesson", "Boulangerie de l'Étoile"}
    names = [hit.name for hit in await bare.directory.search("ga")]
    assert names[0] == "Garage Étoile"


async def test_a_hit_shows_what_was_found(bare: Kernel, fournil: int) -> None:
    hit = (await bare.directory.search("887766"))[0]
    assert (hit.phone, hit.contact, hit.town, hit.departement) == (
        "06 99 88 77 66",
        "Jeanne Kerbœuf",
        "Cesson-Sévigné",
        "35",
    )


async def test_lists_are_bounded_filtered_and_paged(bare: Kernel, fournil: int) -> None:
    assert len(await bare.directory.search("", 2)) == 2
    assert [hit.id for hit in await bare.directory.search("", departement="35")] == [fournil]
    first = [hit.id for hit in await bare.directory.search("", 2)]
    second = [hit.id for hit in await bare.directory.search("", 2, offset=2)]
    assert len({*first, *second}) == 3


async def test_every_change_is_found_at_once_and_audited(bare: Kernel, fournil: int, audited) -> None:
    directory = bare.directory
    phone = await directory.add_phone(fournil, "01 22 33 44 55", actor=SYSTEM)
    assert await directory.search("0122334455")
    await directory.remove("phones", fournil, phone, actor=SYSTEM)
    assert not await directory.search("0122334455")
    await directory.update_client(fournil, kind=ClientKind.COMPANY, name="Le Fournil", notes="", actor=SYSTEM)
    assert (await directory.search("fournil"))[0].id == fournil
    assert fournil not in [hit.id for hit in await directory.search("boulangerie")]
    await directory.add_site(fournil, NewSite(town="Brest", postcode="29200"), actor=SYSTEM)
    assert await directory.search("brest")
    await directory.set_active(fournil, False, actor=SYSTEM)
    assert not await directory.search("fournil")
    assert (await audited())[-6:] == [
        "client.added",
        "client.phone_added",
        "client.removed_part",
        "client.changed",
        "client.site_added",
        "client.archived",
    ]


async def test_a_sheet_holds_everything(bare: Kernel, fournil: int) -> None:
    sheet = await bare.directory.sheet(fournil)
    contact = sheet.contacts[0]
    assert [phone.number for phone in sheet.phones_of(None)] == ["+33 2 99 00 10 20"]
    assert sheet.phones_of(None)[0].href == "tel:+33299001020"
    assert [phone.number for phone in sheet.phones_of(contact.id)] == ["06 99 88 77 66"]
    assert [mail.address for mail in sheet.mails] == ["contact@etoile.example"]


async def test_the_same_number_twice_is_refused_however_written(bare: Kernel, fournil: int) -> None:
    with pytest.raises(Conflict):
        await bare.directory.add_phone(fournil, "02.99.00.10.20", actor=SYSTEM)
    with pytest.raises(Conflict):
        await bare.directory.add_mail(fournil, "CONTACT@etoile.example", actor=SYSTEM)


async def test_a_contact_of_another_client_is_refused(bare: Kernel, fournil: int) -> None:
    other = (await bare.directory.search("mairie"))[0].id
    contact = (await bare.directory.sheet(fournil)).contacts[0].id
    with pytest.raises(NotFound):
        await bare.directory.add_phone(other, "01 22 33 44 55", contact_id=contact, actor=SYSTEM)
    with pytest.raises(NotFound):
        await bare.directory.remove("contacts", other, contact, actor=SYSTEM)


async def test_unknown_clients_and_parts(bare: Kernel, fournil: int) -> None:
    with pytest.raises(NotFound):
        await bare.directory.get(404)
    with pytest.raises(NotFound):
        await bare.directory.remove("audit_log", fournil, 1, actor=SYSTEM)
    with pytest.raises(Invalid):
        await bare.directory.add_client(kind=ClientKind.PERSON, name=" ", actor=SYSTEM)


async def test_a_refused_part_leaves_no_half_client(bare: Kernel, fournil: int) -> None:
    with pytest.raises(Invalid):
        await bare.directory.add_client(kind=ClientKind.PERSON, name="Half", phones=["x"], actor=SYSTEM)
    assert not await bare.directory.search("half")


async def test_imported_rows_are_made_findable(bare: Kernel, fournil: int) -> None:
    async with bare.db.connection() as conn:
        await conn.execute("INSERT INTO clients (kind, name) VALUES ('person', 'Zoé Importée')")
    assert not await bare.directory.search("importee")
    assert await bare.directory.refresh_all() == 1
    assert await bare.directory.search("importee")


@pytest.mark.parametrize(("term", "prefix"), [("boulang", "%"), ("bo", "% ")])
async def test_the_index_serves_the_search(bare: Kernel, fournil: int, term: str, prefix: str) -> None:
    """PostgreSQL can answer from the trigram index, for short fragments too."""
    async with bare.db.transaction() as conn:
        # A handful of clients is read faster without the index: leave it as the only way.
        await conn.execute("SET LOCAL enable_seqscan = off")
        await conn.execute("DROP INDEX clients_name")
        values = {"t0": term, "p0": prefix, "first": term, "departement": None, "limit": 10, "offset": 0}
        values["reader"] = None
        plan = await (await conn.execute("EXPLAIN " + store.SEARCH[1], values)).fetchall()
    assert "clients_search" in "".join(row[0] for row in plan)
