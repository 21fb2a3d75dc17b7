"""The fixtures of the story."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser
from story_parts import IN_FORCE, Browsers, ClientMachine, enrolled, known_to_drift, publish
from wired_fixtures import Cast, RunningServer, make_cast


@pytest.fixture
async def cast(server: RunningServer) -> Cast:
    """The members read English, so that the story finds the words of the code."""
    return await make_cast(server.services, locale="en")


@pytest.fixture
async def library(server: RunningServer, cast: Cast) -> None:
    await publish(server.services, cast, IN_FORCE)


@pytest.fixture
async def machine(server: RunningServer, cast: Cast, library: None, tmp_path: Path) -> AsyncIterator[ClientMachine]:
    made = await enrolled(server.services, cast, server.url, tmp_path)
    await made.start()
    try:
        await known_to_drift(server.services, made)
        yield made
    finally:
        await made.stop()


@pytest.fixture
async def browsers(browser: Browser, server: RunningServer) -> AsyncIterator[Browsers]:
    made = Browsers(browser=browser, url=server.url)
    yield made
    for context in made.contexts:
        await context.close()
    assert not made.errors, made.errors
