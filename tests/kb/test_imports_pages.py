"""The administrator's pages of the sources, over a real server with its jobs, its events and its search."""

from __future__ import annotations

import asyncio
import re

import httpx
import pytest
from imports_parts import MALLARD, notes, zipped
from wired_fixtures import Cast, ClientFor, RunningServer, make_cast

FOUND = re.compile(r'href="/articles/\d')
LICENCE = {"licence": "La coopérative"}


@pytest.fixture
async def cast(server: RunningServer) -> Cast:
    """The five members, reading English."""
    return await make_cast(server.services, locale="en")


def archive(texts: dict[str, str], name: str = "notes.zip") -> dict[str, tuple[str, bytes, str]]:
    return {"file": (name, zipped(texts), "application/zip")}


async def ended(server: RunningServer, source_id: int = 1) -> None:
    for _ in range(600):
        runs = await server.services.kb.imports.runs(source_id)
        if runs and not any(run.active for run in runs):
            return
        await asyncio.sleep(0.05)
    pytest.fail("the import did not end")


async def found(client: httpx.AsyncClient, words: str) -> str:
    for _ in range(100):
        text = (await client.get("/search", params={"q": words})).text
        if FOUND.search(text):
            return text
        await asyncio.sleep(0.1)
    pytest.fail("the search does not find it")


async def test_an_archive_becomes_articles_that_are_found(
    server: RunningServer, cast: Cast, client_for: ClientFor
) -> None:
    ada, alice = await client_for(cast.ada), await client_for(cast.alice)
    assert "Nothing was imported yet" in (await ada.get("/articles/sources")).text
    texts = {**notes(12), "rouleau.md": "# Rouleau presseur grippé\n\n## Solution\n\nNettoyez le.\n", "bad.md": "x"}
    answer = await ada.post("/articles/sources", data={"name": "Notes", **LICENCE}, files=archive(texts))
    assert (answer.status_code, answer.headers["location"]) == (303, "/articles/sources/1")
    await ended(server)
    page = (await ada.get("/articles/sources/1")).text
    assert "13 new" in page
    assert "notes.zip" in page
    assert "no title" in page
    assert "bad.md" in page
    assert "Rouleau presseur" in await found(alice, "presseur grippé")
    link = await alice.get("/articles/sources/1/document", params={"path": "rouleau.md"})
    assert re.fullmatch(r"/articles/\d+", link.headers["location"])


async def test_a_newer_archive_brings_up_to_date_and_shows_what_is_gone(
    server: RunningServer, cast: Cast, client_for: ClientFor
) -> None:
    ada = await client_for(cast.ada)
    await ada.post("/articles/sources", data={"name": "Notes", **LICENCE}, files=archive(notes(4)))
    await ended(server)
    newer = {**notes(3), "n001.md": "# Panne 1\n\n## Solution\n\nAutrement.\n"}
    answer = await ada.post("/articles/sources/1/import", files=archive(newer))
    assert answer.status_code == 303
    await ended(server)
    page = (await ada.get("/articles/sources/1")).text
    assert "1 changed" in page
    assert "1 gone from the source" in page
    assert re.search(r'id="gone".*Panne 3', page, re.DOTALL)
    assert "1 gone" in (await ada.get("/articles/sources")).text


async def test_everything_is_withdrawn_and_found_no_more(
    server: RunningServer, cast: Cast, client_for: ClientFor
) -> None:
    ada = await client_for(cast.ada)
    await ada.post("/articles/sources", data={"name": "Notes", **LICENCE}, files=archive(notes(3)))
    await ended(server)
    await found(ada, "panne")
    assert (await ada.post("/articles/sources/1/withdraw")).status_code == 303
    await ended(server)
    page = (await ada.get("/articles/sources/1")).text
    assert "3 articles withdrawn" in page
    assert "/withdraw" not in page, "nothing is left to withdraw"
    for _ in range(100):
        if not FOUND.search((await ada.get("/search", params={"q": "panne"})).text):
            return
        await asyncio.sleep(0.1)
    pytest.fail("what was withdrawn is still found")


@pytest.mark.parametrize(
    ("fields", "content", "message"),
    [
        ({"name": "Notes"}, zipped(notes(1)), "under which licence"),
        ({"name": "", **LICENCE}, zipped(notes(1)), "Please fill this in"),
        ({"name": "Notes", **LICENCE}, b"", "Please choose a .zip or .tar.gz file"),
        ({"name": "Notes", **LICENCE}, b"PK no", "This archive cannot be read"),
        ({"name": "Notes", **LICENCE}, zipped({"a.txt": "x"}), "There is nothing to import here"),
        ({"name": "Notes", **LICENCE, "format": "mallard"}, zipped(notes(1)), "None of the 1 documents"),
        ({"name": "Notes", **LICENCE, "format": "word"}, zipped(notes(1)), "choose one of the list"),
    ],
)
async def test_what_cannot_be_imported_is_said_on_the_form(
    server: RunningServer, cast: Cast, client_for: ClientFor, fields: dict[str, str], content: bytes, message: str
) -> None:
    ada = await client_for(cast.ada)
    file = {"file": ("<b>.zip", content, "application/zip")}
    answer = await ada.post("/articles/sources", data=fields, files=file)
    assert answer.status_code == 422
    assert message in answer.text
    assert f'value="{fields["name"]}"' in answer.text
    assert await server.services.kb.imports.sources() == []


async def test_only_administrators_see_the_sources(server: RunningServer, cast: Cast, client_for: ClientFor) -> None:
    ada = await client_for(cast.ada)
    await ada.post("/articles/sources", data={"name": "Aide"}, files=archive({"scan-silent.page": MALLARD}))
    await ended(server)
    for who in (cast.alice, cast.chloe):
        client = await client_for(who)
        for path in ("/articles/sources", "/articles/sources/1"):
            assert (await client.get(path)).status_code == 403
        assert (await client.post("/articles/sources", data={"name": "x"}, files=archive(notes(1)))).status_code == 403
        assert (await client.post("/articles/sources/1/import", files=archive(notes(1)))).status_code == 403
        assert (await client.post("/articles/sources/1/withdraw")).status_code == 403
        assert (await client.get("/events", params={"topics": "imports:all"})).status_code == 403
        assert (await client.get("/articles/sources/1/document?path=scan-silent.page")).status_code == 303
        assert (await client.get("/articles/sources/1/document?path=none")).status_code == 404
    assert (await ada.get("/articles/sources/99")).status_code == 404
    assert (await ada.post("/articles/sources/99/withdraw")).status_code == 404
