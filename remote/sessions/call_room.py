"""The room of a capability that the server calls: files, processes, logs, screen, chat, tunnel."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from compagnon.errors import AppError, Conflict, Unavailable
from compagnon.i18n import N_
from compagnon_agent.protocol import calls
from compagnon_agent.protocol.calls import Call, Caller, Notice, Reply, TooMany
from compagnon_agent.protocol.channel import Channel
from compagnon_agent.protocol.channels import Channels, NoChannel
from compagnon_agent.protocol.frames import Frame
from compagnon_agent.protocol.wire import JSON, Codec, WireError
from remote.recordings.recorder import Recorder
from remote.sessions.model import Session
from remote.sessions.room import Room
from remote.sessions.viewer import Viewer
from remote.wire import Closed, Wire

log = logging.getLogger(__name__)
IN_A_ROW = 4  # frames sent before others have their turn on the loop
WAIT = 30.0  # seconds for a reply, the time of a cut included
ALONE = N_("This client asks for four eyes: nothing is done here until a second member is in the session.")
UNKNOWN = N_(
    "The second member left while the link was cut: whether this was done is not known. Look before you go on."
)
ALONE_TOO = frozenset(
    {
        "chat.say", "chat.typing", "files.got", "logs.keep", "logs.leave", "screen.release", "screen.stop",
        "screen.view", "tunnel.close",
    }
)  # fmt: skip
"""What reaches a machine although four eyes are asked for and one is alone: talking to the person who is there, going
on to show what was begun while two were there, ending it. Whatever is not named here is refused."""

T = TypeVar("T")
Value = Mapping[str, JSON]
Listener = Callable[[Value], Awaitable[None]]


class CallFailed(AppError):
    """The agent could not do it: ``code`` for programs, the message for people."""

    def __init__(self, code: str, error: str) -> None:
        super().__init__(N_("The machine answered: {error}"), error=error or code)
        self.code = code


def told(codec: Codec[T], answer: Value, name: str) -> T:
    """What the machine answered under ``name``. Raises CallFailed for nonsense."""
    try:
        return codec.read(answer.get(name), name)
    except WireError as error:
        log.warning("an agent answered nonsense: %s", error)
        raise CallFailed("malformed", "?") from None


class CallRoom(Room):
    """``call`` asks the agent, ``open_channel`` gives bytes both ways, ``on_notice`` hears what it says by itself.

    What changes something is written into the recording *before* it is asked for (``record``), so that it can be
    refused when it cannot be recorded.
    """

    def __init__(self, session: Session, recorder: Recorder, *, full: Callable[[str], None]) -> None:
        super().__init__(session, recorder, full=full)
        self.capability = session.capability
        self._caller = Caller(secrets.token_hex(8))
        self._channels = Channels()
        self._opened: dict[int, Channel] = {}
        self._replies: dict[int, asyncio.Future[Reply]] = {}
        self._listeners: dict[str, Listener] = {}
        self._sending = asyncio.Lock()
        self._pumps: set[asyncio.Task[None]] = set()
        self._over = False

    # what a capability's service uses

    async def call(
        self,
        method: str,
        arguments: Value,
        *,
        member_id: int,
        record: str = "",
        wait: float = WAIT,
        alone_too: bool = False,
    ) -> Value:
        """The agent's answer. ``record``: what is written down first, without which nothing is asked; ``alone_too``:
        it only undoes (else :data:`ALONE_TOO` says which methods need no second member).

        Raises CallFailed, Unavailable (no answer in ``wait`` seconds, or it cannot be recorded), Conflict (over, or
        alone where four eyes are asked for).
        """
        self._require_life()
        free = alone_too or method in ALONE_TOO
        if not free:
            self._require_eyes()
        if record:
            self.record(record)
        try:
            call = self._caller.call(method, arguments, member_id)
        except TooMany:
            raise Unavailable(N_("The machine is busy with earlier requests: try again in a moment.")) from None
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._replies[call.id] = future
        try:
            await self.pump()  # the channel that the call may name is opened first
            if not free:  # somebody may have left meanwhile
                self._require_eyes()
            await self._say(call)
            async with asyncio.timeout(wait):
                reply = await future
        except TimeoutError:
            raise Unavailable(N_("The machine did not answer in time.")) from None
        finally:
            self._caller.forget(call.id)
            self._replies.pop(call.id, None)
        if reply.value is None:
            raise CallFailed(reply.code, reply.error)
        return reply.value

    def record(self, what: str, line: str = "") -> None:
        """Write down what is about to be done: a mark, and a ``line`` that the replay shows and the search finds.

        Raises Unavailable when that cannot be, Conflict where four eyes are asked for and one is alone.
        """
        self._require_eyes()
        if not (self.mark(what) and (not line or self.say(line))):
            raise Unavailable(N_("The recording cannot be written: nothing is done until it can."))

    def say(self, line: str) -> bool:
        """A line of the recording's text, in which nothing can hide; False when it could not be written."""
        plain = "".join(sign if sign.isprintable() else "\ufffd" for sign in line)
        return self._write(lambda: self.recorder.output(f"{plain}\r\n".encode("utf-8", "replace")))

    def open_channel(self) -> Channel:
        """Name its ``number`` in a call, use it, then ``leave`` it. Raises Conflict, Unavailable."""
        self._require_life()
        try:
            number = self._channels.open()
        except NoChannel:
            raise Unavailable(N_("Too many transfers are going on in this session.")) from None
        channel = Channel(self._channels, number, wake=self._wake, moved=asyncio.Event())
        self._opened[number] = channel
        self._wake()
        return channel

    def leave_channel(self, channel: Channel) -> None:
        """It is not used any more. Idempotent."""
        self._opened.pop(channel.number, None)
        self._channels.close(channel.number)
        channel.lost()

    def on_notice(self, name: str, listener: Listener) -> None:
        """``listener`` gets the value of every notice of that name. Where it raises Unavailable, it gets it again.

        What it kept is acknowledged only then, so after a kill of the server it may come twice: keep it by its number.
        """
        self._listeners[name] = listener

    def _require_eyes(self) -> None:
        if self.alone:
            raise Conflict(ALONE)

    @property
    def over(self) -> bool:
        return self._over

    def _require_life(self) -> None:
        if self._over:
            raise Conflict(N_("This session is over."))

    # the agent's side

    @property
    def connected(self) -> bool:
        return self.agent is not None and not self.quiet

    async def _greet(self, wire: Wire) -> None:
        hello, *waiting = self._caller.attached()
        channels = [frame.encode() for frame in self._channels.connected()]
        await wire.send(calls.encode(hello))
        for frame in channels:  # before the calls that may name them
            await wire.send(frame)
        for call in waiting:
            if not self._given_up(call):
                await wire.send(calls.encode(call))
        self.tell_all("link", agent=True)

    def _given_up(self, call: calls.Message) -> bool:
        """What was asked while two were there is not said again to a machine with which one is alone by now."""
        if not isinstance(call, Call) or call.method in ALONE_TOO or not self.alone:
            return False
        self._caller.forget(call.id)
        future = self._replies.get(call.id)
        if future is not None and not future.done():
            future.set_exception(Conflict(UNKNOWN))
        return True

    def _left(self) -> None:
        self._channels.disconnected()

    async def _say(self, message: calls.Message) -> None:
        await self._to_agent(calls.encode(message))

    async def _take(self, frame: Frame) -> None:
        received = self._channels.receive(frame)
        if received is not None and (channel := self._opened.get(frame.channel)):
            channel.took(received)
        await self.pump()

    async def _hear(self, text: str) -> None:
        message = calls.decode(text)
        if isinstance(message, Reply):
            self._answered(message)
        elif isinstance(message, Notice):
            await self._noticed(message)

    def _answered(self, reply: Reply) -> None:
        future = self._replies.get(reply.id)
        if self._caller.answered(reply) and future and not future.done():
            future.set_result(reply)

    async def _noticed(self, notice: Notice) -> None:
        if notice.number > self._caller.noted and (listener := self._listeners.get(notice.name)):
            try:
                await listener(notice.value)
            except Unavailable as error:
                log.error("session %s: %s is not taken in yet: %s", self.session_id, notice.name, error)
                raise Closed from None  # it is said again on the next connection
        _, noted = self._caller.take(notice)
        await self._say(noted)

    def _wake(self) -> None:
        if self.agent is None or self._sending.locked():
            return
        task = asyncio.create_task(self.pump())
        self._pumps.add(task)
        task.add_done_callback(self._pumps.discard)

    @property
    def pumping(self) -> bool:
        return self._sending.locked()

    async def pump(self) -> None:
        async with self._sending:
            sent = 0
            while self.agent is not None and (frame := self._next()) is not None:
                await self._to_agent(frame.encode())
                sent += 1
                if sent % IN_A_ROW == 0:
                    await asyncio.sleep(0)  # a file keeps nobody's keys waiting

    def _next(self) -> Frame | None:
        self._channels.hold(self.alone)
        return self._channels.next_frame()

    # the viewers' side

    def _welcome(self, viewer: Viewer) -> dict[str, object]:
        return {}

    async def take(self, viewer: Viewer, frame: Frame) -> None:
        """Pages ask over HTTP; nothing of theirs comes in frames."""

    def _ask_for_input(self) -> None:
        """Pages ask over HTTP; what waits in the channels goes on."""
        self._wake()

    # the end

    def end(self, reason: str) -> None:
        self._over = True
        for future in self._replies.values():
            if not future.done():
                future.set_exception(Conflict(N_("This session is over.")))
        for channel in list(self._opened.values()):
            self.leave_channel(channel)
        super().end(reason)
