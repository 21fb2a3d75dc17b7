"""Watching one's own session on another screen: the banner asks here, the server gives a link.

Each press and its answer stand in the agent's record, without the address.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ..audit import AuditLog
from ..banner import Watch
from ..protocol.messages import Message, WatchLink, WatchProblem, WatchRequest
from ..protocol.wire import JSON

PATIENCE = 10.0
"""Seconds for the server's answer."""

LEFT = 60.0
"""Seconds that an address must still hold to be shown again instead of asking for another."""

SCHEMES = ("https://", "http://")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    address: str
    until: float

    def shown(self) -> dict[str, JSON]:
        return {"address": self.address, "seconds": int(self.until - time.monotonic())}


class Watching:
    """One request of a session at a time; an address is kept in memory until it expires or the session ends."""

    def __init__(self, *, audit: AuditLog, send: Callable[[Message], None]) -> None:
        self._audit = audit
        self._send = send
        self._waiting: dict[str, asyncio.Future[WatchLink]] = {}
        self._known: dict[str, _Known] = {}

    def of(self, session_id: str) -> Watch:
        """What a session's banner calls."""

        async def watch() -> Mapping[str, JSON]:
            return await self.ask(session_id)

        return watch

    async def ask(self, session_id: str) -> Mapping[str, JSON]:
        """``address`` and ``seconds``, or ``problem`` (a :class:`WatchProblem`). Never raises."""
        known = self._known.get(session_id)
        if known and known.until - time.monotonic() > LEFT:
            return known.shown()
        try:
            self._audit.record("session.watch", {"session": session_id})
        except OSError:  # what cannot be written down is not done
            return {"problem": WatchProblem.LATER}
        link = await self._asked(session_id)
        problem = link.problem or ("" if _is_address(link.address) else WatchProblem.LATER)
        self._audit.note("session.watch_link", {"session": session_id, "seconds": link.seconds, "problem": problem})
        if problem:
            return {"problem": problem}
        known = self._known[session_id] = _Known(address=link.address, until=time.monotonic() + link.seconds)
        return known.shown()

    async def _asked(self, session_id: str) -> WatchLink:
        request_id = str(uuid.uuid4())
        waiting: asyncio.Future[WatchLink] = asyncio.get_running_loop().create_future()
        self._waiting[request_id] = waiting
        try:
            self._send(WatchRequest(request_id=request_id, session_id=session_id))
            async with asyncio.timeout(PATIENCE):
                return await waiting
        except TimeoutError:  # no connection, or a server that does not say why
            return WatchLink(request_id=request_id, problem=WatchProblem.LATER)
        finally:
            del self._waiting[request_id]

    def answered(self, link: WatchLink) -> None:
        """What nobody asked for is left alone."""
        waiting = self._waiting.get(link.request_id)
        if waiting is not None and not waiting.done():
            waiting.set_result(link)

    def forget(self, session_id: str) -> None:
        """The session is over, and its address opens nothing."""
        self._known.pop(session_id, None)


def _is_address(text: str) -> bool:
    """It is shown to be typed elsewhere: nothing else, and nothing that looks like something else, may stand there."""
    return text.startswith(SCHEMES) and text.isascii() and text.isprintable() and " " not in text
