"""The room of a tunnel: which connections go through it, and what went."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence

from compagnon.errors import AppError
from compagnon_agent.protocol.channel import Channel, ChannelLost
from compagnon_agent.protocol.wire import read_record
from remote.recordings.recorder import Recorder
from remote.sessions.call_room import CallRoom, Value
from remote.sessions.model import Session
from remote.tunnels.model import PAST, Closed, Connection

log = logging.getLogger(__name__)


class TunnelRoom(CallRoom):
    """``over`` is called once for each connection that ended; its line is in the recording by then."""

    def __init__(
        self,
        session: Session,
        recorder: Recorder,
        *,
        full: Callable[[str], None],
        over: Callable[[TunnelRoom, Connection], None],
    ) -> None:
        super().__init__(session, recorder, full=full)
        self.target = session.target
        self._over_with = over
        self._live: dict[int, End] = {}
        self._lingering: dict[int, Channel] = {}
        self._past: deque[Connection] = deque(maxlen=PAST)
        self._count = 0
        self._cutting: set[asyncio.Task[None]] = set()
        self.on_notice("tunnel.closed", self._closed)

    @property
    def connections(self) -> Sequence[Connection]:
        """The live ones, oldest first, then those that are over, newest first."""
        return [*(end.connection for end in self._live.values()), *self._past]

    async def connect(self, member_id: int, name: str, via: str) -> End:
        """One connection to the target. Raises CallFailed, Unavailable, Conflict."""
        self._count += 1
        connection = Connection(number=self._count, member_id=member_id, member_name=name, via=via)
        channel = self.open_channel()
        try:
            arguments: Value = {"channel": channel.number}
            await self.call("tunnel.open", arguments, member_id=member_id, record=connection.label)
        except BaseException:
            self.leave_channel(channel)
            if connection.end("refused"):
                self.mark(connection.label)
            raise
        end = self._live[channel.number] = End(self, channel, connection)
        self.tell_all("tunnel")
        return end

    async def _closed(self, value: Value) -> None:
        told = read_record(Closed, dict(value), "")
        if end := self._live.get(told.channel):
            end.told(told.reason)
        if channel := self._lingering.pop(told.channel, None):
            self.leave_channel(channel)

    def cut(self, number: int, member_id: int) -> None:
        """Have the machine close its end too, beside the caller."""
        task = asyncio.create_task(self._cut(number, member_id))
        self._cutting.add(task)
        task.add_done_callback(self._cutting.discard)

    async def _cut(self, number: int, member_id: int) -> None:
        try:
            await self.call("tunnel.close", {"channel": number}, member_id=member_id)
        except AppError as error:
            log.info("session %s: channel %d is left to end by itself: %s", self.session_id, number, error)

    def done(self, end: End, reason: str) -> None:
        """Idempotent. The channel of a whole connection stays until the agent, too, has everything acknowledged."""
        self._live.pop(end.channel.number, None)
        if end.whole and not end.heard:
            self._lingering[end.channel.number] = end.channel
        else:
            self.leave_channel(end.channel)
        if end.connection.end(reason):
            self.mark(end.connection.label)
            self._past.appendleft(end.connection)
            self._over_with(self, end.connection)
            self.tell_all("tunnel")

    def end(self, reason: str) -> None:
        for each in list(self._live.values()):
            self.done(each, "stopped")
        super().end(reason)


class End:
    """The server's end of one connection: bytes both ways, counted. Always ``close`` it."""

    def __init__(self, room: TunnelRoom, channel: Channel, connection: Connection) -> None:
        self._room = room
        self.channel = channel
        self.connection = connection
        self._told = ""
        self._finished = False

    @property
    def whole(self) -> bool:
        """Whether both sides have finished."""
        return self._finished and self.channel.ended is not None

    @property
    def heard(self) -> bool:
        """Whether the agent told that its end is closed."""
        return bool(self._told)

    def told(self, reason: str) -> None:
        """The agent has closed its end: nothing more can be sent."""
        self._told = reason
        self.channel.lost()

    async def read(self) -> bytes:
        """The target's next bytes; empty when it has finished. Raises ChannelLost."""
        data = await self.channel.read()
        self.connection.down += len(data)
        return data

    async def write(self, data: bytes) -> None:
        """Waits while the target takes no more. Raises ChannelLost."""
        await self.channel.write(data)
        self.connection.up += len(data)

    async def finish(self) -> None:
        """Nothing more will be written. Raises ChannelLost."""
        self._finished = True
        try:
            await self.channel.finish()
        except ChannelLost:
            if self._told != "closed":  # else the target had everything, and only said so first
                raise

    async def close(self) -> None:
        """Idempotent. What was not finished on both sides is cut off at the machine too."""
        if not self.whole and not self._told and self.connection.live:
            self._room.cut(self.channel.number, self.connection.member_id)
        self._room.done(self, self._told or ("closed" if self.whole else "closed here"))
