"""The articles' pages over a real server."""

from __future__ import annotations

import re

import pytest

from compagnon.audit import Actor
from kb.articles.model import Content, ImportedArticle, Solution

TYPED = {
    "title": "La file d'impression reste bloquée",
    "condition": "Rien ne sort, **l'icône** montre une erreur.",
    "cause": "Un document abîmé tient la file.",
    "remedy": "1. Videz la file.\n2. Relancez `cups`.",
    "error_codes": "0x000003e3\r\nE-42",
    "skills": "impression",
    "os": ["linux", "windows"],
    "procedures": "imp-002",
    "review_every": "12",
    "locale": "fr",
}
PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 40


@pytest.fixture
def articles(server):
    return server.services.kb.articles


def hidden(html: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', html)
    assert found, f"no hidden field {name}"
    return found.group(1)


async def write(client, **changes):
    answer = await client.post("/articles/new", data={**TYPED, "request_key": "k", **changes})
    assert answer.status_code == 303, answer.text
    return answer.headers["location"].removesuffix("/edit#kept")


async def published(alice, bruno, **changes):
    here = (await write(alice, then="submit", **changes)).removesuffix("/draft#kept")
    seen = hidden((await bruno.get(f"{here}/draft")).text, "seen")
    done = await bruno.post(f"{here}/publish", data={"seen": seen})
    assert done.status_code == 303, done.text
    return here


async def test_from_the_editor_through_another_members_review_into_force(server, cast, client_for):
    alice, bruno = [await client_for(one) for one in (cast.alice, cast.bruno)]
    assert (await alice.get("/articles/new")).status_code == 200
    here = await write(alice)
    assert (await bruno.get(here)).headers["location"] == f"{here}/draft"
    seen = hidden((await alice.get(f"{here}/edit")).text, "seen")
    sent = await alice.post(f"{here}/edit", data={**TYPED, "seen": seen, "then": "submit"})
    assert sent.headers["location"] == f"{here}/draft#kept"
    own = await alice.get(f"{here}/draft")
    assert "/publish" not in own.text
    refused = await alice.post(f"{here}/publish", data={"seen": seen})
    assert refused.status_code == 403
    assert TYPED["title"] in (await bruno.get("/articles/reviews")).text.replace("&#39;", "'")
    assert TYPED["title"] in (await bruno.get("/")).text.replace("&#39;", "'")
    done = await bruno.post(f"{here}/publish", data={"seen": seen})
    assert done.headers["location"] == here
    page = (await alice.get(here)).text
    assert "<strong>l'icône</strong>" in page.replace("&#39;", "'")
    for shown in ("0x000003e3", "E-42", "<code>cups</code>", "Bruno Leroy", "Linux", 'href="/procedures/imp-002'):
        assert shown in page
    listed = (await alice.get("/articles")).text.replace("&#39;", "'")
    assert f'href="{here}"' in listed
    assert "Rien ne sort, l'icône montre une erreur." in listed


async def test_what_is_missing_keeps_it_from_review_but_not_from_being_kept(server, cast, client_for, articles):
    alice = await client_for(cast.alice)
    answer = await alice.post("/articles/new", data={**TYPED, "remedy": "", "request_key": "k", "then": "submit"})
    assert answer.status_code == 422
    assert "un remède" in answer.text
    number = int(hidden(answer.text, "article"))
    again = await alice.post(
        f"/articles/{number}/edit", data={**TYPED, "seen": hidden(answer.text, "seen"), "then": "submit"}
    )
    assert again.headers["location"] == f"/articles/{number}/draft#kept"


async def test_what_is_refused_stays_in_the_form(server, cast, client_for):
    alice = await client_for(cast.alice)
    answer = await alice.post("/articles/new", data={**TYPED, "source_url": "javascript:alert(1)", "request_key": "k"})
    assert answer.status_code == 422
    assert "Videz la file." in answer.text
    assert "pas une adresse web" in answer.text
    assert hidden(answer.text, "request_key") == "k"


async def test_two_who_write_at_once_lose_nothing(server, cast, client_for):
    alice, bruno = [await client_for(one) for one in (cast.alice, cast.bruno)]
    here = await published(alice, bruno)
    seen = hidden((await alice.get(f"{here}/edit")).text, "seen")
    first = await bruno.post(f"{here}/edit", data={**TYPED, "condition": "Celui de Bruno", "seen": seen})
    assert first.status_code == 303
    second = await alice.post(f"{here}/edit", data={**TYPED, "condition": "Celui d’Alice", "seen": seen})
    assert second.status_code == 409
    assert "Celui d’Alice" in second.text
    assert "Celui de Bruno" in second.text.replace("<del>", "").replace("</del>", "").replace("</ins>", "")
    kept = await alice.post(
        f"{here}/edit", data={**TYPED, "condition": "Celui d’Alice", "seen": hidden(second.text, "seen")}
    )
    assert kept.status_code == 303
    assert "Celui d’Alice" in (await bruno.get(f"{here}/draft")).text


async def test_a_refused_save_does_not_take_a_colleagues_text_as_read(server, cast, client_for):
    alice, bruno = [await client_for(one) for one in (cast.alice, cast.bruno)]
    here = await write(alice)
    seen = hidden((await alice.get(f"{here}/edit")).text, "seen")
    theirs = {**TYPED, "condition": "Celui de Bruno", "seen": seen}
    assert (await bruno.post(f"{here}/edit", data=theirs)).status_code == 303
    mine = {**TYPED, "condition": "Celui d’Alice", "seen": seen}
    refused = await alice.post(f"{here}/edit", data={**mine, "source_url": "javascript:alert(1)"})
    assert refused.status_code == 422
    assert hidden(refused.text, "seen") == seen
    mended = await alice.post(f"{here}/edit", data={**mine, "seen": hidden(refused.text, "seen")})
    assert mended.status_code == 409
    assert "Celui de Bruno" in (await bruno.get(f"{here}/draft")).text


async def test_what_is_kept_but_not_ready_is_what_was_seen(server, cast, client_for):
    alice = await client_for(cast.alice)
    here = await write(alice)
    seen = hidden((await alice.get(f"{here}/edit")).text, "seen")
    kept = await alice.post(f"{here}/edit", data={**TYPED, "condition": "", "seen": seen, "then": "submit"})
    assert kept.status_code == 422
    again = {**TYPED, "seen": hidden(kept.text, "seen"), "then": "submit"}
    assert (await alice.post(f"{here}/edit", data=again)).status_code == 303


async def test_skills_that_the_directory_does_not_know_stay_with_the_article(server, cast, client_for):
    alice = await client_for(cast.alice)
    here = await write(alice, skills=["impression", "traceurs <A0>"])
    page = (await alice.get(f"{here}/edit")).text
    checked = re.findall(r'name="skills" value="([^"]+)" checked', page)
    assert checked[-1] == "traceurs &lt;A0&gt;"
    assert len(checked) == 2
    refused = await alice.post(f"{here}/edit", data={**TYPED, "skills": ["traceurs"], "title": ""})
    assert 'name="skills" value="traceurs" checked' in refused.text


async def test_versions_stand_side_by_side(server, cast, client_for):
    alice, bruno = [await client_for(one) for one in (cast.alice, cast.bruno)]
    here = await published(alice, bruno)
    seen = hidden((await bruno.get(f"{here}/edit")).text, "seen")
    changed = {**TYPED, "remedy": "1. Videz la file.\n2. Éteignez l’imprimante.", "seen": seen, "then": "submit"}
    await bruno.post(f"{here}/edit", data=changed)
    review = (await alice.get(f"{here}/draft")).text
    assert "Éteignez" in review
    assert "<del>" in review
    await alice.post(f"{here}/publish", data={"seen": hidden(review, "seen")})
    history = (await alice.get(f"{here}/history")).text
    assert "Éteignez" in history
    assert "cups" in history
    assert "cups" in (await alice.get(f"{here}/versions/1")).text
    assert (await alice.get(f"{here}/history?from=1&to=99")).status_code == 404


async def test_feedback_is_counted_once_and_may_change(server, cast, client_for):
    alice, bruno = [await client_for(one) for one in (cast.alice, cast.bruno)]
    here = await published(alice, bruno)
    for solved in ("yes", "yes", "no"):
        answer = await bruno.post(f"{here}/feedback", data={"solved": solved, "note": "Il manque le modèle."})
        assert answer.status_code == 303
    page = (await alice.get(here)).text
    assert "a résolu 0 fois" in page
    assert "sans effet 1 fois" in page
    assert "Il manque le modèle." in page
    assert (await bruno.post(f"{here}/feedback", data={"solved": "perhaps"})).status_code == 422
    assert (await bruno.post(f"{here}/feedback", data={"solved": "yes", "ticket": "999"})).status_code == 422


@pytest.mark.parametrize(
    ("name", "data", "media_type", "disposition"),
    [
        ("écran.png", PNG, "image/png", "inline"),
        ('a"b\r\n.log', b"erreur 42\n", "text/plain; charset=utf-8", "attachment"),
        ("guide.pdf", b"%PDF-1.7 ...", "application/pdf", "attachment"),
        ("page.html", b"<script>alert(1)</script>", "text/plain; charset=utf-8", "attachment"),
    ],
)
async def test_files_are_judged_by_their_bytes(server, cast, client_for, name, data, media_type, disposition):
    alice = await client_for(cast.alice)
    here = await write(alice)
    sent = await alice.post(f"{here}/files", files={"file": (name, data, "text/html")})
    assert sent.status_code == 303
    editor = (await alice.get(f"{here}/edit")).text
    address = re.search(rf'href="({here}/files/\d+)"', editor)
    assert address
    file = await alice.get(address.group(1))
    assert file.content == data
    assert file.headers["content-type"] == media_type
    assert file.headers["content-disposition"].startswith(disposition)
    assert "\n" not in file.headers["content-disposition"]
    assert file.headers["x-content-type-options"] == "nosniff"
    await alice.post(f"{address.group(1)}/remove")
    assert address.group(1) not in (await alice.get(f"{here}/edit")).text
    assert (await alice.get(address.group(1))).status_code == 200  # older versions may show it


@pytest.mark.parametrize(
    "data", [b"", b"\x00\x01\x02 binary", b"GIF89a\x01\x00\x01\x00\x00", b"x" * (5 * 1024 * 1024 + 1)]
)
async def test_other_files_are_refused(server, cast, client_for, data):
    alice = await client_for(cast.alice)
    here = await write(alice)
    await alice.post(f"{here}/files", files={"file": ("x.png", data, "image/png")})
    assert f"{here}/files/" not in (await alice.get(f"{here}/edit")).text.replace(f'{here}/files"', "")


async def test_an_imported_article_shows_licence_source_and_that_it_is_gone(server, cast, client_for, articles):
    content = Content(
        title="Node not ready",
        condition="A node is not ready.",
        solutions=(Solution(remedy="Restart it."),),
        licence="CC BY 4.0",
        source_name="Runbooks",
        source_url="https://example.org/node",
    )
    one = ImportedArticle(source="runbooks", source_id="node.md", digest="d", locale="en", content=content)
    done = await articles.put_imported(one, actor=Actor.system())
    await articles.mark_gone("runbooks", ["node.md"], actor=Actor.system())
    alice = await client_for(cast.alice)
    page = (await alice.get(f"/articles/{done.article_id}")).text
    for shown in ("CC BY 4.0", "Runbooks", "https://example.org/node", "N’est plus à sa source depuis"):
        assert shown in page
    assert "Node not ready" in (await alice.get("/articles?look_after=on")).text


async def test_preview_and_what_is_written_already(server, cast, client_for):
    alice = await client_for(cast.alice)
    preview = await alice.post("/articles/preview", data={**TYPED, "remedy": ["Un", "Deux"]})
    assert "Deux" in preview.text
    assert "<strong>" in preview.text
    similar = await alice.post("/articles/similar", data={"title": "imprimante", "condition": ""})
    assert similar.status_code == 200


NOT_THERE = (
    "/articles/0",
    "/articles/9999999999999999999",
    "/articles/12/versions/0",
    "/articles/12/history",
    "/articles/12/edit",
    "/articles/12/draft",
    "/articles/12/files/3",
)


@pytest.mark.parametrize("path", NOT_THERE)
async def test_what_is_not_there_is_not_found(server, cast, client_for, path):
    alice = await client_for(cast.alice)
    assert (await alice.get(path)).status_code == 404
