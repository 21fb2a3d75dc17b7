"""``tunnel``: TCP connections from the server to the one host and port that the person at this machine allowed."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from ..protocol.calls import TooMany
from ..protocol.channel import Channel, ChannelLost
from ..protocol.wire import JSON, integer, read_record
from ..reach import resolve
from ..tasks import all_of, first_of
from .capability import Arguments, CallError, Capability, Method

if TYPE_CHECKING:
    from .calls import CallSession

AT_ONCE = 12
"""Connections open at once; a session has 16 channels."""

DIAL_SECONDS = 10.0
IDLE_SECONDS = 600.0
PIECE = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class On:
    channel: Annotated[int, integer(1, 2**16)]


class Link:
    """One TCP connection and its channel, both ways. ``up`` and ``down`` count bytes towards and from the target."""

    def __init__(self, channel: Channel, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.channel = channel
        self.up = self.down = 0
        self.opened = self._moved = time.monotonic()
        self._reader = reader
        self._writer = writer

    async def carry(self) -> str:
        """Until both sides have finished; why it ended."""
        try:
            await first_of(all_of(self._to_target(), self._from_target()), self._idle())
        except TimeoutError:
            return "idle"
        except ChannelLost:
            return "cut"
        except OSError as fault:
            return (fault.strerror or "broken")[:80]
        else:
            return "closed"
        finally:
            self._writer.close()
            with contextlib.suppress(OSError):
                await self._writer.wait_closed()

    async def _to_target(self) -> None:
        while data := await self.channel.read():
            self._writer.write(data)
            await self._writer.drain()
            self.up += len(data)
            self._moved = time.monotonic()
        if self._writer.can_write_eof():
            self._writer.write_eof()

    async def _from_target(self) -> None:
        while data := await self._reader.read(PIECE):
            await self.channel.write(data)
            self.down += len(data)
            self._moved = time.monotonic()
        await self.channel.finish()

    async def _idle(self) -> None:
        while True:
            left = self._moved + IDLE_SECONDS - time.monotonic()
            if left <= 0:
                raise TimeoutError
            await asyncio.sleep(left)


class Tunnel(Capability):
    """The target is the session's own, part of the grant that every ``open`` is put to; its name is resolved once."""

    def __init__(self, session: CallSession) -> None:
        super().__init__(session)
        self._addresses: list[str] = []
        self._port = 0
        self._tasks: dict[int, asyncio.Task[None]] = {}

    @property
    def methods(self) -> Mapping[str, Method]:
        return {
            "open": Method(handler=self._open, changes=True),
            "close": Method(handler=self._shut, changes=False),
        }

    async def begin(self) -> None:
        self._addresses, self._port = await resolve(self.session.request.target)

    async def reset(self) -> None:
        await self._end(list(self._tasks))

    async def close(self) -> None:
        await self._end(list(self._tasks))

    async def _end(self, numbers: list[int]) -> None:
        tasks = [task for number in numbers if (task := self._tasks.get(number))]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # -- the server's calls

    async def _open(self, arguments: Arguments) -> Arguments:
        number = read_record(On, dict(arguments), "").channel
        channel = self.session.channel(number)
        try:
            if len(self._tasks) >= AT_ONCE:
                raise CallError("busy", f"{AT_ONCE} connections are open already")
            reader, writer, address = await self._dial()
        except (CallError, OSError):
            self.session.leave(channel)
            raise
        self._tasks[number] = asyncio.create_task(self._carry(Link(channel, reader, writer)))
        return {"address": address}

    async def _dial(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, str]:
        fault: OSError = OSError("nothing to dial")
        for address in self._addresses:
            try:
                async with asyncio.timeout(DIAL_SECONDS):
                    reader, writer = await asyncio.open_connection(address, self._port)
            except TimeoutError:
                fault = OSError(f"{self.session.request.target} does not answer")
            except OSError as refused:
                fault = OSError(f"{self.session.request.target}: {refused.strerror or 'no connection'}")
            else:
                return reader, writer, address
        raise fault

    async def _carry(self, link: Link) -> None:
        reason = "stopped"
        try:
            reason = await link.carry()
        finally:
            self._tasks.pop(link.channel.number, None)
            self._tell(link, reason)
            self.session.leave(link.channel)

    def _tell(self, link: Link, reason: str) -> None:
        seconds = round(time.monotonic() - link.opened, 1)
        counted: dict[str, JSON] = {"up": link.up, "down": link.down, "seconds": seconds, "reason": reason}
        about: dict[str, JSON] = {"session": self.session.id, "target": self.session.request.target}
        self.session.around.write_down("tunnel.closed", {**about, **counted})
        with contextlib.suppress(TooMany):  # the server counts for itself
            self.session.notify("tunnel.closed", {"channel": link.channel.number, **counted})

    async def _shut(self, arguments: Arguments) -> Arguments:
        await self._end([read_record(On, dict(arguments), "").channel])
        return {}
