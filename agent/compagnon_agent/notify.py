"""Telling systemd how it goes (sd_notify(3)): ready, what state, still alive, stopping. Nothing where nobody asks."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

STATUS_EVERY = 15.0


class Notifier:
    """``address`` is a datagram socket: a path, or ``@name`` in the abstract namespace."""

    def __init__(self, address: str, watchdog: float = 0.0) -> None:
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self.watchdog = watchdog

    @classmethod
    def of(cls, environ: Mapping[str, str] = os.environ) -> Notifier:
        """From ``NOTIFY_SOCKET`` and ``WATCHDOG_USEC``, unless ``WATCHDOG_PID`` names another process."""
        microseconds = environ.get("WATCHDOG_USEC", "")
        mine = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        watchdog = int(microseconds) / 1e6 if mine and microseconds.isascii() and microseconds.isdecimal() else 0.0
        return cls(environ.get("NOTIFY_SOCKET", ""), watchdog)

    def tell(self, **states: str | int) -> None:
        """``tell(READY=1, STATUS="…")``. Never raises: nobody may be listening."""
        if not self._address:
            return
        message = "\n".join(f"{name}={_line(value)}" for name, value in states.items())
        with contextlib.suppress(OSError, AttributeError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link:
            link.setblocking(False)
            link.sendto(message.encode("utf-8", "replace"), self._address)

    @asynccontextmanager
    async def attending(self, status: Callable[[], str]) -> AsyncIterator[None]:
        """Ready inside the block. The event loop itself gives the signs of life: if it hangs, they stay away."""
        self.tell(READY=1, STATUS=status())
        task = asyncio.create_task(self._keep_telling(status))
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _keep_telling(self, status: Callable[[], str]) -> None:
        pause = min(self.watchdog / 3, STATUS_EVERY) if self.watchdog else STATUS_EVERY
        while True:
            await asyncio.sleep(pause)
            self.tell(WATCHDOG=1, STATUS=status())


def _line(value: str | int) -> str:
    return " ".join(str(value).split())[:300]
