"""A TCP connection over a network that may just be coming back.

A lost SYN is repeated by the system after 1, 3, 7 and 15 s, and a resolver waits as long: whoever waits for one try
may wait 8 s after the network is there again. So there is a new try every second beside the first, which goes on for
whoever is far away; what is answered first is used. Addresses that were good once are used when the resolver is silent.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

AGAIN_EVERY = 1.0
"""Seconds between two tries."""

AT_ONCE = 4
"""Tries under way, the first of them included, which is never given up for a later one."""

RESOLVER = 0.5
"""Seconds for the resolver where addresses are known from before."""

Address = tuple[Any, ...]
"""What ``getaddrinfo`` gives: family, type, protocol, name, address."""

_known: dict[tuple[str, int], list[Address]] = {}


async def reached(host: str, port: int) -> socket.socket:
    """A connected socket. Raises ``OSError`` when every address refuses; otherwise tries until it is cancelled."""
    addresses = await _addresses(host, port)
    tries: list[asyncio.Task[socket.socket]] = []
    begun = failed = 0
    try:
        while True:
            if len(tries) == AT_ONCE:
                await _given_up(tries.pop(1))
            tries.append(asyncio.create_task(_connected(addresses[begun % len(addresses)])))
            begun += 1
            done, _ = await asyncio.wait(tries, timeout=AGAIN_EVERY, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                tries.remove(task)
                if (fault := task.exception()) is None:
                    return task.result()
                failed += 1
                if failed >= len(addresses):
                    raise fault
    finally:
        for task in tries:
            await _given_up(task)


async def _connected(address: Address) -> socket.socket:
    family, kind, protocol, _, where = address
    made = socket.socket(family, kind, protocol)
    try:
        made.setblocking(False)
        await asyncio.get_running_loop().sock_connect(made, where)
    except BaseException:
        made.close()
        raise
    return made


async def _given_up(task: asyncio.Task[socket.socket]) -> None:
    """It may have got through this very moment."""
    task.cancel()
    (found,) = await asyncio.gather(task, return_exceptions=True)
    if isinstance(found, socket.socket):
        found.close()


async def _addresses(host: str, port: int) -> list[Address]:
    """Raises ``OSError`` for a name that cannot be resolved and never was."""
    known = _known.get((host, port))
    asking = asyncio.ensure_future(
        asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    )
    asking.add_done_callback(_seen)
    try:
        async with asyncio.timeout(RESOLVER if known else None):
            found: list[Address] = [*await asyncio.shield(asking)]
    except (OSError, TimeoutError):
        if known is None:
            raise
        return known
    _known[host, port] = found
    return found


def _seen(asking: asyncio.Future[Any]) -> None:
    """Nobody may wait for it any more."""
    if not asking.cancelled():
        asking.exception()
