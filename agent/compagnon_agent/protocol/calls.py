"""What a call session says beside its binary channels: JSON text on the session's own connection.

The server calls, the agent replies; the agent gives notice of what happens by itself. A connection may be lost at any
moment, so each side keeps what the other has not confirmed and says it again on the next one: :class:`Caller` (server)
and :class:`Answerer` (agent) hold these rules, without I/O. A call is carried out once, a notice is taken in once.

A server that was restarted begins a new ``epoch``: the calls of the one before are nobody's any more.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

from .envelope import Message, Unknown, decode_as, encode
from .wire import JSON, WireError, integer, json_object, optional, text

__all__ = [
    "CALLS_AT_ONCE",
    "Answerer",
    "Attached",
    "Call",
    "Caller",
    "Message",
    "Noted",
    "Notice",
    "Reply",
    "TooMany",
    "Unknown",
    "decode",
    "encode",
]  # fmt: skip

CALLS_AT_ONCE = 32
"""Calls of one session that may wait for their reply."""

REPLIES_KEPT = 2 * CALLS_AT_ONCE
"""Replies that the agent can say again: more than can be waited for."""

NOTICES_KEPT = 256
_COUNT = integer(0, 2**53)
_VALUE = json_object(192 * 1024)


class TooMany(Exception):
    """More calls or notices wait than are kept: try again later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attached(Message):
    """Server, first on each connection: its ``epoch``, and the number of the last notice it has taken in."""

    TYPE: ClassVar[str] = "attached"
    epoch: Annotated[str, text(32, minimum=8)]
    noted: Annotated[int, _COUNT] = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Message):
    """Server: do ``method`` (``processes.list``). ``id`` counts up within the epoch. ``member_id``: on whose word."""

    TYPE: ClassVar[str] = "call"
    id: Annotated[int, _COUNT]
    method: Annotated[str, text(60, minimum=1)]
    arguments: Annotated[Mapping[str, JSON], json_object(64 * 1024)]
    member_id: Annotated[int, _COUNT] = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply(Message):
    """Agent: the result, or a fault: ``code`` for programs (``not_found``), ``error`` for people."""

    TYPE: ClassVar[str] = "reply"
    id: Annotated[int, _COUNT]
    value: Annotated[Mapping[str, JSON] | None, optional(_VALUE)] = None
    code: Annotated[str, text(40)] = ""
    error: Annotated[str, text(500)] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice(Message):
    """Agent: something happened. ``number`` counts up over the session's whole life, whatever the epoch."""

    TYPE: ClassVar[str] = "notice"
    number: Annotated[int, integer(1, 2**53)]
    name: Annotated[str, text(60, minimum=1)]
    value: Annotated[Mapping[str, JSON], _VALUE]


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted(Message):
    """Server: every notice up to ``upto`` is taken in."""

    TYPE: ClassVar[str] = "noted"
    upto: Annotated[int, _COUNT]


TYPES: Mapping[str, type[Message]] = {cls.TYPE: cls for cls in (Attached, Call, Reply, Notice, Noted)}


def decode(source: str | bytes) -> Message:
    """The message in ``source``; :class:`WireError` for anything malformed, :class:`Unknown` for an unknown type."""
    return decode_as(source, TYPES)


class Caller:
    """The server's side. Every message that a method returns is to be sent, in order."""

    def __init__(self, epoch: str) -> None:
        self.epoch = epoch
        self.noted = 0
        self._last = 0
        self._waiting: dict[int, Call] = {}

    def attached(self) -> list[Message]:
        """A new connection: what to say first."""
        return [Attached(epoch=self.epoch, noted=self.noted), *self._waiting.values()]

    def call(self, method: str, arguments: Mapping[str, JSON], member_id: int = 0) -> Call:
        """Raises :class:`TooMany` while :data:`CALLS_AT_ONCE` calls wait."""
        if len(self._waiting) >= CALLS_AT_ONCE:
            raise TooMany
        self._last += 1
        call = Call(id=self._last, method=method, arguments=arguments, member_id=member_id)
        self._waiting[call.id] = call
        return call

    def forget(self, call_id: int) -> None:
        """Nobody waits for this reply any more."""
        self._waiting.pop(call_id, None)

    def answered(self, reply: Reply) -> bool:
        """Whether somebody waits for this reply (not if it comes twice)."""
        return self._waiting.pop(reply.id, None) is not None

    def take(self, notice: Notice) -> tuple[bool, Noted]:
        """Whether the notice is new, and the answer to it. Notices come in order on a connection."""
        new = notice.number > self.noted
        self.noted = max(self.noted, notice.number)
        return new, Noted(upto=self.noted)


class Answerer:
    """The agent's side. Every message that a method returns is to be sent, in order.

    Before the server has said on a connection who it is nothing is said there: it might be another one.
    """

    def __init__(self) -> None:
        self._epoch = ""
        self._attached = False
        self._running: set[int] = set()
        self._done: OrderedDict[int, Reply] = OrderedDict()
        self._highest = 0
        self._notices: deque[Notice] = deque()
        self._number = 0

    def attached(self, message: Attached) -> tuple[bool, list[Message]]:
        """Whether this is another server than before (what ran for the old one is void), and what to say again."""
        self._attached = True
        other = bool(self._epoch) and message.epoch != self._epoch
        if message.epoch != self._epoch:
            self._epoch = message.epoch
            self._running, self._done, self._highest = set(), OrderedDict(), 0
        else:
            self.noted(message.noted)
        return other, list(self._notices)

    def disconnected(self) -> None:
        """The connection is lost."""
        self._attached = False

    def begin(self, call: Call) -> Reply | bool | None:
        """True: carry it out, once. A reply: it was carried out, say this again. None: it is being carried out."""
        if call.id in self._done:
            return self._done[call.id]
        if call.id in self._running:
            return None
        if call.id <= self._highest and call.id not in self._done:
            return Reply(id=call.id, code="forgotten", error="this call was carried out and forgotten")
        if len(self._running) >= CALLS_AT_ONCE:
            raise WireError("call", "too many calls at once")
        self._highest = call.id
        self._running.add(call.id)
        return True

    def done(self, reply: Reply, epoch: str) -> list[Message]:
        """A call of ``epoch`` ended; nothing is said when its server is gone, or out of reach for now."""
        if epoch != self._epoch:
            return []
        self._running.discard(reply.id)
        self._done[reply.id] = reply
        while len(self._done) > REPLIES_KEPT:
            self._done.popitem(last=False)
        return [reply] if self._attached else []

    @property
    def epoch(self) -> str:
        return self._epoch

    def notice(self, name: str, value: Mapping[str, JSON]) -> list[Message]:
        """Raises :class:`TooMany` while :data:`NOTICES_KEPT` notices wait to be taken in."""
        if len(self._notices) >= NOTICES_KEPT:
            raise TooMany
        self._number += 1
        made = Notice(number=self._number, name=name, value=value)
        self._notices.append(made)
        return [made] if self._attached else []

    def noted(self, upto: int) -> None:
        while self._notices and self._notices[0].number <= upto:
            self._notices.popleft()
