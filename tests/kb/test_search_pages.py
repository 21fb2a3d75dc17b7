"""The search page and the suggestions, through the whole application."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from compagnon.audit import Actor
from compagnon.directory.model import ClientKind
from kb.search.model import IndexPhase


async def index_ready(server: Any) -> None:
    search = server.services.kb.search
    for _ in range(400):
        if (await search.progress()).phase == IndexPhase.READY:
            return
        await asyncio.sleep(0.025)
    raise AssertionError("the index was not built")


@pytest.fixture
async def client(server: Any, cast: Any, client_for: Any) -> Any:
    await server.services.kernel.directory.add_client(
        kind=ClientKind.COMPANY, name="Imprimerie <Dupont>", actor=Actor.system(), phones=("02 99 00 11 22",)
    )
    await index_ready(server)
    return await client_for(cast.alice)


async def test_suggestions_are_safe_json(client: Any) -> None:
    answer = await client.get("/search/suggest", params={"q": "imprimerie"}, headers={"Accept": "application/json"})
    assert answer.status_code == 200
    body = answer.json()
    (group,) = body["groups"]
    assert (group["kind"], group["label"], group["icon"]) == ("client", "Clients", "address-book")
    (hit,) = group["hits"]
    assert hit["title"] == "Imprimerie <Dupont>"
    assert set(hit) == {"title", "url", "snippet_html", "badges", "why"}
    assert body["more"] == "/search?q=imprimerie"


async def test_the_page_escapes_what_it_shows(client: Any) -> None:
    answer = await client.get("/search", params={"q": "imprimerie"})
    assert answer.status_code == 200
    assert "Imprimerie &lt;Dupont&gt;" in answer.text
    assert "<Dupont>" not in answer.text


async def test_nothing_found_offers_what_to_do(client: Any) -> None:
    answer = await client.get("/search", params={"q": '"xylophone muet"<script>'})
    assert answer.status_code == 200
    assert "<script>&" not in answer.text
    links = re.findall(r'href="([^"]+)" data-hit', answer.text)
    assert any(link.startswith("/procedures/new?title=") for link in links)
    assert any(link.startswith("/tickets/new?symptom=") for link in links)
    assert "/search?q=xylophone" in links


async def test_the_links_of_an_empty_answer_lead_somewhere(client: Any) -> None:
    answer = await client.get("/search", params={"q": "xylophone muet"})
    for link in re.findall(r'href="([^"]+)" data-hit', answer.text):
        followed = await client.get(link.replace("&amp;", "&"), follow_redirects=True)
        assert followed.status_code == 200, link


async def test_an_empty_question_is_a_page(client: Any) -> None:
    assert (await client.get("/search")).status_code == 200
    assert (await client.get("/search/suggest")).json()["groups"] == []


@pytest.mark.parametrize(
    "hostile",
    ["a" * 3000, "*a* OR *b*", "\u202eecnatsissa", "%00", "' OR 1=1 --", "{{7*7}}", "[a TO z]", "\\", "é" * 900],
)
async def test_hostile_questions_get_a_page(client: Any, hostile: str) -> None:
    for path in ("/search", "/search/suggest"):
        assert (await client.get(path, params={"q": hostile})).status_code == 200


async def test_a_long_question_is_cut_with_a_notice(client: Any) -> None:
    answer = await client.get("/search", params={"q": "imprimante " * 60}, headers={"Accept-Language": "fr"})
    assert "premiers caractères" in answer.text


async def test_htmx_gets_the_results_only(client: Any) -> None:
    whole = (await client.get("/search", params={"q": "imprimerie"})).text
    part = (await client.get("/search", params={"q": "imprimerie"}, headers={"HX-Request": "true"})).text
    assert "<html" in whole
    assert "<html" not in part
    assert "Imprimerie" in part
    listed = (await client.get("/search/suggest", params={"q": "imprimerie"}, headers={"HX-Request": "true"})).text
    assert "<html" not in listed
    assert 'href="/clients/' in listed


async def test_one_kind_can_be_chosen(client: Any) -> None:
    assert "Imprimerie" in (await client.get("/search", params={"q": "imprimerie", "kind": "client"})).text
    assert "Imprimerie &lt;" not in (await client.get("/search", params={"q": "imprimerie", "kind": "ticket"})).text


async def test_strangers_are_sent_to_sign_in(server: Any) -> None:
    import httpx

    async with httpx.AsyncClient(base_url=server.url) as stranger:
        for path in ("/search?q=a", "/search/suggest?q=a"):
            assert (await stranger.get(path)).status_code in {303, 401}
