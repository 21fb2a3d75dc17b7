"""``compagnon-agent helper``: runs in a person's own desktop session, as that person, and shows what the core asks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path

from ..protocol.wire import WireError
from .channel import Channel, Handler
from .core import SOCKET_FILE, meeting_places
from .here import HANDLERS

log = logging.getLogger(__name__)
PAUSE = 2.0
LONGEST_PAUSE = 30.0


async def serve_all() -> None:
    """For the core of this account, and that of the machine."""
    await asyncio.gather(*(serve(place) for place in meeting_places()))


async def serve(folder: Path, handlers: Mapping[str, Handler] = HANDLERS) -> None:
    """Until the agent is uninstalled: the core may come and go."""
    pause = PAUSE
    while _installed():
        try:
            await once(folder, handlers)
            pause = PAUSE
        except (OSError, EOFError, WireError) as fault:
            log.info("no core: %s", fault)
        await asyncio.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


def _installed() -> bool:
    return Path(__file__).exists()


async def once(folder: Path, handlers: Mapping[str, Handler]) -> None:
    """One connection to the core, until it ends (then it returns) or cannot be made (``OSError``)."""
    reader, writer = await asyncio.open_unix_connection(str(folder / SOCKET_FILE))
    channel = Channel(reader, writer, handlers)
    try:
        await channel.run()
    except asyncio.IncompleteReadError:
        log.info("the core has gone")
    finally:
        await channel.close()
