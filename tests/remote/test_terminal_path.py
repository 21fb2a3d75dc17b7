"""A terminal through the whole path: browser page, server, a real agent's real shell."""

import asyncio

import pytest

from remote.recordings import cast
from remote.sessions.model import EndReason, SessionState


async def test_echo_through_the_whole_path(server, cast, session, page_of):
    page = await page_of(cast.alice, session)
    await page.type("echo bon''jour é€\r")
    await page.see("bonjour é€")
    assert page.last("people")["people"] == [{"id": cast.alice.id, "name": "Alice Martin", "driver": True}]
