"""A cap on the agent's own memory: whatever leaks, on a client's machine it must not grow for ever."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

import psutil

from .settings import Settings

TOO_OFTEN = 6
"""Looks in a row above the cap after which the agent is started again: a short peak is no leak."""

MIB = 1024 * 1024


class Host(Protocol):
    settings: Settings

    def restart(self, why: str) -> None: ...


@asynccontextmanager
async def watching_memory(host: Host) -> AsyncIterator[None]:
    task = asyncio.create_task(_watch(host))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _watch(host: Host) -> None:
    own, above = psutil.Process(), 0
    while True:
        await asyncio.sleep(host.settings.memory_every)
        used = own.memory_info().rss // MIB
        above = above + 1 if used > host.settings.memory_cap else 0
        if above >= TOO_OFTEN:
            host.restart(f"it uses {used} MiB of memory, {host.settings.memory_cap:g} are allowed")
            return
