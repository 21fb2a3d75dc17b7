"""Waiting for what a page says."""

from __future__ import annotations

import asyncio


async def holds(page, expression: str, arg: object = None, *, seconds: float = 30.0) -> None:
    """Wait until the JavaScript is true in the page.

    Not ``page.wait_for_function``: it asks again by ``eval`` from inside of the page, which our policy forbids.
    """
    end = asyncio.get_running_loop().time() + seconds
    while not await page.evaluate(expression, arg):
        assert asyncio.get_running_loop().time() < end, f"it did not become true in {seconds} s: {expression}"
        await asyncio.sleep(0.02)
