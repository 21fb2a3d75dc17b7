"""The core's side: it asks the helper of whoever is at the screen.

The helper dials a Unix socket that everybody on the machine may open; the kernel says whose process it is, and only the
helper of an account that is at the screen *now* is asked anything. So a helper answers for its own screen and no other.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from ..protocol.wire import JSON, WireError
from .channel import Channel, Ended, Exchange
from .people import account_name, at_the_screen, peer_account

log = logging.getLogger(__name__)
SOCKET_FILE = "desk.sock"
MACHINE = Path("/var/run/compagnon-agent")
"""Where the core of the whole machine listens."""

HELPERS = 16
"""Helpers connected at once, of all accounts; one for each is kept."""


class NoDesk(Exception):
    """Nobody's helper is there to be asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Helper:
    account: int
    channel: Channel

    @property
    def person(self) -> str:
        return account_name(self.account)


class Desk:
    """``people`` gives the accounts at the screen. Everything here runs in the agent's loop."""

    def __init__(self, people: Callable[[], Awaitable[frozenset[int]]] = at_the_screen) -> None:
        self._people = people
        self._helpers: dict[int, Helper] = {}

    @asynccontextmanager
    async def listening(self, folder: Path) -> AsyncIterator[None]:
        """Helpers may come inside the block. Where the socket cannot be made nobody is asked, and the log says so."""
        try:
            server = await self._listen(folder / SOCKET_FILE)
        except OSError as fault:
            log.warning("no helper can be asked: %s: %s", folder, fault.strerror)
            yield
            return
        try:
            yield
        finally:
            server.close()
            for helper in list(self._helpers.values()):
                await helper.channel.close()
            with contextlib.suppress(OSError):
                (folder / SOCKET_FILE).unlink()

    async def _listen(self, path: Path) -> asyncio.Server:
        _make_room(path)
        server = await asyncio.start_unix_server(self._knock, str(path))
        _open_to_all(path)
        return server

    async def _knock(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        account = peer_account(writer.get_extra_info("socket"))
        channel = Channel(reader, writer, {})
        if account is None or not await self._room_for(account):
            await channel.close()
            return
        helper = Helper(account=account, channel=channel)
        before = self._helpers.get(account)
        self._helpers[account] = helper
        if before:
            await before.channel.close()
        log.info("the helper of %s is there", helper.person)
        try:
            await channel.run()
        except (OSError, EOFError, WireError) as fault:
            log.info("the helper of %s has gone: %s", helper.person, fault)
        finally:
            if self._helpers.get(account) is helper:
                del self._helpers[account]
            await channel.close()

    async def _room_for(self, account: int) -> bool:
        """Nobody keeps the person at the screen out with helpers of many accounts: those not there make room."""
        if account in self._helpers or len(self._helpers) < HELPERS:
            return True
        there = await self._people()
        for other in [helper for helper in self._helpers.values() if helper.account not in there]:
            await other.channel.close()
            self._helpers.pop(other.account, None)
        return len(self._helpers) < HELPERS

    async def helper(self) -> Helper:
        """The helper of whoever is at the screen. Raises :class:`NoDesk`."""
        if self._helpers:
            for account in sorted(await self._people()):
                if account in self._helpers:
                    return self._helpers[account]
        raise NoDesk

    @asynccontextmanager
    async def open(self, kind: str, payload: Mapping[str, JSON]) -> AsyncIterator[tuple[Exchange, str]]:
        """An exchange with that helper, and its person's name; leaving the block ends it.

        Raises :class:`NoDesk` when there is none; :class:`Ended` inside when it is gone or refuses.
        """
        helper = await self.helper()
        try:
            exchange = await helper.channel.begin(kind, payload)
        except (OSError, WireError):
            raise NoDesk from None
        try:
            yield exchange, helper.person
        except OSError:
            raise Ended("the helper is gone") from None
        finally:
            await helper.channel.end(exchange)

    async def request(self, kind: str, payload: Mapping[str, JSON]) -> tuple[Mapping[str, JSON], str]:
        """One question, one answer, and who was asked. Raises :class:`NoDesk`, also when the helper cannot answer."""
        try:
            async with self.open(kind, payload) as (exchange, person):
                return (await exchange.receive()).payload, person
        except Ended:
            raise NoDesk from None


def _make_room(path: Path) -> None:
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)


def _open_to_all(path: Path) -> None:
    """Every account may knock: whose knock it is the kernel says."""
    path.parent.chmod(0o755)
    path.chmod(0o666)


def desk_folder(environ: Mapping[str, str] = os.environ) -> Path | None:
    """Where a core of this account and its helpers meet: ``COMPAGNON_AGENT_DESK``, else below the runtime folder.

    None where an account has none.
    """
    given, runtime = environ.get("COMPAGNON_AGENT_DESK"), environ.get("XDG_RUNTIME_DIR")
    if given:
        return Path(given)
    if sys.platform != "win32" and os.geteuid() == 0:
        return MACHINE
    return Path(runtime) / "compagnon-agent" if runtime else None


def meeting_places(environ: Mapping[str, str] = os.environ) -> list[Path]:
    """Where a helper looks for cores: its account's own, and the machine's."""
    own = desk_folder(environ)
    machine = [] if "COMPAGNON_AGENT_DESK" in environ else [MACHINE]
    return list(dict.fromkeys([*([own] if own else []), *machine]))
