"""The link by which a client watches a session, asked for at the machine: its banner shows it there."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, ClassVar

from .envelope import Message
from .wire import choice, integer, text

_uuid = text(36, minimum=8)
_session = text(32, minimum=32)


class WatchProblem(StrEnum):
    """Why there is no link. The agent says it in the words of whoever reads it."""

    NONE = ""
    OVER = "over"
    """This machine has no such open session that can be watched."""
    OFTEN = "often"
    LATER = "later"


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchRequest(Message):
    """Agent: somebody at the machine wants to watch this session, one of its own, on another screen.

    Only where :class:`.messages.OpenSession` said ``watch``.
    """

    TYPE: ClassVar[str] = "watch_request"
    request_id: Annotated[str, _uuid]
    session_id: Annotated[str, _session]


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchLink(Message):
    """Server: the address, for ``seconds``; an earlier one for the same session opens nothing any more."""

    TYPE: ClassVar[str] = "watch_link"
    request_id: Annotated[str, _uuid]
    address: Annotated[str, text(300)] = ""
    seconds: Annotated[int, integer(0, 86_400)] = 0
    problem: Annotated[WatchProblem, choice(WatchProblem)] = WatchProblem.NONE


__all__ = ["WatchLink", "WatchProblem", "WatchRequest"]
