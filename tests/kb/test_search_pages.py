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


async def test_what_is_found_is_shown_as_text_in_every_form(client: Any) -> None:
    answer = await client.get("/search/suggest", params={"q": "imprimerie"}, headers={"Accept": "application/json"})
    body = answer.json()
    (group,) = body["groups"]
    assert (group["kind"], group["label"], group["icon"]) == ("client", "Clients", "address-book")
    (hit,) = group["hits"]
    assert hit["title"] == "Imprimerie <Dupont>"
    assert set(hit) == {"title", "url", "snippet_html", "badges", "why"}
    assert body["more"] == "/search?q=imprimerie"

    async def html(path: str, *, htmx: bool = False, **asked: str) -> str:
        headers = {"HX-Request": "true"} if htmx else {}
        answer = await client.get(path, params={"q": "imprimerie", **asked}, headers=headers)
        assert answer.status_code == 200
        assert "<Dupont>" not in answer.text
        return str(answer.text)

    whole, part = await html("/search"), await html("/search", htmx=True)
    assert "Imprimerie &lt;Dupont&gt;" in whole
    assert "<html" in whole
    assert "Imprimerie &lt;Dupont&gt;" in part
    assert "<html" not in part
    assert 'href="/clients/' in await html("/search/suggest", htmx=True)
    assert "Imprimerie &lt;" in await html("/search", kind="client")
    assert "Imprimerie &lt;" not in await html("/search", kind="ticket")


async def test_members_are_found_too(client: Any) -> None:
    groups = (await client.get("/search/suggest", params={"q": "bruno"})).json()["groups"]
    assert [(group["kind"], group["hits"][0]["title"]) for group in groups] == [("member", "Bruno Leroy")]


async def test_nothing_found_offers_what_to_do_and_every_offer_leads_somewhere(client: Any) -> None:
    answer = await client.get("/search", params={"q": '"xylophone muet"<script>'})
    assert "&lt;script&gt;" in answer.text
    links = [link.replace("&amp;", "&") for link in re.findall(r'href="([^"]+)" data-hit', answer.text)]
    assert any(link.startswith("/procedures/new?title=") for link in links)
    assert any(link.startswith("/tickets/new?symptom=") for link in links)
    assert "/search?q=xylophone" in links
    for link in links:
        assert (await client.get(link, follow_redirects=True)).status_code == 200, link


HOSTILE = [
    "",
    " ",
    "a" * 3000,
    "*a* OR *b*",
    "\u202eecnatsissa",
    "%00",
    "' OR 1=1 --",
    "{{7*7}}",
    "[a TO z]",
    "\\",
    "é" * 900,
]


async def test_any_question_gets_a_page(client: Any) -> None:
    for hostile in HOSTILE:
        for path in ("/search", "/search/suggest"):
            assert (await client.get(path, params={"q": hostile})).status_code == 200, hostile
    answer = await client.get("/search", params={"q": "imprimante " * 60}, headers={"Accept-Language": "fr"})
    assert "premiers caractères" in answer.text


async def test_strangers_are_sent_to_sign_in(server: Any) -> None:
    import httpx

    async with httpx.AsyncClient(base_url=server.url) as stranger:
        for path in ("/search?q=a", "/search/suggest?q=a"):
            assert (await stranger.get(path)).status_code in {303, 401}
