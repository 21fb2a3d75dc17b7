"""The results page and what belongs to it, through the whole application."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from compagnon.audit import Actor
from compagnon.directory.model import ClientKind
from kb.search.asking import DEEPEST, MAX_VALUES, PER_PAGE, read
from kb.search.model import IndexPhase

PROCEDURE = """\
---
id: {code}
type: repair
title: {title}
locale: fr
applies_to: [{environment}]
esttime: PT5M
perskill: [impression]
risk: low
review_every: P6M
---

Suivez cette procédure quand rien ne s'imprime.

## Étapes

### s1: Redémarrez le service {{importance=required}}

- stepresult: Le service répond.
- on_fail: {{then: {{escalate: impression}}}}

## Résultat

Le service répond.

## Après l'intervention

Dites au client que c'est réparé.
"""


async def eventually(check: Any) -> Any:
    for _ in range(200):
        found = await check()
        if found:
            return found
        await asyncio.sleep(0.025)
    raise AssertionError("it did not happen")


@pytest.fixture
async def world(server: Any, cast: Any) -> Any:
    library = server.services.procedures.library
    for number in range(14):
        environment = "poste-debian-12" if number % 2 else "poste-windows-11"
        text = PROCEDURE.format(code=f"imp-{number:03}", title=f"Imprimante muette {number}", environment=environment)
        await library.import_text(text, cast.ada, publish=True)
    await server.services.kernel.directory.add_client(
        kind=ClientKind.COMPANY, name="Imprimante & Fils", actor=Actor.system(), phones=("02 99 00 11 22",)
    )
    search = server.services.kb.search

    async def ready() -> bool:
        return (await search.progress()).phase == IndexPhase.READY and (await search.find("imprimante")).total == 14

    await eventually(ready)
    return server.services


@pytest.fixture
async def alice(world: Any, cast: Any, client_for: Any) -> Any:
    return await client_for(cast.alice)


def documents(html: str) -> list[str]:
    return re.findall(r'data-document="([^"]+)"', html)


async def test_one_list_of_the_library_then_the_records(alice: Any) -> None:
    html = (await alice.get("/search", params={"q": "imprimante muette"})).text
    assert len(documents(html)) == PER_PAGE
    assert "14 documents" in html
    assert "poste-debian-12" in html
    assert "Imprimante &amp; Fils" not in html  # records must hold every word
    assert "Imprimante &amp; Fils" in (await alice.get("/search", params={"q": "imprimante"})).text


async def test_what_is_named_comes_before_the_library(alice: Any) -> None:
    html = (await alice.get("/search", params={"q": "imprimante fils"})).text
    assert html.index("Imprimante &amp; Fils") < html.index('id="kb-library"')
    groups = (await alice.get("/search/suggest", params={"q": "imprimante fi"})).json()["groups"]
    assert [group["kind"] for group in groups][:2] == ["client", "procedure"]
    groups = (await alice.get("/search/suggest", params={"q": "muette"})).json()["groups"]
    assert groups[0]["kind"] == "procedure"


async def test_a_name_is_no_spelling_mistake(alice: Any, world: Any) -> None:
    await world.kernel.directory.add_client(kind=ClientKind.COMPANY, name="Imprimente", actor=Actor.system())
    html = (await alice.get("/search", params={"q": "imprimente"})).text
    assert documents(html) == []
    assert 'href="/search?q=imprimante" data-hit' in html
    groups = (await alice.get("/search/suggest", params={"q": "imprimente"})).json()["groups"]
    assert [group["kind"] for group in groups] == ["client"]


async def test_filters_combine_and_each_can_be_taken_away(alice: Any) -> None:
    asked = [("q", "imprimante"), ("environment", "poste-debian-12"), ("os", "linux"), ("kind", "procedure")]
    html = (await alice.get("/search", params=asked)).text
    assert len(documents(html)) == 7
    for name, value in asked[1:]:
        left = "&amp;".join(f"{n}={v}" for n, v in sorted(asked[1:], key=_facet_order) if n != name)
        assert f'href="/search?q=imprimante&amp;{left}"' in html, (name, value)
    assert "Imprimante &amp; Fils" not in html


def _facet_order(pair: tuple[str, str]) -> int:
    return ["kind", "environment", "os"].index(pair[0])


async def test_further_results_come_until_the_depth_that_is_said(alice: Any) -> None:
    first = documents((await alice.get("/search", params={"q": "imprimante"})).text)
    more = await alice.get(
        "/search", params={"q": "imprimante", "page": "2"}, headers={"HX-Request": "true", "HX-Target": "kb-more"}
    )
    second = documents(more.text)
    assert len(second) == 4
    assert not set(first) & set(second)
    assert "<html" not in more.text
    deep = await alice.get("/search", params={"q": "imprimante", "page": str(DEEPEST + 1)})
    assert deep.status_code == 422
    assert f"{DEEPEST * PER_PAGE} premiers résultats" in deep.text
    for odd in ("0", "-1", "x", "9" * 5000, "١"):
        assert (await alice.get("/search", params={"q": "imprimante", "page": odd})).status_code in {200, 422}, odd[:9]


async def test_a_full_page_is_remembered_a_half_typed_one_is_not(alice: Any, world: Any, cast: Any) -> None:
    await alice.get("/search", params={"q": "impr"}, headers={"HX-Request": "true", "X-Typing": "1"})
    await alice.get("/search", params={"q": "imposée"}, headers={"Sec-Fetch-Site": "cross-site"})
    await alice.get("/search", params={"q": "Imprimante muette"})
    recent = await eventually(lambda: world.kb.learning.recent(cast.alice))
    assert [one.text for one in recent] == ["Imprimante muette"]
    assert "Imprimante muette" in (await alice.get("/search")).text


async def test_opening_is_told_once_and_only_with_the_token(alice: Any, world: Any, cast: Any) -> None:
    body = {"q": "rien ne s'imprime", "document": "procedure:imp-001.fr", "results": "14"}
    for _ in range(3):
        assert (await alice.post("/search/opened", data=body)).status_code == 204
    assert (await alice.post("/search/opened", data={**body, "document": "ticket:1"})).status_code == 204
    token = alice.headers.pop("x-csrftoken")
    assert (await alice.post("/search/opened", data=body)).status_code == 403
    async with world.kernel.db.connection() as conn:
        rows = await (await conn.execute("SELECT document FROM learned_uses")).fetchall()
    assert rows == [("procedure:imp-001.fr",)]
    alice.headers["x-csrftoken"] = token
    for none in (
        "article:9",
        f"article:{'9' * 30}",
        "article:x",
        "procedure:imp-999.fr",
        "procedure:\0.fr",
        "article:",
    ):
        assert (await alice.post("/search/opened", data={**body, "document": none})).status_code == 204
        answer = await alice.post("/search/confirmed", data={"document": none, "query": "q=imprimante"})
        assert answer.status_code == 404, none
    async with world.kernel.db.connection() as conn:
        rows = await (await conn.execute("SELECT document FROM learned_uses")).fetchall()
    assert rows == [("procedure:imp-001.fr",)]
    for odd in ({}, {"q": "x"}, {**body, "document": ":"}, {**body, "results": "many"}, {**body, "q": "é" * 50_000}):
        assert (await alice.post("/search/opened", data=odd)).status_code == 204


async def test_this_was_it_leads_back_to_the_search_and_nowhere_else(alice: Any, world: Any) -> None:
    html = (await alice.get("/search", params={"q": "rien ne s'imprime"})).text
    form = re.search(r'name="document" value="([^"]+)"><input type="hidden" name="query" value="([^"]+)"', html)
    assert form
    answer = await alice.post("/search/confirmed", data={"document": form[1], "query": form[2].replace("&amp;", "&")})
    assert (answer.status_code, answer.headers["location"]) == (303, "/search?q=rien+ne+s%27imprime")
    assert await world.kb.learning.queries([form[1]]) == {form[1]: ("rien ne s'imprime",)}
    evil = {"document": form[1], "query": "//evil.example/?q=a"}
    assert (await alice.post("/search/confirmed", data=evil)).headers["location"].startswith("/search?q=")
    assert (await alice.post("/search/confirmed", data={"document": "client:1", "query": "q=a"})).status_code == 404
    search = world.kb.search

    async def found() -> bool:
        hits = await search.library("rien ne s'imprime")
        return f"{hits[0].kind}:{hits[0].id}" == form[1]

    await eventually(found)
    assert "1 question passée a mené ici" in (await alice.get("/search", params={"q": "rien ne s'imprime"})).text


async def test_previews_show_what_there_is_and_nothing_else(alice: Any, world: Any, cast: Any) -> None:
    answer = await alice.get("/search/preview/procedure/imp-001.fr")
    assert "Redémarrez le service" in answer.text
    assert "<html" not in answer.text
    hits = await world.kb.search.everywhere(cast.alice, "imprimante")
    client = next(group.hits[0] for group in hits if group.kind == "client")
    assert "02 99 00 11 22" in (await alice.get(f"/search/preview/client/{client.id}")).text
    for odd in (
        "procedure/none.fr",
        "ticket/99",
        "ticket/x",
        f"ticket/{'9' * 40}",
        "nothing/1",
        "client/0",
        "machine/7",
    ):
        assert (await alice.get(f"/search/preview/{odd}")).status_code == 404, odd


async def test_saved_searches_are_kept_renamed_and_deleted_by_their_owner_only(
    alice: Any, cast: Any, client_for: Any
) -> None:
    kept = {"name": "Debian muettes", "query": "q=imprimante&environment=poste-debian-12&evil=1&page=3"}
    for _ in range(2):
        answer = await alice.post("/search/saved", data=kept)
        assert answer.headers["location"] == "/search?q=imprimante&environment=poste-debian-12"
    html = (await alice.get("/search")).text
    assert html.count('href="/search?q=imprimante&amp;environment=poste-debian-12"') == 1
    (id,) = re.findall(r'action="/search/saved/(\d+)/rename"', html)
    groups = (await alice.get("/search/suggest", params={"q": "debian m"})).json()["groups"]
    assert (groups[0]["kind"], groups[0]["hits"][0]["title"]) == ("saved", "Debian muettes")
    assert (await alice.get("/search/suggest", params={"q": ""})).json()["groups"][0]["kind"] == "saved"

    bruno = await client_for(cast.bruno)
    assert "Debian muettes" not in (await bruno.get("/search")).text
    for what in ("rename", "delete"):
        assert (await bruno.post(f"/search/saved/{id}/{what}", data={"name": "x"})).status_code == 404

    await alice.post("/search/saved", data={"name": "Autre", "query": "q=toner"})
    taken = await alice.post(f"/search/saved/{id}/rename", data={"name": "AUTRE"}, follow_redirects=True)
    assert "une autre recherche sous le nom" in taken.text
    await alice.post(f"/search/saved/{id}/rename", data={"name": "<b>Muettes</b>"})
    assert "&lt;b&gt;Muettes&lt;/b&gt;" in (await alice.get("/search")).text
    await alice.post(f"/search/saved/{id}/delete")
    assert "Muettes" not in (await alice.get("/search")).text
    for odd in ({"name": "", "query": "q=a"}, {"name": "n", "query": ""}, {"name": "n" * 500, "query": "q=a"}, {}):
        assert (await alice.post("/search/saved", data=odd)).status_code == 303


async def test_asked_and_not_found_is_for_reviewers(alice: Any, cast: Any, client_for: Any) -> None:
    await alice.get("/search", params={"q": "xylophone <quantique>"})
    assert (await alice.get("/search/misses")).status_code == 403
    chloe = await client_for(cast.chloe)

    async def listed() -> Any:
        html = (await chloe.get("/search/misses")).text
        return html if "xylophone" in html else None

    html = await eventually(listed)
    assert "xylophone &lt;quantique&gt;" in html
    assert "Alice" not in re.sub(r"(?s)<header.*?</header>", "", html)
    (written,) = re.findall(r'href="(/procedures/new\?[^"]+)"', html)
    assert "xylophone" in (await chloe.get(written)).text
    await chloe.post("/search/misses/done", data={"norm": "xylophone quantique"})
    assert "xylophone" not in re.sub(r'(?s)<div id="toasts".*', "", (await chloe.get("/search/misses")).text)
    assert (await chloe.post("/search/misses/done", data={"norm": "x" * 9000})).status_code == 404


async def test_forgetting_is_ones_own(alice: Any, world: Any, cast: Any) -> None:
    for member in (cast.alice, cast.bruno):
        await world.kb.learning.asked(member, "à oublier", 1)
    await alice.post("/search/recent/clear", data={"q": "à oublier"})
    assert await world.kb.learning.recent(cast.alice) == []
    assert len(await world.kb.learning.recent(cast.bruno)) == 1


HOSTILE = [
    "a" * 50_000,
    "imprimante " * 4_000,
    "\x00\x01\x1b[31mimprimante",
    "\u202eetnamirpmi\u2066",
    '"imprimante muette',
    "«" * 400,
    "(a+)+$" * 60,
    "*" * 3000,
    "i* m* p* r* " * 400,
    "-" * 999,
    ":" * 999,
    "type:" * 300,
    "\ud7ff\ue000\U0010ffff",
]


@pytest.mark.parametrize("question", HOSTILE, ids=range(len(HOSTILE)))
async def test_a_hostile_question_gets_a_page_in_every_place(alice: Any, question: str) -> None:
    for path in ("/search", "/search/suggest"):
        assert (await alice.get(path, params={"q": question})).status_code in {200, 400, 414}


async def raw(client: Any, target: str) -> tuple[int, str]:
    """Status and text of an address that is too long for a well-behaved client."""
    reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
    cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in client.cookies.jar)
    head = f"GET {target} HTTP/1.1\r\nHost: {client.base_url.netloc.decode()}\r\nCookie: {cookies}\r\n"
    writer.write(f"{head}Accept: text/html\r\nConnection: close\r\n\r\n".encode())
    answer = (await asyncio.wait_for(reader.read(), 30)).decode("utf-8", "replace")
    writer.close()
    return int(answer.split(" ", 2)[1]), answer


async def test_ten_thousand_filters_and_endless_questions_are_bounded(alice: Any) -> None:
    few = "&".join(f"environment=e{number}" for number in range(2_000))
    status, text = await raw(alice, f"/search?q=imprimante&{few}")
    assert status == 200
    assert f"{MAX_VALUES} premiers filtres" in text
    for odd in ("kind=none", "os=%00", "locale=xx&state=%F0%9F", "environment=" + "e" * 9000, "kind=a;b&&&=&=1"):
        assert (await alice.get(f"/search?q=imprimante&{odd}")).status_code == 200, odd[:30]
    many = "&".join(f"environment=e{number}" for number in range(10_000))
    for endless in (f"/search?q=imprimante&{many}", "/search?q=" + "x" * 100_000):
        assert (await raw(alice, endless))[0] == 400  # more than 64 kB of address
    assert (await alice.get("/search", params={"q": "imprimante"})).status_code == 200


def test_an_address_is_read_whatever_it_holds() -> None:
    asked = read([("q", "a"), *(("kind", f"k{n}") for n in range(10_000))])
    assert len(asked.chosen["kind"]) == MAX_VALUES
    assert [notice.params for notice in asked.notices] == [{"limit": str(MAX_VALUES)}]
    assert read([("page", "99999999999999999999")]).deep
    assert read([("q", "a"), ("q", "b"), ("unknown", "c")]).query == "q=a"
    again = read([("q", "é à"), ("os", "linux"), ("os", "linux"), ("exact", "1")])
    assert again.query == "q=%C3%A9+%C3%A0&os=linux&exact=1"
    assert again.without("os", "linux") == "/search?q=%C3%A9+%C3%A0&exact=1"
    assert again.about("b") == "/search?q=b&os=linux"
