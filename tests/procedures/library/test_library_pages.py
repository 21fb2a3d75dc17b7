"""The library's pages over a real server."""

from __future__ import annotations

import re

import pytest

PASSWORD = "correct horse battery"


@pytest.fixture
async def library(server, cast, procedure_text, environment_text):
    library = server.services.procedures.library
    await library.import_text(environment_text, cast.ada, publish=True)
    await library.import_text(procedure_text, cast.ada, publish=True)
    return library


def hidden(html: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', html)
    assert found, f"no hidden field {name}"
    return found.group(1)


async def test_a_draft_goes_from_the_editor_through_the_review_into_force(
    server, cast, client_for, library, procedure_text
):
    alice, chloe, david = [await client_for(one) for one in (cast.alice, cast.chloe, cast.david)]
    page = await alice.get("/procedures/tst-001/edit")
    assert page.status_code == 200
    text = procedure_text.replace("quand le fichier témoin manque", "quand le fichier témoin a disparu")
    made = await alice.post("/procedures/new", data={"text": text, "reason": "plus clair"})
    assert made.status_code == 303, made.text
    edit = await alice.get(made.headers["location"])
    sent = await alice.post(
        made.headers["location"], data={"text": text, "seen": hidden(edit.text, "seen"), "then": "submit"}
    )
    review = sent.headers["location"]
    assert (await alice.get(review)).status_code == 200
    assert "Restore" not in (await chloe.get("/reviews")).text
    assert "Rétablir le fichier témoin" in (await chloe.get("/reviews")).text
    shown = await chloe.get(review)
    assert "<ins>" in shown.text
    assert "<del>" in shown.text
    seen = hidden(shown.text, "seen")
    wrong = await chloe.post(f"{review}/approve", data={"seen": seen, "password": "no"})
    assert wrong.status_code == 422
    for reviewer in (chloe, david):
        done = await reviewer.post(f"{review}/approve", data={"seen": seen, "password": PASSWORD})
        assert done.status_code == 303, done.text
    published = await david.post(f"{review}/publish", data={"seen": seen})
    assert published.status_code == 303, published.text
    assert "a disparu" in (await alice.get("/procedures/tst-001")).text
    old = await alice.get("/procedures/tst-001/versions/1")
    assert "a disparu" not in old.text


async def test_a_member_does_not_approve(server, cast, client_for, library, procedure_text):
    alice = await client_for(cast.alice)
    draft = await library.create(procedure_text.replace("manque", "n'est plus là"), cast.chloe)
    await library.submit(draft.id, cast.chloe, seen=draft.digest)
    answer = await alice.post(f"/reviews/{draft.id}/approve", data={"seen": draft.digest, "password": PASSWORD})
    assert answer.status_code == 403


async def test_what_was_typed_survives_a_conflict(server, cast, client_for, library, procedure_text):
    alice = await client_for(cast.alice)
    draft = await library.create(procedure_text.replace("manque", "a disparu"), cast.alice)
    await library.save(draft.id, procedure_text.replace("manque", "est parti"), cast.bruno, seen=draft.digest)
    mine = procedure_text.replace("manque", "s'est envolé")
    answer = await alice.post(f"/reviews/{draft.id}/edit", data={"text": mine, "seen": draft.digest})
    assert answer.status_code == 409
    assert "s&#39;est envolé" in answer.text
    assert "Bruno" in answer.text
    again = await alice.post(f"/reviews/{draft.id}/edit", data={"text": mine, "seen": hidden(answer.text, "seen")})
    assert again.status_code == 303


async def test_findings_and_preview_while_typing(server, cast, client_for, library, procedure_text):
    alice = await client_for(cast.alice)
    answer = await alice.post("/procedures/check", data={"text": procedure_text}, headers={"hx-request": "true"})
    assert 'data-count="0"' in answer.text
    bad = procedure_text.replace("### s2: Créez", "### s2: Il faut créer") + "\n<script>alert(1)</script>\n"
    answer = await alice.post("/procedures/check", data={"text": bad}, headers={"hx-request": "true"})
    assert "data-line=" in answer.text
    assert "<script>" not in answer.text
    for text in ("", "bonjour", "\x00", "---\n"):
        answer = await alice.post("/procedures/check", data={"text": text}, headers={"hx-request": "true"})
        assert answer.status_code == 200


async def test_a_refused_text_comes_back_with_its_reasons(server, cast, client_for, library):
    alice = await client_for(cast.alice)
    answer = await alice.post("/procedures/new", data={"text": "ceci n'est pas une procédure"})
    assert answer.status_code == 422
    assert "ceci n&#39;est pas" in answer.text


PAGES = [
    "/procedures",
    "/procedures?q=temoin&type=repair&page=1",
    "/procedures?state=open",
    "/procedures?type=nonsense&page=99999999999&state=x",
    "/procedures/tst-001",
    "/procedures/tst-001?mode=phone",
    "/procedures/tst-001/source",
    "/procedures/tst-001/versions/1",
    "/procedures/tst-001/start",
    "/procedures/new",
    "/procedures/poste-test?mode=text",
    "/environments",
    "/environments/poste-test",
    "/reviews",
    "/runs",
]


async def test_every_page_answers(server, cast, client_for, library):
    client = await client_for(cast.chloe)
    for url in PAGES:
        answer = await client.get(url)
        assert answer.status_code == 200, (url, answer.text)
        assert "style=" not in answer.text


MISSING = [
    "/procedures/nope",
    "/procedures/tst-001/versions/99",
    "/environments/tst-001",
    "/reviews/999",
    "/runs/999",
    "/procedures/tst-001/versions/99999999999999999999",
    f"/procedures/{'x' * 500}",
]


async def test_what_is_not_there_is_said_to_be_so(server, cast, client_for, library):
    client = await client_for(cast.alice)
    for url in MISSING:
        assert (await client.get(url, headers={"accept": "text/html"})).status_code == 404, url


async def test_the_search_finds_what_was_published(server, cast, client_for, library):
    import asyncio

    client = await client_for(cast.alice)
    async with asyncio.timeout(10):
        while "tst-001" not in (await client.get("/procedures?q=fichier temoin")).text:
            await asyncio.sleep(0.1)


async def test_what_comes_back_from_review_is_on_its_authors_first_page(
    server, cast, client_for, library, procedure_text
):
    alice, chloe = await client_for(cast.alice), await client_for(cast.chloe)
    assert "mon brouillon" not in (await alice.get("/")).text
    draft = await library.create(procedure_text.replace("témoin manque", "témoin a disparu"), cast.alice, reason="")
    draft = await library.submit(draft.id, cast.alice, seen=draft.digest) or draft
    assert "mon texte, en relecture" in (await alice.get("/")).text
    await library.request_changes(draft.id, cast.chloe, seen=draft.digest, comment="Dites où il était.")
    page = (await alice.get("/")).text
    assert f'href="/reviews/{draft.id}"' in page
    assert "mon brouillon" in page
    assert "mon brouillon" not in (await chloe.get("/")).text


async def test_who_approved_a_text_is_not_asked_again(server, cast, client_for, library, procedure_text):
    draft = await library.create(procedure_text.replace("témoin manque", "témoin a disparu"), cast.alice, reason="")
    await library.submit(draft.id, cast.alice, seen=draft.digest)
    chloe = await client_for(cast.chloe)
    assert 'id="approve-password"' in (await chloe.get(f"/reviews/{draft.id}")).text
    await library.approve(draft.id, cast.chloe, password=PASSWORD, seen=draft.digest)
    page = (await chloe.get(f"/reviews/{draft.id}")).text
    assert 'id="approve-password"' not in page
    assert "Vous avez approuvé ce texte." in page
