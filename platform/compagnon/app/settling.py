"""What a server holds once it has started it holds for good: the garbage collector need not look through it again.

A full collection stops everything, every page and every keystroke, for as long as looking through all objects takes: a
tenth of a second, several on a busy machine, and modules, templates and the search index make up nearly all of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

MOMENTS = (0.0, 60.0)  # seconds after the first answer: what is made for the first pages is there a minute later


@asynccontextmanager
async def settling(ready: asyncio.Event) -> AsyncIterator[None]:
    """Twice after ``ready``, within the block, take what is there out of the collector's sight (``gc.freeze``)."""
    task = asyncio.create_task(_settle(ready), name="settling")
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _settle(ready: asyncio.Event) -> None:
    await ready.wait()
    for moment in MOMENTS:
        await asyncio.sleep(moment)
        gc.collect()
        gc.freeze()
