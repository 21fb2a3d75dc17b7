from __future__ import annotations

from compagnon.audit import Actor
from compagnon.auth.model import Member
from compagnon.directory.model import ClientKind, NewContact
from compagnon.kernel import Kernel
from compagnon.web.application import build
from compagnon.web.feature import Feature, Panel

NEW = {"kind": "company", "name": "Le Fournil", "phone": "02 99 00 10 20", "town": "Rennes", "postcode": "35000"}


async def test_a_client_is_added_on_one_screen(client_of, people) -> None:
    client = await client_of(people.alice)
    answer = await client.post(
        "/clients/new", data={**NEW, "contact": "Jeanne", "mail": "a@b.fr", "notes": "Le\r\nlundi"}
    )
    assert answer.status_code == 303
    page = await client.get(answer.headers["location"])
    for shown in ("Le Fournil", "02 99 00 10 20", "a@b.fr", "Jeanne", "35000 Rennes", "Le\nlundi"):
        assert shown in page.text
    assert "Le Fournil" in (await client.get("/clients?q=fourn")).text


async def test_what_was_typed_stays_when_refused(client_of, people) -> None:
    client = await client_of(people.alice)
    answer = await client.post("/clients/new", data={**NEW, "phone": "<script>"})
    assert answer.status_code == 422
    assert "n’est pas un numéro de téléphone" in answer.text
    assert 'value="Le Fournil"' in answer.text
    assert "<script>" not in answer.text.split("</head>")[1].replace('<script type="application/json"', "")
    no_place = await client.post("/clients/new", data={**NEW, "postcode": "", "departement": ""})
    assert "Donnez le département" in no_place.text


async def test_a_search_without_success_offers_to_add(client_of, people) -> None:
    client = await client_of(people.alice)
    assert "/clients/new?q=06+12" in (await client.get("/clients?q=06+12")).text
    assert 'value="06 12"' in (await client.get("/clients/new?q=06+12")).text
    rows = await client.get("/clients?q=nobody", headers={"hx-request": "true"})
    assert "<html" not in rows.text


async def test_parts_are_added_and_removed(client_of, people, bare: Kernel) -> None:
    made = await bare.directory.add_client(
        kind=ClientKind.COMPANY, name="X", actor=Actor.system(), contacts=[NewContact(name="Jeanne")]
    )
    client, at = await client_of(people.alice), f"/clients/{made.id}"
    part = await client.post(f"{at}/phones", data={"number": "02 99"}, headers={"hx-request": "true"})
    assert "02 99" in part.text
    assert "<html" not in part.text
    assert (await client.post(f"{at}/mails", data={"address": "a@b.fr", "label": "facture"})).status_code == 303
    assert (await client.post(f"{at}/sites", data={"town": "Brest", "postcode": "29200"})).status_code == 303
    assert (await client.post(f"{at}/contacts", data={"contact": "Ali", "number": "06 01"})).status_code == 303
    sheet = await bare.directory.sheet(made.id)
    assert [len(part) for part in (sheet.phones, sheet.mails, sheet.sites, sheet.contacts)] == [2, 1, 1, 2]
    assert (await client.post(f"{at}/remove/mails/{sheet.mails[0].id}")).status_code == 303
    assert (await client.post(f"{at}/remove/mails/{sheet.mails[0].id}")).status_code == 404
    assert (await client.post(f"{at}/phones", data={"number": "zero"})).status_code == 422
    assert (await client.post(f"{at}/phones", data={"number": "0299"})).status_code == 409


async def test_archived_clients_can_be_taken_back(client_of, people, bare: Kernel) -> None:
    made = await bare.directory.add_client(kind=ClientKind.COMPANY, name="X", actor=Actor.system())
    client = await client_of(people.alice)
    await client.post(f"/clients/{made.id}/active", data={"active": "no"})
    assert "archivé" in (await client.get(f"/clients/{made.id}")).text
    assert (await client.post(f"/clients/{made.id}/active", data={"active": "yes"})).status_code == 303


async def test_other_packages_show_panels(bare: Kernel, people) -> None:
    import httpx

    from compagnon.auth.sign_ins import SignIns

    async def panel(member: Member, client_id: int) -> Panel | None:
        return Panel(template="shell/account_menu.html", context={"client": client_id}, order=1)

    async def nothing(member: Member, client_id: int) -> Panel | None:
        return None

    made = await bare.directory.add_client(kind=ClientKind.COMPANY, name="X", actor=Actor.system())
    app = build(bare, [Feature(package="compagnon", client_panels=[panel, nothing])])
    token = await SignIns(bare.db, bare.settings, bare.members).open(people.alice.id)
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://compagnon.test") as client:
        client.cookies.set("compagnon", token)
        page = await client.get(f"/clients/{made.id}", headers={"accept": "text/html"})
    assert page.text.count('action="/sign-out"') == 2  # the menu's and the panel's
