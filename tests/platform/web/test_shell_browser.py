"""The shell in a real browser on a real server: keyboard, live parts, themes, drafts, and no policy violated."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import uvicorn
import websockets
from playwright.async_api import Browser, Page, expect

from compagnon.audit import Actor
from compagnon.auth.sign_ins import SignIns
from compagnon.directory.model import ClientKind
from compagnon.kernel import Kernel
from compagnon.web.application import build

pytestmark = pytest.mark.browser
PASSWORD = "correct horse battery"


@pytest.fixture
async def site(bare: Kernel, people, features) -> AsyncIterator[str]:
    from compagnon.app.server import listen, uvicorn_config

    sock = listen(bare.settings)
    url = f"http://127.0.0.1:{sock.getsockname()[1]}"
    kernel = replace(bare, settings=replace(bare.settings, public_url=url))
    await kernel.hub.start()
    config = uvicorn_config(build(kernel, features), kernel.settings)
    config.timeout_graceful_shutdown = 1
    server = uvicorn.Server(config)
    task = asyncio.create_task(server._serve([sock]))
    while not server.started:
        await asyncio.sleep(0.02)
    yield url
    server.should_exit = True
    await task
    sock.close()
    await kernel.hub.stop()


@pytest.fixture
async def page(browser: Browser, site: str) -> AsyncIterator[Page]:
    """Alice, signed in; the test fails when the browser saw a policy violated or a script fail."""
    context = await browser.new_context(locale="fr-FR", viewport={"width": 1200, "height": 800})
    page, wrong = await context.new_page(), []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda line: wrong.append(line.text) if "Content Security Policy" in line.text else None)
    await page.goto(f"{site}/sign-in")
    await page.get_by_label("Adresse mail").fill("alice@example.org")
    await page.get_by_label("Mot de passe").fill(PASSWORD)
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"{site}/")
    await page.goto(f"{site}/clients")
    await page.wait_for_selector("html[data-ready]")
    yield page
    await context.close()
    assert wrong == []


async def test_slash_leads_to_the_search_except_while_typing(page: Page) -> None:
    await page.evaluate("document.activeElement.blur()")
    await page.keyboard.press("/")
    await expect(page.locator("#global-search")).to_be_focused()
    await page.keyboard.type("a/b")
    await expect(page.locator("#global-search")).to_have_value("a/b")
    await page.keyboard.press("Escape")
    await expect(page.locator("#global-search")).not_to_be_focused()


async def test_the_palette_goes_places_without_the_mouse(page: Page, site: str) -> None:
    await page.keyboard.press("Control+k")
    await expect(page.locator("#palette-input")).to_be_focused()
    await page.keyboard.type("membres")
    await expect(page.locator("#palette-results .result").first).to_have_text("Membres")
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"{site}/members")


async def test_the_list_follows_what_is_typed(page: Page, bare: Kernel, site: str) -> None:
    for name in ("Boulangerie", "Garage"):
        await bare.directory.add_client(kind=ClientKind.COMPANY, name=name, actor=Actor.system())
    await page.locator(".filters input").fill("gar")
    await expect(page.locator("#client-rows tbody tr")).to_have_count(1)
    assert page.url == f"{site}/clients?q=gar&departement="


async def test_what_someone_else_changes_appears_by_itself(page: Page, bare: Kernel, site: str) -> None:
    made = await bare.directory.add_client(kind=ClientKind.COMPANY, name="Fournil", actor=Actor.system())
    async with page.expect_response(lambda answer: "/events?" in answer.url):
        await page.goto(f"{site}/clients/{made.id}")
    await asyncio.sleep(0.2)
    await bare.directory.add_phone(made.id, "02 99 00 10 20", actor=Actor.system())
    await expect(page.get_by_text("02 99 00 10 20")).to_be_visible()


async def test_what_is_being_typed_is_not_swept_away(page: Page, bare: Kernel, site: str) -> None:
    made = await bare.directory.add_client(kind=ClientKind.COMPANY, name="Fournil", actor=Actor.system())
    async with page.expect_response(lambda answer: "/events?" in answer.url):
        await page.goto(f"{site}/clients/{made.id}")
    await page.get_by_text("Ajouter un téléphone").click()
    await page.get_by_label("Numéro").fill("02 99")
    await bare.directory.add_mail(made.id, "a@b.fr", actor=Actor.system())
    offer = page.get_by_role("button", name="Cela a changé entre-temps")
    await expect(offer).to_be_visible()
    await expect(page.get_by_label("Numéro")).to_have_value("02 99")
    await page.get_by_label("Numéro").press("Enter")
    await expect(page.get_by_text("a@b.fr")).to_be_visible()
    await expect(page.get_by_role("link", name="02 99")).to_be_visible()
    await expect(offer).to_have_count(0)


async def test_removing_asks_first_and_stays_on_the_page(page: Page, bare: Kernel, site: str) -> None:
    made = await bare.directory.add_client(
        kind=ClientKind.COMPANY, name="Fournil", phones=["02 99 00 10 20"], actor=Actor.system()
    )
    await page.goto(f"{site}/clients/{made.id}")
    await page.wait_for_selector("html[data-ready]")
    remove = page.get_by_role("button", name="Retirer 02 99 00 10 20")
    await remove.click()
    await page.get_by_role("button", name="Annuler").click()
    await expect(remove).to_be_visible()
    await remove.click()
    await page.get_by_role("button", name="Oui, le faire").click()
    await expect(remove).to_have_count(0)
    assert (await bare.directory.sheet(made.id)).phones == ()


async def test_a_refusal_of_htmx_is_a_toast_and_nothing_typed_is_lost(page: Page, bare: Kernel, site: str) -> None:
    made = await bare.directory.add_client(kind=ClientKind.COMPANY, name="Fournil", actor=Actor.system())
    await page.goto(f"{site}/clients/{made.id}")
    await page.wait_for_selector("html[data-ready]")
    await page.get_by_text("Ajouter un téléphone").click()
    await page.get_by_label("Numéro").fill("appelez-moi")
    await page.keyboard.press("Enter")
    await expect(page.locator(".toast-warning")).to_contain_text("n’est pas un numéro de téléphone")
    await expect(page.get_by_label("Numéro")).to_have_value("appelez-moi")


async def test_a_form_left_behind_is_found_again(page: Page, site: str) -> None:
    await page.goto(f"{site}/clients/new")
    await page.wait_for_selector("html[data-ready]")
    await page.get_by_label("Nom", exact=True).fill("Le Fournil")
    await page.goto(f"{site}/clients")
    await page.goto(f"{site}/clients/new")
    await expect(page.get_by_label("Nom", exact=True)).to_have_value("Le Fournil")
    await page.get_by_role("button", name="Ajouter le client").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Le Fournil")
    await page.goto(f"{site}/clients/new")
    await page.wait_for_selector("html[data-ready]")
    await expect(page.get_by_label("Nom", exact=True)).to_have_value("")


async def test_dark_is_one_click_away_and_kept(page: Page) -> None:
    await page.locator("summary.account").click()
    await page.get_by_role("button", name="Sombre").click()
    await expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")
    await page.reload()
    await expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")


async def test_the_system_decides_where_the_member_does_not(browser: Browser, site: str) -> None:
    context = await browser.new_context(color_scheme="dark")
    page = await context.new_page()
    await page.goto(f"{site}/sign-in")
    await expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")
    await page.emulate_media(color_scheme="light")
    await expect(page.locator("html")).to_have_attribute("data-bs-theme", "light")
    await context.close()


@pytest.mark.parametrize("path", ["/clients", "/members", "/account", "/clients/new", "/nowhere"])
async def test_no_page_scrolls_sideways_on_a_phone(page: Page, site: str, path: str) -> None:
    await page.set_viewport_size({"width": 360, "height": 740})
    await page.goto(site + path)
    assert await page.evaluate("document.documentElement.scrollWidth") <= 360


async def test_websockets_need_the_own_origin_and_a_signed_in_member(site: str, bare: Kernel, people) -> None:
    token = await SignIns(bare.db, bare.settings, bare.members).open(people.alice.id)
    address, cookie = site.replace("http", "ws") + "/socket", {"Cookie": f"compagnon={token}"}
    async with websockets.connect(address, additional_headers=cookie, origin=site) as socket:
        assert await socket.recv() == "open"
    for headers, origin in ((cookie, "https://evil.example"), (cookie, None), ({}, site)):
        with pytest.raises(websockets.InvalidStatus):
            async with websockets.connect(address, additional_headers=headers, origin=origin):
                pass
