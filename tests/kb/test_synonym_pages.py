"""The pages of the synonyms: the preview says what would change, refusals keep what was typed, nothing is HTML."""

from __future__ import annotations

from typing import Any

import pytest
from placing_parts import put_on_shelf

from kb.search.model import Document
from kb.synonyms.model import Wording

TITLES = (
    "Un écran bleu au démarrage",
    "BSOD après une mise à jour",
    "Blue screen with code 0x7E",
    "BSOD et écran bleu",
)


@pytest.fixture
async def pages(server: Any, cast: Any, client_for: Any) -> Any:
    documents = [
        Document(kind="article", id=str(number), title=title, url=f"/articles/{number}")
        for number, title in enumerate(TITLES)
    ]
    await put_on_shelf(server.services, "article", documents)
    return await client_for(cast.alice)


async def test_the_preview_counts_what_each_word_would_find_more(pages: Any) -> None:
    sent = {"words": "écran bleu, BSOD, blue screen, introuvable", "locale": ""}
    answer = await pages.post("/search/synonyms/preview", data=sent, headers={"HX-Request": "true"})
    rows = [line for line in answer.text.splitlines() if "<th scope=" in line]
    cells = "".join(rows)
    assert '>écran bleu</th><td class="num">2</td><td class="num"><strong>+2</strong>' in cells
    assert '>BSOD</th><td class="num">2</td><td class="num"><strong>+2</strong>' in cells
    assert '>blue screen</th><td class="num">1</td><td class="num"><strong>+3</strong>' in cells
    assert '>introuvable</th><td class="num">0</td><td class="num"><strong>+4</strong>' in cells


async def test_the_preview_counts_documents_of_the_groups_language_only(pages: Any) -> None:
    """All on the shelf are French."""
    for locale, count in (("fr", 2), ("en", 0)):
        sent = {"words": "BSOD, introuvable", "locale": locale}
        answer = await pages.post("/search/synonyms/preview", data=sent, headers={"HX-Request": "true"})
        assert f'>BSOD</th><td class="num">{count}</td>' in answer.text, locale


@pytest.mark.parametrize("words", ["", "seul", "x" * 5000, "mon, proxy", '«a», "b"', "a\x00b, c", "= = =,;"])
async def test_the_preview_takes_anything(pages: Any, words: str) -> None:
    sent = {"words": words, "locale": "fr"}
    assert (await pages.post("/search/synonyms/preview", data=sent)).status_code == 200


async def test_propose_approve_and_read_the_history(pages: Any, server: Any, cast: Any, client_for: Any) -> None:
    sent = {"words": "<b>gras</b>, fat", "locale": "fr", "reason": "<i>parce que</i>"}
    answer = await pages.post("/search/synonyms/new", data=sent)
    assert answer.status_code == 303
    url = answer.headers["location"]
    assert "/approve" not in (await pages.get(url)).text
    bruno = await client_for(cast.bruno)
    home, seen = (await bruno.get("/")).text, (await bruno.get(url)).text
    assert url in home
    assert "&lt;b&gt;gras&lt;/b&gt;" in seen
    assert "<b>gras" not in seen
    assert "&lt;i&gt;parce que" in seen
    approve = f"/search/synonyms/proposals/{(await _proposal(server)).id}/approve"
    assert approve in seen
    assert (await pages.post(approve)).status_code == 403
    assert (await bruno.post(approve)).headers["location"] == url
    assert (await bruno.post(approve)).status_code == 409
    assert url not in (await bruno.get("/")).text
    assert url in (await pages.get("/search/synonyms", params={"q": "GRAS"})).text
    assert url not in (await pages.get("/search/synonyms", params={"q": "autre"})).text


async def _proposal(server: Any) -> Any:
    (proposal,) = await server.services.kb.synonyms.proposed()
    return proposal


async def test_a_refusal_keeps_what_was_typed_and_names_the_other_group(pages: Any, server: Any, cast: Any) -> None:
    synonyms = server.services.kb.synonyms
    group_id = await synonyms.propose(cast.bruno, Wording(locale="", words=("proxy", "serveur mandataire")), "Usage.")
    await synonyms.approve(cast.alice, (await synonyms.history(group_id)).proposal.id)
    sent = {"words": "relais, proxys", "locale": "fr", "reason": "Mes mots à moi"}
    answer = await pages.post("/search/synonyms/new", data=sent)
    assert answer.status_code == 422
    assert "relais, proxys" in answer.text
    assert "Mes mots à moi" in answer.text
    assert "proxy = serveur mandataire" in answer.text


async def test_somebody_elses_change_in_between_loses_nothing(pages: Any, server: Any, cast: Any) -> None:
    synonyms = server.services.kb.synonyms
    group_id = await synonyms.propose(cast.bruno, Wording(locale="", words=("proxy", "serveur mandataire")), "Usage.")
    await synonyms.approve(cast.alice, (await synonyms.history(group_id)).proposal.id)
    seen = (await synonyms.history(group_id)).current.id
    wider = Wording(locale="", words=("proxy", "serveur mandataire", "relais"))
    await synonyms.propose_change(cast.bruno, group_id, wider, "Usage.", seen=seen)
    sent = {"words": "proxy, mandataire", "locale": "", "reason": "Plus court", "seen": str(seen)}
    answer = await pages.post(f"/search/synonyms/{group_id}/propose", data=sent)
    assert answer.status_code == 422
    assert "Bruno Leroy" in answer.text
    assert "proxy, mandataire" in answer.text
    sent = {"words": "", "locale": "", "reason": "Fini", "seen": str(seen), "removes": "on"}
    assert (await pages.post(f"/search/synonyms/{group_id}/propose", data=sent)).status_code == 422
    assert (await pages.get("/search/synonyms/999999")).status_code == 404


async def test_a_group_in_force_finds_what_is_written_with_its_other_words(pages: Any, server: Any, cast: Any) -> None:
    synonyms, search = server.services.kb.synonyms, server.services.kb.search
    assert [hit.id for hit in await search.library("bsod")] in (["1", "3"], ["3", "1"])
    group_id = await synonyms.propose(cast.alice, Wording(locale="", words=("écran bleu", "BSOD")), "Usage.")
    assert len(await search.library("bsod")) == 2
    await synonyms.approve(cast.bruno, (await synonyms.history(group_id)).proposal.id)
    hits = await search.library("bsod")
    assert {hit.id for hit in hits} == {"0", "1", "3"}
    assert hits[-1].id == "0", "a word counts more than what stands for it"


async def test_what_finds_nothing_leads_to_a_proposal(pages: Any) -> None:
    nothing = await pages.get("/search", params={"q": "zzyzx"})
    assert "/search/synonyms/new?words=zzyzx" in nothing.text
    form = await pages.get("/search/synonyms/new", params={"words": "zzyzx <b>"})
    assert ">zzyzx &lt;b&gt;</textarea>" in form.text
    assert "/search/synonyms" in (await pages.get("/search")).text
