"""Sending an archive in a real browser, and watching its import without reloading."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from imports_parts import notes, zipped
from playwright.async_api import expect
from wired_fixtures import PASSWORD, RunningServer, make_cast

pytestmark = pytest.mark.browser


async def test_an_import_is_watched_live(server: RunningServer, browser: Any, tmp_path: Path) -> None:
    cast = await make_cast(server.services, locale="en")
    work = server.services.kb.imports._work
    batch, watched = work._batch, asyncio.Event()

    async def waiting(*given: Any) -> Any:
        """The second batch waits until the first was seen on the page."""
        if given[2].done:
            await asyncio.wait_for(watched.wait(), 60)
        return await batch(*given)

    work._batch = waiting  # type: ignore[method-assign, assignment]
    page = await (await browser.new_context(base_url=server.url)).new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    await page.goto("/sign-in")
    await page.fill("[name=email]", cast.ada.email)
    await page.fill("[name=password]", PASSWORD)
    await page.press("[name=password]", "Enter")
    await page.wait_for_url(f"{server.url}/")
    archive = tmp_path / "notes.zip"
    archive.write_bytes(zipped({**notes(20), "<img src=x onerror=alert(1)>.md": b"\xff\xfe"}))
    await page.goto("/articles/sources")
    await page.get_by_label("Name of the source").fill("Notes")
    await page.get_by_label("Archive file").set_input_files(archive)
    await page.get_by_label("Licence").fill("La coopérative")
    await page.get_by_role("button", name="Import").press("Enter")
    await expect(page).to_have_url(f"{server.url}/articles/sources/1")
    await expect(page.get_by_role("progressbar")).to_be_visible(timeout=30_000)
    await expect(page.get_by_text("10 of 20")).to_be_visible(timeout=30_000)
    watched.set()
    await expect(page.get_by_text("20 new")).to_be_visible(timeout=30_000)
    await expect(page.get_by_role("progressbar")).to_have_count(0)
    await expect(page.get_by_text("<img src=x onerror=alert(1)>.md")).to_be_visible()
    assert errors == []
