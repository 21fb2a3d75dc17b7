"""``screen``: looking at this machine's screen, pointing at it, and with a yes of its own using mouse and keyboard."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from ..banner import USES, Banner
from ..consent import has_display
from ..protocol.calls import TooMany
from ..protocol.channel import Channel, ChannelLost
from ..protocol.spoken import NAME, name_of
from ..protocol.tiles import MONITORS, WIDEST
from ..protocol.wire import JSON, integer, read_record, text
from ..screen.bucket import RATE, Bucket
from ..screen.events import WHOLE, Area, What, read_events
from ..screen.program import program, why_not
from .capability import Arguments, Capability, Method

if TYPE_CHECKING:
    from .calls import CallSession

log = logging.getLogger(__name__)
CONTROL = "screen.control"
PERIOD = 0.22
"""Seconds between two looks, at least: under 5 a second."""

SLOWEST = 0.5
"""Seconds after which it is looked again when little may be sent: 2 a second."""

LEAST = 16_000
"""Bytes of budget without which it is not worth looking."""

BEHIND = 64 * 1024
"""Bytes on their way; while there are more nothing new is looked at: what comes then is newer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """``width`` of the picture in pixels, ``rate`` in bytes a second; this agent gives at most its own."""

    monitor: Annotated[int, integer(1, MONITORS)] = 1
    width: Annotated[int, integer(320, WIDEST)] = 1280
    rate: Annotated[int, integer(1_000, 2**31)] = RATE


