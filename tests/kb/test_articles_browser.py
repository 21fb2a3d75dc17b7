"""Articles in a real browser: from a ticket to what a colleague follows; nothing typed is lost, nothing runs."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import expect
from wired_fixtures import PASSWORD

from compagnon.audit import Actor
from compagnon.directory.model import ClientKind
from kb.articles.model import Content, Link, Solution
from tickets.desk.model import NewTicket, State, Visibility

pytestmark = pytest.mark.browser
CORPUS = Path(__file__).parents[1] / "procedures/format/xss_corpus.py"
SPEC = importlib.util.spec_from_file_location("articles_xss_corpus", CORPUS)
assert SPEC is not None
assert SPEC.loader is not None
corpus = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(corpus)
# What an article's text may be made of; everything else would be more than text.
STRANGE = """root => [...root.querySelectorAll("*")].filter(element =>
  ["SCRIPT", "STYLE", "IFRAME", "OBJECT", "EMBED", "FORM", "INPUT", "SVG", "MATH", "META", "LINK", "BASE", "TEMPLATE"]
    .includes(element.tagName.toUpperCase())
  || [...element.attributes].some(one => one.name.startsWith("on") || one.name === "style" || one.name === "srcdoc"
    || (["href", "src"].includes(one.name) && /^\\s*(javascript|data|vbscript|file):/i.test(one.value)))
).map(element => element.outerHTML)"""


@pytest.fixture
async def signed_in(server: Any, browser: Any) -> Any:
    errors: list[str] = []

    async def sign_in(member: Any) -> Any:
        page = await (await browser.new_context(base_url=server.url)).new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("dialog", lambda dialog: errors.append(f"a script spoke: {dialog.message}"))
        await page.goto("/sign-in")
        await page.fill("[name=email]", member.email)
        await page.fill("[name=password]", PASSWORD)
        await page.press("[name=password]", "Enter")
        await page.wait_for_url(f"{server.url}/")
        return page

    yield sign_in
    assert errors == []


@pytest.fixture
async def ticket(server: Any, cast: Any) -> int:
    """Resolved, with what was done said in it."""
    client = await server.services.kernel.directory.add_client(
        kind=ClientKind.COMPANY, name="Menuiserie Le Goff", actor=Actor.system(), phones=("02 61 91 00 01",)
    )
    desk = server.services.tickets.desk
    new = NewTicket(client_id=client.id, title="Rien ne s'imprime", symptom="Le voyant orange clignote.")
    ticket_id: int = await desk.open(new, cast.alice)
    await desk.say(ticket_id, cast.alice, "1. Videz la file d'impression.\n2. Relancez cups.", Visibility.PUBLIC)
    for state in (State.IN_PROGRESS, State.RESOLVED):
        await desk.move(ticket_id, cast.alice, to=state, revision=(await desk.get(ticket_id)).revision)
    return ticket_id


def origin(ticket: int) -> Link:
    return Link(kind="ticket", ref=str(ticket), why="origin", label="", url=f"/tickets/{ticket}")


async def test_from_a_solved_ticket_to_what_a_colleague_finds_and_follows(
    server: Any, cast: Any, ticket: int, signed_in: Any
) -> None:
    alice = await signed_in(cast.alice)
    await alice.goto(f"/tickets/{ticket}")
    await alice.locator(f'a[href="/tickets/{ticket}/article"]').click()
    await expect(alice.locator("#f-condition")).to_have_value("Le voyant orange clignote.")
    await expect(alice.locator("#f-remedy-1")).to_have_value("")
    await alice.locator(".article-said li").nth(1).locator('[data-copy-to="remedy"]').click()
    await expect(alice.locator("#f-remedy-1")).to_have_value("1. Videz la file d'impression.\n2. Relancez cups.")
    await alice.fill("#f-title", "Voyant orange, plus rien ne sort")
    await expect(alice.locator("#article-preview li")).to_have_count(2)
    await alice.locator('button[value="submit"]').click()
    await alice.wait_for_url("**/articles/*/draft")
    assert await alice.locator('form[action$="/publish"]').count() == 0

    bruno = await signed_in(cast.bruno)
    await bruno.goto("/articles/reviews")
    await bruno.get_by_role("link", name="Voyant orange, plus rien ne sort").click()
    await bruno.locator('form[action$="/publish"] button').click()
    await bruno.wait_for_url(re.compile(r"/articles/\d+$"))

    david = await signed_in(cast.david)
    hit = david.locator("#found").get_by_role("link", name="Voyant orange, plus rien ne sort").first
    for _ in range(40):  # the index follows the commit
        await david.goto("/search?q=voyant+orange")
        if await hit.count():
            break
        await david.wait_for_timeout(250)
    await hit.click()
    await david.wait_for_url("**/articles/**")
    await david.locator('button[name="solved"][value="yes"]').click()
    await expect(david.locator('button[name="solved"][value="yes"]')).to_have_attribute("aria-pressed", "true")
    await alice.goto(f"/tickets/{ticket}")
    await expect(alice.locator("a.grow", has_text="Voyant orange, plus rien ne sort")).to_be_visible()


async def test_what_was_typed_comes_back_with_all_its_causes(server: Any, cast: Any, signed_in: Any) -> None:
    page = await signed_in(cast.alice)
    await page.goto("/articles/new")
    await page.fill("#f-title", "À moitié écrit")
    await page.fill("#f-remedy-1", "Le premier remède")
    await page.click("#article-more")
    await page.fill("#f-cause-2", "La seconde cause")
    await page.locator('[name="os"][value="linux"]').check()
    await page.goto("/articles")
    await page.goto("/articles/new")
    await expect(page.locator("#f-title")).to_have_value("")
    await page.get_by_role("button", name="Le reprendre").click()
    await expect(page.locator("#f-title")).to_have_value("À moitié écrit")
    await expect(page.locator("#f-cause-2")).to_have_value("La seconde cause")
    await expect(page.locator('[name="os"][value="linux"]')).to_be_checked()
    await page.keyboard.press("Control+s")
    await page.wait_for_url("**/articles/*/edit")
    await expect(page.locator("#f-cause-2")).to_have_value("La seconde cause")
    assert await page.get_by_role("button", name="Le reprendre").count() == 0


async def test_what_comes_back_is_laid_beside_what_a_colleague_saved_since(
    server: Any, cast: Any, signed_in: Any
) -> None:
    articles = server.services.kb.articles
    draft = await articles.create(Content(title="File bloquée", condition="Au début"), "fr", cast.alice)
    page = await signed_in(cast.alice)
    await page.goto(f"/articles/{draft.article_id}/edit")
    await page.fill("#f-condition", "Celui d’Alice")
    await page.goto("/articles")
    theirs = replace(draft.content, condition="Celui de Bruno")
    await articles.save(draft.article_id, theirs, cast.bruno, seen=draft.digest)
    await page.goto(f"/articles/{draft.article_id}/edit")
    await page.get_by_role("button", name="Le reprendre").click()
    await expect(page.locator("#f-condition")).to_have_value("Celui d’Alice")
    await page.keyboard.press("Control+s")
    await page.locator(".diff-field").first.wait_for()
    assert (await articles.present(draft.article_id)).condition == "Celui de Bruno"
    await expect(page.locator("#f-condition")).to_have_value("Celui d’Alice")
    await page.goto("/articles")
    await page.goto(f"/articles/{draft.article_id}/edit")
    await expect(page.get_by_role("button", name="Le reprendre")).to_be_visible()  # the conflict kept nothing


async def test_of_a_tickets_article_what_comes_back_does_not_replace_a_colleagues_draft(
    server: Any, cast: Any, ticket: int, signed_in: Any
) -> None:
    page = await signed_in(cast.alice)
    await page.goto(f"/tickets/{ticket}/article")
    await page.fill("#f-title", "Celui d’Alice")
    await page.goto("/articles")
    writing = Content(title="Celui de Bruno")
    await server.services.kb.articles.create(writing, "fr", cast.bruno, origin=origin(ticket))
    await page.goto(f"/tickets/{ticket}/article")
    await page.get_by_role("button", name="Le reprendre").click()
    await page.keyboard.press("Control+s")
    await page.locator(".diff-field").first.wait_for()
    (known,) = await server.services.kb.articles.of("ticket", str(ticket))
    assert known.title == "Celui de Bruno"


async def test_what_the_server_has_is_not_offered_again_and_what_it_refused_is(
    server: Any, cast: Any, signed_in: Any
) -> None:
    page = await signed_in(cast.alice)
    again = page.get_by_role("button", name="Le reprendre")
    await page.goto("/articles/new")
    await page.fill("#f-title", "  Trop d’espace  ")
    await page.fill("#f-condition", "Rien ne sort.")
    await page.fill("#f-remedy-1", "Videz la file.")
    await page.locator("details.article-more summary").click()
    await page.fill("#f-source_url", "javascript:alert(1)")
    await page.locator('button[value="submit"]').click()
    await page.locator(".notice-danger").wait_for()
    assert await again.count() == 0  # it is on the page
    await page.goto("/articles")
    await page.goto("/articles/new")
    await again.click()
    await page.locator("details.article-more summary").click()
    await page.fill("#f-source_url", "")
    await page.locator('button[value="submit"]').click()
    await page.wait_for_url("**/articles/*/draft")
    await page.goto("/articles/new")
    await expect(page.locator("#f-title")).to_have_value("")
    assert await again.count() == 0


async def test_hostile_text_is_read_and_nothing_else(server: Any, cast: Any, signed_in: Any) -> None:
    articles = server.services.kb.articles
    page = await signed_in(cast.alice)
    hostile = [*corpus.HTML, *corpus.MARKDOWN]
    half = len(hostile) // 2
    content = Content(
        title=corpus.HTML[0],
        condition="\n\n".join(hostile[:half]),
        solutions=[Solution(cause="\n\n".join(hostile[half:]), remedy="Rien.")],
        error_codes=[one.replace("\n", " ") for one in corpus.HTML if len(one) <= 100][:40],
    )
    draft = await articles.create(content, "fr", cast.bruno)
    await articles.submit(draft.article_id, cast.bruno, seen=draft.digest)
    pages = [f"/articles/{draft.article_id}/draft", f"/articles/{draft.article_id}/edit"]
    for path in pages:
        await page.goto(path)
        await page.locator(".article-body").first.wait_for()
        assert await page.locator(".article-body").first.evaluate(STRANGE) == []
    await articles.publish(draft.article_id, cast.alice, seen=draft.digest)
    changed = replace(content, condition="\n\n".join(reversed(hostile[:half])))
    await articles.save(draft.article_id, changed, cast.alice, seen=draft.digest)
    for path in (f"/articles/{draft.article_id}", f"/articles/{draft.article_id}/draft", "/articles"):
        await page.goto(path)
        assert await page.locator("main").evaluate(STRANGE.replace('"FORM", "INPUT", ', "")) == []
