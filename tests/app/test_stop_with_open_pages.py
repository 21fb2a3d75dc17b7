"""Stopping the server while pages listen: their streams end in order, at once, and are not cut."""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack

import httpx
import pytest
from wired_fixtures import PASSWORD, _csrf_token, make_cast, serving


async def test_open_pages_do_not_hold_the_stop_up(settings, caplog: pytest.LogCaptureFixture) -> None:
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(httpx.AsyncClient(timeout=30))
        async with serving(settings) as server:
            cast = await make_cast(server.services)
            form = {"email": cast.alice.email, "password": PASSWORD}
            form["_csrf_token"] = _csrf_token((await client.get(f"{server.url}/sign-in")).text)
            await client.post(f"{server.url}/sign-in", data=form, headers={"origin": server.url})
            events = f"{server.url}/events?topics=member:{cast.alice.id}"
            stream = await stack.enter_async_context(client.stream("GET", events))
            assert stream.status_code == 200
            lines = stream.aiter_lines()
            assert (await anext(lines)).startswith("retry:")
        assert [line async for line in lines if line.startswith("error")] == []  # read to its proper end
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []
