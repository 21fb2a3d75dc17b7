"""How busy the machine is, while a technician looks at its page: figures only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, ClassVar

from .envelope import Message
from .wire import instant, integer, optional

_TENTHS = integer(0, 1000)
_RATE = integer(0, 2**50)


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchLoad(Message):
    """Server: tell the load every ``every`` seconds, for ``seconds`` from now on; said again while somebody looks."""

    TYPE: ClassVar[str] = "watch_load"
    seconds: Annotated[int, integer(1, 60)] = 15
    every: Annotated[int, integer(2, 30)] = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Load(Message):
    """Agent: percents in tenths, rates in bytes a second, ``temperature`` of the hottest sensor in tenths of °C."""

    TYPE: ClassVar[str] = "load"
    at: Annotated[datetime, instant]
    cpu: Annotated[int, _TENTHS]
    memory: Annotated[int, _TENTHS]
    swap: Annotated[int, _TENTHS] = 0
    reads: Annotated[int, _RATE] = 0
    writes: Annotated[int, _RATE] = 0
    received: Annotated[int, _RATE] = 0
    sent: Annotated[int, _RATE] = 0
    temperature: Annotated[int | None, optional(integer(-1000, 2000))] = None