@dataclass(frozen=True, slots=True, kw_only=True)
class Start(View):
    channel: Annotated[int, integer(1, 2**16)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """Where a member points, in parts of the monitor (0 to 65,535)."""

    member: Annotated[int, integer(1, 2**31)]
    name: Annotated[str, text(NAME)]
    x: Annotated[int, integer(0, WHOLE)]
    y: Annotated[int, integer(0, WHOLE)]


class Screen(Capability):
    def __init__(self, session: CallSession) -> None:
        super().__init__(session)
        desk = session.around.desk
        self._eye, self._pointer, self._hands = (program(name, desk) for name in ("eye", "pointer", "hands"))
        self._areas: list[Area] = []
        self._view = View()
        self._painting: asyncio.Task[None] | None = None
        self._control = AsyncExitStack()
        self._controlled = False
        self._ending: asyncio.Task[None] | None = None
        self._done = {"keys": 0, "clicks": 0}

    @property
    def methods(self) -> Mapping[str, Method]:
        return {
            "start": Method(handler=self._start, changes=False),
            "view": Method(handler=self._look_at, changes=False),
            "stop": Method(handler=self._stop, changes=False),
            "point": Method(handler=self._point, changes=False),
            "do": Method(handler=self._do, changes=False, needs=CONTROL),
            "release": Method(handler=self._release, changes=True),
        }

    async def begin(self) -> None:
        if has_display() and (refusal := why_not()):
            raise OSError(refusal)
        await self._measure()

    async def _measure(self) -> None:
        raw = json.loads(await self._eye.ask({}))
        self._areas = [
            Area(left=each["left"], top=each["top"], width=each["width"], height=each["height"]) for each in raw
        ]
        if not self._areas:
            raise OSError("no monitor is there to be looked at")

    async def reset(self) -> None:
        await self._stop_painting()
        await self._let_go("another server")

    async def close(self) -> None:
        await self._stop_painting()
        await self._let_go("the session is over")
        for each in (self._eye, self._pointer, self._hands):
            await each.close()

    # -- looking

    async def _start(self, arguments: Arguments) -> Arguments:
        asked = read_record(Start, dict(arguments), "")
        channel = self.session.channel(asked.channel)
        await self._stop_painting()
        await self._eye.close()  # a new one has nothing sent yet, and begins with the whole picture
        self._view = asked
        await self._measure()
        self._painting = asyncio.create_task(self._paint(channel))
        monitors: list[JSON] = [{"width": area.width, "height": area.height} for area in self._areas]
        return {"monitors": monitors}

    async def _look_at(self, arguments: Arguments) -> Arguments:
        self._view = read_record(View, dict(arguments), "")
        return {}

    async def _stop(self, _: Arguments) -> Arguments:
        await self._stop_painting()
        return {}

    async def _stop_painting(self) -> None:
        task, self._painting = self._painting, None
        if task:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _paint(self, channel: Channel) -> None:
        try:
            await self._keep_painting(channel)
        except ChannelLost:
            log.debug("session %s: nobody looks any more", self.session.id[:8])
        except OSError as fault:
            log.warning("session %s: %s", self.session.id[:8], fault)
            self._tell("screen.failed", {"reason": str(fault)[:200]})
        finally:
            self.session.leave(channel)

    async def _keep_painting(self, channel: Channel) -> None:
        bucket = Bucket(min(RATE, self._view.rate), now=time.monotonic())
        while True:
            began = time.monotonic()
            await channel.settle(BEHIND)
            bucket.rate = min(RATE, self._view.rate)
            budget = bucket.available(time.monotonic())
            if budget >= min(LEAST, bucket.least):
                order: dict[str, JSON] = {"monitor": self._view.monitor, "width": self._view.width, "budget": budget}
                data = await self._eye.ask(order)
                bucket.spend(len(data))
                await channel.write(data)
            spent = time.monotonic() - began
            await asyncio.sleep(max(0.02, (PERIOD if budget >= LEAST else SLOWEST) - spent))

    # -- pointing

    def _area(self) -> Area:
        return self._areas[min(self._view.monitor, len(self._areas)) - 1]

    async def _point(self, arguments: Arguments) -> Arguments:
        asked = read_record(Point, dict(arguments), "")
        x, y = self._area().at(asked.x, asked.y)
        await self._pointer.ask({"member": asked.member, "name": name_of(asked.name), "x": x, "y": y})
        return {}

    # -- mouse and keyboard

    async def _do(self, arguments: Arguments) -> Arguments:
        """Allowed by the grant to ``screen.control`` (see ``needs``); a second banner shows it, with its own Stop."""
        events = read_events(arguments.get("events"))
        await self._take_hold()
        area = self._area()
        raw = arguments["events"]
        await self._hands.ask({"area": [area.left, area.top, area.width, area.height], "events": raw})
        self._done["keys"] += sum(each.what in {What.KEY, What.TEXT} for each in events)
        self._done["clicks"] += sum(each.what is What.BUTTON and each.down for each in events)
        return {}

    async def _take_hold(self) -> None:
        if not self._controlled:
            self._controlled = True
            request = self.session.request
            banner = Banner(request.member_name, request.ticket_id, self._stopped, self.session.around.desk, words=USES)
            await self._control.enter_async_context(banner)

    def _stopped(self) -> None:
        """Stop of the second banner: the screen may still be looked at."""
        self.session.around.withdraw(CONTROL)
        self._tell(CONTROL, {"granted": False})
        self._ending = asyncio.create_task(self._let_go("stopped at the machine"))

    async def _release(self, _: Arguments) -> Arguments:
        """A member gives mouse and keyboard back: the next time is asked for anew."""
        self.session.around.withdraw(CONTROL)
        await self._let_go("given back")
        return {}

    async def _let_go(self, reason: str) -> None:
        """Whatever is still pressed is let go, and what was done is written down, in numbers."""
        if not self._controlled:
            return
        self._controlled = False
        with contextlib.suppress(OSError):
            await self._hands.ask({"events": [{"what": What.RELEASE}]})
        await self._hands.close()
        done, self._done = self._done, {"keys": 0, "clicks": 0}
        about: dict[str, JSON] = {"session": self.session.id, "reason": reason, **done}
        self.session.around.write_down("screen.control.ended", about)
        await self._control.aclose()

    def _tell(self, name: str, value: Mapping[str, JSON]) -> None:
        with contextlib.suppress(TooMany):
            self.session.notify(name, value)
